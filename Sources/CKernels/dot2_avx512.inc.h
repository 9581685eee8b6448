// Products of pairs with AVX-512: one instruction multiplies and adds two of them (vpmaddwd), or with VNNI adds the sum as well (vpdpwssd).

#include <immintrin.h>

typedef __m512i pairs_t;
typedef __m512i pair_t;

INLINE pairs_t load_pairs(const int32_t *p) { return _mm512_loadu_si512(p); }
INLINE pair_t splat_pair(const int32_t *p) { return _mm512_set1_epi32(*p); }

INLINE v16i dot2(v16i sum, pair_t x, pairs_t w) {
#ifdef SQ_VNNI
  // Not the intrinsic: the compiler makes two instructions of most of them, vpmaddwd and vpaddd, which are quicker one after the other and slower
  // side by side.
  __asm__ volatile("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
  return sum;
#else
  return sum + (v16i)_mm512_madd_epi16(x, w);
#endif
}
