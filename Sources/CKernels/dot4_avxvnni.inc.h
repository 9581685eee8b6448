// Four products a column with one instruction (vpdpbusd in its form without AVX-512) for eight columns.

#include <immintrin.h>

typedef struct { __m256i columns_0_7, columns_8_15; } weights_t;
typedef __m256i activations_t;

INLINE weights_t load_weights(const int8_t *p) {
  return (weights_t){_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 32))};
}

INLINE activations_t load_activations(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm256_set1_epi32(four);
}

INLINE v16i dot4(v16i sum, activations_t x, weights_t w) {
  __m256i part[2];
  memcpy(part, &sum, sizeof part);
  part[0] = _mm256_dpbusd_avx_epi32(part[0], x, w.columns_0_7);
  part[1] = _mm256_dpbusd_avx_epi32(part[1], x, w.columns_8_15);
  memcpy(&sum, part, sizeof sum);
  return sum;
}
