// Four products a column with one instruction (vpdpbusd, which does not saturate).

#include <immintrin.h>

typedef __m512i weights_t;
typedef __m512i activations_t;

INLINE weights_t load_weights(const int8_t *p) { return _mm512_loadu_si512(p); }

INLINE activations_t load_activations(const uint8_t *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return _mm512_set1_epi32(four);
}

INLINE v16i dot4(v16i sum, activations_t x, weights_t w) { return (v16i)_mm512_dpbusd_epi32((__m512i)sum, x, w); }
