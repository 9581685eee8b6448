// Four products a column with AVX2, exact: bytes are widened to 16 bits, since vpmaddubsw saturates its sums of two.

#include <immintrin.h>

typedef struct { __m256i columns_0_3, columns_4_7, columns_8_11, columns_12_15; } weights_t;
typedef __m256i activations_t;

INLINE weights_t load_weights(const int8_t *p) {
  return (weights_t){
      _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)),
      _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(p + 16))),
      _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(p + 32))),
      _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(p + 48))),
  };
}

INLINE activations_t load_activations(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(four)));
}

INLINE v16i dot4(v16i sum, activations_t x, weights_t w) {
  // Two sums of two a column, added across; vphaddd works in halves of 128 bits, which the permutation puts right.
  const __m256i low = _mm256_hadd_epi32(_mm256_madd_epi16(x, w.columns_0_3), _mm256_madd_epi16(x, w.columns_4_7));
  const __m256i high = _mm256_hadd_epi32(_mm256_madd_epi16(x, w.columns_8_11), _mm256_madd_epi16(x, w.columns_12_15));
  const __m256i parts[2] = {_mm256_permute4x64_epi64(low, 0xd8), _mm256_permute4x64_epi64(high, 0xd8)};
  v16i products;
  memcpy(&products, parts, sizeof products);
  return sum + products;
}
