// Products of pairs with AVX2: one instruction multiplies and adds two of them (vpmaddwd, exact but for two products of −2¹⁵ with itself, which do
// not occur), or with AVX-VNNI adds the sum as well (vpdpwssd).

#include <immintrin.h>

typedef struct { __m256i low, high; } pairs_t;
typedef __m256i pair_t;

INLINE pairs_t load_pairs(const int32_t *p) {
  return (pairs_t){_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 8))};
}

INLINE pair_t splat_pair(const int32_t *p) { return _mm256_set1_epi32(*p); }

INLINE v16i dot2(v16i sum, pair_t x, pairs_t w) {
  __m256i parts[2];
  memcpy(parts, &sum, sizeof sum);
#ifdef SQ_VNNI
  // Not the intrinsic: see dot2_avx512.inc.h.
  __asm__ volatile("%{vex%} vpdpwssd %2, %1, %0" : "+x"(parts[0]) : "x"(x), "x"(w.low));
  __asm__ volatile("%{vex%} vpdpwssd %2, %1, %0" : "+x"(parts[1]) : "x"(x), "x"(w.high));
#else
  parts[0] = _mm256_add_epi32(parts[0], _mm256_madd_epi16(x, w.low));
  parts[1] = _mm256_add_epi32(parts[1], _mm256_madd_epi16(x, w.high));
#endif
  memcpy(&sum, parts, sizeof sum);
  return sum;
}
