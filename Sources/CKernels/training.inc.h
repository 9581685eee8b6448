// Kernels of training over one row: GELU backwards, dropout.

void SQ_SYMBOL(f32_gelu_gradient_row)(float *d, float *u, size_t n) {
  for (size_t i = 0; i < n; i += LANES) {
    const size_t count = n - i < LANES ? n - i : LANES;
    const v16 x = count == LANES ? load16(u + i) : load_part(u + i, count, 0);
    const v16 dy = count == LANES ? load16(d + i) : load_part(d + i, count, 0);
    v16 value, slope;
    gelu_and_slope16(x, &value, &slope);
    if (count == LANES) {
      store16(u + i, value);
      store16(d + i, dy * slope);
    } else {
      store_part(u + i, count, value);
      store_part(d + i, count, dy * slope);
    }
  }
}

typedef uint64_t v8l __attribute__((vector_size(64)));

INLINE uint64_t mix64(uint64_t z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

#define GOLDEN_GAMMA 0x9e3779b97f4a7c15u

/// What becomes of elements 2 · `pair` … 2 · `pair` + 15: an element's 32 bits are a half of its pair's word, the lower one first.
INLINE v16 drop16(v16 x, uint64_t key, size_t pair, uint32_t threshold, float factor) {
  v8l z;
  for (int i = 0; i < 8; i++) z[i] = key + (pair + (uint64_t)i + 1) * GOLDEN_GAMMA;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  z = z ^ z >> 31;
  // Compared as signed numbers, moved by half their range.
  const v16i bits = (v16i)z ^ splat_i(INT32_MIN);
  const v16i falls = bits < splat_i((int32_t)(threshold ^ 0x80000000u));
  return (v16)((v16i)(x * splat(factor)) & ~falls);
}

void SQ_SYMBOL(f32_dropout_row)(float *x, size_t n, uint64_t key, size_t first, uint32_t threshold, float factor) {
  size_t i = 0;
  if (first % 2 && n > 0) {
    const uint32_t bits = (uint32_t)(mix64(key + (first / 2 + 1) * GOLDEN_GAMMA) >> 32);
    x[0] = bits < threshold ? 0 : x[0] * factor;
    i = 1;
  }
  for (; i + LANES <= n; i += LANES) store16(x + i, drop16(load16(x + i), key, (first + i) / 2, threshold, factor));
  if (i < n) store_part(x + i, n - i, drop16(load_part(x + i, n - i, 0), key, (first + i) / 2, threshold, factor));
}
