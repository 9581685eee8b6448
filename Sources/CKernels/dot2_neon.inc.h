// Products of pairs with NEON: even and odd elements apart, multiplied and added into 32 bits (SMLAL).

#include <arm_neon.h>

typedef struct { int16x8_t even[2], odd[2]; } pairs_t;
typedef struct { int16x4_t even, odd; } pair_t;

INLINE pairs_t load_pairs(const int32_t *p) {
  const int16_t *const halves = (const int16_t *)p;
  const int16x8x2_t left = vld2q_s16(halves), right = vld2q_s16(halves + 16);
  return (pairs_t){{left.val[0], right.val[0]}, {left.val[1], right.val[1]}};
}

INLINE pair_t splat_pair(const int32_t *p) { return (pair_t){vdup_n_s16((int16_t)*p), vdup_n_s16((int16_t)(*p >> 16))}; }

INLINE v16i dot2(v16i sum, pair_t x, pairs_t w) {
  int32x4_t part[4];
  memcpy(part, &sum, sizeof sum);
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++) {
    part[2 * i] = vmlal_s16(vmlal_s16(part[2 * i], vget_low_s16(w.even[i]), x.even), vget_low_s16(w.odd[i]), x.odd);
    part[2 * i + 1] = vmlal_s16(vmlal_s16(part[2 * i + 1], vget_high_s16(w.even[i]), x.even), vget_high_s16(w.odd[i]), x.odd);
  }
  memcpy(&sum, part, sizeof sum);
  return sum;
}
