// Four products a column with one instruction (SDOT) for four columns. It takes signed bytes: activations lose 128.

#include <arm_neon.h>

#define SQ_INT8_SHIFT 128

typedef struct { int8x16_t columns[4]; } weights_t;
typedef int8x16_t activations_t;

INLINE weights_t load_weights(const int8_t *p) {
  return (weights_t){{vld1q_s8(p), vld1q_s8(p + 16), vld1q_s8(p + 32), vld1q_s8(p + 48)}};
}

INLINE activations_t load_activations(const uint8_t *p) {
  uint32_t four;
  memcpy(&four, p, sizeof four);
  return vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080));
}

INLINE v16i dot4(v16i sum, activations_t x, weights_t w) {
  int32x4_t part[4];
  memcpy(part, &sum, sizeof part);
#pragma unroll
  for (int i = 0; i < 4; i++) part[i] = vdotq_s32(part[i], w.columns[i], x);
  memcpy(&sum, part, sizeof sum);
  return sum;
}
