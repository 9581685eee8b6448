// A vector of 16 floats: one register of AVX-512, two of AVX2, four of NEON.
//
// Every kernel written over it does the same operations in the same order on each instruction set, with every multiply-add
// fused, so that all sets give the same bits.

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef float v16 __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));

#define LANES 16
#define INLINE static inline __attribute__((always_inline))

INLINE v16 splat(float x) { return x - (v16){0}; }
INLINE v16i splat_i(int32_t x) { return x - (v16i){0}; }
INLINE v16 fma16(v16 a, v16 b, v16 c) { return __builtin_elementwise_fma(a, b, c); }
INLINE v16 max16(v16 a, v16 b) { return (v16)(((v16i)a & (a > b)) | ((v16i)b & ~(a > b))); }
INLINE v16 min16(v16 a, v16 b) { return (v16)(((v16i)a & (a < b)) | ((v16i)b & ~(a < b))); }
INLINE v16 select16(v16i mask, v16 yes, v16 no) { return (v16)(((v16i)yes & mask) | ((v16i)no & ~mask)); }

INLINE v16 load16(const float *p) {
  v16 x;
  memcpy(&x, p, sizeof x);
  return x;
}

INLINE void store16(float *p, v16 x) { memcpy(p, &x, sizeof x); }

/// The first `n` < 16 floats at `p`; the other lanes hold `fill`.
INLINE v16 load_part(const float *p, size_t n, float fill) {
  v16 x = splat(fill);
  memcpy(&x, p, n * sizeof *p);
  return x;
}

INLINE void store_part(float *p, size_t n, v16 x) { memcpy(p, &x, n * sizeof *p); }

/// Sum of the lanes, in halves: lane i and lane i + 8, then i + 4, i + 2, i + 1.
INLINE float sum16(v16 x) {
  float lane[LANES];
  memcpy(lane, &x, sizeof x);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lane[i] = lane[i] + lane[i + width];
  return lane[0];
}

INLINE float largest16(v16 x) {
  float lane[LANES];
  memcpy(lane, &x, sizeof x);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lane[i] = lane[i] > lane[i + width] ? lane[i] : lane[i + width];
  return lane[0];
}
