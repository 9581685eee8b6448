// Four products a column with AVX-512 BW, exact: bytes are widened to 16 bits.

#include <immintrin.h>

typedef struct { __m512i columns_0_7, columns_8_15; } weights_t;
typedef __m512i activations_t;

INLINE weights_t load_weights(const int8_t *p) {
  return (weights_t){
      _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p)),
      _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(p + 32))),
  };
}

INLINE activations_t load_activations(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm512_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(four)));
}

INLINE v16i dot4(v16i sum, activations_t x, weights_t w) {
  // Two sums of two a column; even and odd ones are gathered from both halves and added.
  const __m512i low = _mm512_madd_epi16(x, w.columns_0_7), high = _mm512_madd_epi16(x, w.columns_8_15);
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  const __m512i products =
      _mm512_add_epi32(_mm512_permutex2var_epi32(low, even, high), _mm512_permutex2var_epi32(low, odd, high));
  return sum + (v16i)products;
}
