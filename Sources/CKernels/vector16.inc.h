// A vector of 16 floats: one register of AVX-512, two of AVX2, four of NEON.
//
// Every kernel written over it does the same operations in the same order on each instruction set, with every multiply-add
// fused, so that all sets give the same bits.

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(SQ_MASKED_MOVES) || defined(SQ_LOOKUP_HALVES)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

typedef float v16 __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));

#define LANES 16
#define EACH(i, n) _Pragma("clang loop unroll(full)") for (size_t i = 0; i < (n); i++)
#define INLINE static inline __attribute__((always_inline))

INLINE v16 splat(float x) { return x - (v16){0}; }
INLINE v16i splat_i(int32_t x) { return x - (v16i){0}; }
INLINE v16 fma16(v16 a, v16 b, v16 c) { return __builtin_elementwise_fma(a, b, c); }
INLINE v16 max16(v16 a, v16 b) { return (v16)(((v16i)a & (a > b)) | ((v16i)b & ~(a > b))); }
INLINE v16 min16(v16 a, v16 b) { return (v16)(((v16i)a & (a < b)) | ((v16i)b & ~(a < b))); }
INLINE v16i max16i(v16i a, v16i b) { return (a & (a > b)) | (b & ~(a > b)); }
INLINE v16i min16i(v16i a, v16i b) { return (a & (a < b)) | (b & ~(a < b)); }
INLINE v16 select16(v16i mask, v16 yes, v16 no) { return (v16)(((v16i)yes & mask) | ((v16i)no & ~mask)); }

INLINE v16 load16(const float *p) {
  v16 x;
  memcpy(&x, p, sizeof x);
  return x;
}

INLINE void store16(float *p, v16 x) { memcpy(p, &x, sizeof x); }

INLINE v16i load16i(const int32_t *p) {
  v16i x;
  memcpy(&x, p, sizeof x);
  return x;
}

INLINE void store16i(int32_t *p, v16i x) { memcpy(p, &x, sizeof x); }

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

/// Those of 16 floats, aligned to 64 bytes, whose indices are asked for.
INLINE v16 lookup(const float *row, v16i index) {
#if defined(SQ_MASKED_MOVES)
  return (v16)_mm512_permutexvar_ps((__m512i)index, _mm512_load_ps(row));
#elif defined(SQ_LOOKUP_HALVES)
  v16 y;
  EACH(half, 2) {
    __m256i at;
    memcpy(&at, (const char *)&index + half * sizeof at, sizeof at);
    // Of the index the permutation sees three bits; the fourth, moved to the sign, chooses.
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_load_ps(row), at), high = _mm256_permutevar8x32_ps(_mm256_load_ps(row + 8), at);
    const __m256 found = _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(at, 28)));
    memcpy((char *)&y + half * sizeof found, &found, sizeof found);
  }
  return y;
#elif defined(__aarch64__)
  // Bytes 4i to 4i + 3 of a table of 64.
  const uint8_t *const bytes = (const uint8_t *)row;
  const uint8x16x4_t table = {{vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32), vld1q_u8(bytes + 48)}};
  const v16i places = index * 0x04040404 + 0x03020100;
  v16 y;
  EACH(quarter, 4) {
    uint8x16_t at;
    memcpy(&at, (const char *)&places + quarter * sizeof at, sizeof at);
    const uint8x16_t found = vqtbl4q_u8(table, at);
    memcpy((char *)&y + quarter * sizeof found, &found, sizeof found);
  }
  return y;
#else
  v16 y;
  for (int i = 0; i < LANES; i++) y[i] = row[index[i]];
  return y;
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

/// One number of all lanes, in halves: of lane i and lane i + 8, then i + 4, i + 2, i + 1.
#define SQ_OF_LANES(name, element, vector, combined)                                                       \
  INLINE element name(vector x) {                                                                          \
    element lane[LANES];                                                                                   \
    memcpy(lane, &x, sizeof x);                                                                            \
    for (int width = LANES / 2; width > 0; width /= 2)                                                     \
      for (int i = 0; i < width; i++) lane[i] = combined(lane[i], lane[i + width]);                        \
    return lane[0];                                                                                        \
  }
#define SQ_SUM(a, b) ((a) + (b))
#define SQ_LARGER(a, b) ((a) > (b) ? (a) : (b))
SQ_OF_LANES(sum16, float, v16, SQ_SUM)
SQ_OF_LANES(largest16, float, v16, SQ_LARGER)
SQ_OF_LANES(largest16i, int32_t, v16i, SQ_LARGER)
#undef SQ_OF_LANES

/// One number of all lanes of each of 16 vectors, combined in the order of one vector: lane i of the result is that of x[i]. In each of four
/// rounds two vectors' lower halves and their upper halves become one vector: first halves of vectors, then of those halves, and so on. Which
/// vectors meet is chosen so that the lanes come out in order.
#define SQ_OF_LANES_EACH(name, vector, combined) \
  INLINE vector name(vector *x) {                \
    SQ_COMBINE(x, 0, 4, 8, combined)             \
    SQ_COMBINE(x, 4, 8, 4, combined)             \
    SQ_COMBINE(x, 12, 1, 2, combined)            \
    SQ_COMBINE(x, 13, 2, 1, combined)            \
    return x[0];                                 \
  }
#define SQ_COMBINE(x, done, apart, size, combined)                                    \
  _Pragma("clang loop unroll(full)") for (int i = 0; i < LANES; i++)                  \
    if (!(i & ((done) | (apart))))                                                    \
      x[i] = combined(__builtin_shufflevector(x[i], x[i + (apart)], SQ_LOWER_##size), \
                      __builtin_shufflevector(x[i], x[i + (apart)], SQ_UPPER_##size));
#define SQ_LOWER_8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define SQ_UPPER_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define SQ_LOWER_4 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27
#define SQ_UPPER_4 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31
#define SQ_LOWER_2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define SQ_UPPER_2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define SQ_LOWER_1 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30
#define SQ_UPPER_1 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31
SQ_OF_LANES_EACH(sum16_each, v16, SQ_SUM)
SQ_OF_LANES_EACH(largest16_each, v16, max16)
#undef SQ_OF_LANES_EACH
#undef SQ_COMBINE
#undef SQ_SUM
#undef SQ_LARGER

/// The bits of the magnitudes of `n` floats that are larger than `most`, lane by lane. Magnitudes are ordered as their bits are, with what is
/// not finite above all others.
INLINE v16i larger_magnitudes(v16i most, const float *x, size_t n) {
  const size_t whole = n / LANES * LANES, rest = n - whole;
  for (size_t i = 0; i < whole; i += LANES) most = max16i((v16i)load16(x + i) & splat_i(INT32_MAX), most);
  if (rest) most = max16i((v16i)load_part(x + whole, rest, 0) & splat_i(INT32_MAX), most);
  return most;
}

INLINE float float_of_bits(int32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
