// Counts what a thread allocates: in an executable that holds this file, these functions stand before the C library's.

#include "AllocationCounter.h"

#include <errno.h>
#include <stddef.h>

// A sanitiser has functions of its own here.
#if defined(__GLIBC__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static __thread allocation_counts counts;

allocation_counts allocations_so_far(void) { return counts; }

static void count(size_t size) {
  counts.all++;
  counts.large += size > ALLOCATION_SMALL;
}

void *malloc(size_t size) {
  count(size);
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  count(number * size);
  return __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size) {
  count(size);
  return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **memory, size_t alignment, size_t size) {
  *memory = memalign(alignment, size);
  return *memory ? 0 : ENOMEM;
}

#else
allocation_counts allocations_so_far(void) { return (allocation_counts){-1, -1}; }
#endif
