// Memory that is needed next, fetched into the second-level cache while something else is computed. The processor's own prefetching
// stops at the end of a page, and a product's weights are many pages read once: without this a product waits for them first and
// computes then.

#define CACHE_LINE 64

/// Depths of a product from one step of fetching to the next.
#define F32_FETCH_DEPTHS 8
#define INT8_FETCH_DEPTHS 32

typedef struct {
  const char *next, *end;
  /// Cache lines a step.
  size_t lines;
} fetch;

/// Spreads `bytes` of memory over `steps` steps; without memory nothing is fetched.
INLINE fetch fetch_over(size_t steps, const void *memory, size_t bytes) {
  const char *const first = memory;
  if (!first || steps == 0) return (fetch){first, first, 0};
  const size_t lines = (bytes + CACHE_LINE - 1) / CACHE_LINE;
  return (fetch){first, first + bytes, (lines + steps - 1) / steps};
}

INLINE void fetch_step(fetch *ahead) {
  if (ahead->next >= ahead->end) return;
  for (size_t i = 0; i < ahead->lines; i++, ahead->next += CACHE_LINE) __builtin_prefetch(ahead->next, 0, 2);
}
