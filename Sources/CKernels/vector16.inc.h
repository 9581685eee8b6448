// A vector of 16 floats: one register of AVX-512, two of AVX2, four of NEON.
//
// Every kernel written over it does the same operations in the same order on each instruction set, with every multiply-add
// fused, so that all sets give the same bits.

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef SQ_MASKED_MOVES
#include <immintrin.h>
#endif

typedef float v16 __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));

#define LANES 16
#define INLINE static inline __attribute__((always_inline))

INLINE v16 splat(float x) { return x - (v16){0}; }
INLINE v16i splat_i(int32_t x) { return x - (v16i){0}; }
INLINE v16 fma16(v16 a, v16 b, v16 c) { return __builtin_elementwise_fma(a, b, c); }
INLINE v16 max16(v16 a, v16 b) { return (v16)(((v16i)a & (a > b)) | ((v16i)b & ~(a > b))); }
INLINE v16 min16(v16 a, v16 b) { return (v16)(((v16i)a & (a < b)) | ((v16i)b & ~(a < b))); }
INLINE v16i max16i(v16i a, v16i b) { return (a & (a > b)) | (b & ~(a > b)); }
INLINE v16 select16(v16i mask, v16 yes, v16 no) { return (v16)(((v16i)yes & mask) | ((v16i)no & ~mask)); }

INLINE v16 load16(const float *p) {
  v16 x;
  memcpy(&x, p, sizeof x);
  return x;
}

INLINE void store16(float *p, v16 x) { memcpy(p, &x, sizeof x); }

/// The first `n` < 16 floats at `p`; the other lanes hold `fill`. Nothing beyond them is touched.
INLINE v16 load_part(const float *p, size_t n, float fill) {
#ifdef SQ_MASKED_MOVES
  return (v16)_mm512_mask_loadu_ps((__m512)splat(fill), (__mmask16)((1u << n) - 1), p);
#else
  v16 x = splat(fill);
  memcpy(&x, p, n * sizeof *p);
  return x;
#endif
}

INLINE void store_part(float *p, size_t n, v16 x) {
#ifdef SQ_MASKED_MOVES
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x);
#else
  memcpy(p, &x, n * sizeof *p);
#endif
}

/// x as 16 rows of 16, turned over. Four times the first half of the rows is interleaved with the second.
INLINE void transpose16(v16 *x) {
  for (int round = 0; round < 4; round++) {
    v16 y[LANES];
#pragma clang loop unroll(full)
    for (int i = 0; i < LANES / 2; i++) {
      y[2 * i] = __builtin_shufflevector(x[i], x[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      y[2 * i + 1] = __builtin_shufflevector(x[i], x[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < LANES; i++) x[i] = y[i];
  }
}

/// Sum of the lanes, in halves: lane i and lane i + 8, then i + 4, i + 2, i + 1.
INLINE float sum16(v16 x) {
  float lane[LANES];
  memcpy(lane, &x, sizeof x);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lane[i] = lane[i] + lane[i + width];
  return lane[0];
}

INLINE int32_t largest16i(v16i x) {
  int32_t lane[LANES];
  memcpy(lane, &x, sizeof x);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lane[i] = lane[i] > lane[i + width] ? lane[i] : lane[i + width];
  return lane[0];
}

INLINE float largest16(v16 x) {
  float lane[LANES];
  memcpy(lane, &x, sizeof x);
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lane[i] = lane[i] > lane[i + width] ? lane[i] : lane[i + width];
  return lane[0];
}
