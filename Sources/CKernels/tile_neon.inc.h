// An int8 tile of ARMv8's first NEON: products of signed bytes in 16 bits (SMULL; at most 2¹⁴ each, so two of them fit no more),
// added in pairs to sums of 32 bits (SADALP). Two sums a column meet at the end. Activations lose 128 to become signed.

#include <arm_neon.h>

#define SQ_INT8_SHIFT 128
#define SQ_INT8_TILE

INLINE void int8_tile(const size_t rows, const uint8_t *a, size_t lda, size_t k, const int8_t *b, fetch *ahead,
                      v16i sums[SQ_INT8_ROWS][SQ_INT8_VECTORS]) {
  // Element 2i holds the sums of columns 4i and 4i + 1, element 2i + 1 those of the next two.
  int32x4_t halves[SQ_INT8_ROWS][8];
#pragma unroll
  for (size_t i = 0; i < rows; i++)
#pragma unroll
    for (int j = 0; j < 8; j++) halves[i][j] = vdupq_n_s32(0);
  for (size_t depth = 0; depth < k; depth += 4, b += SQ_S8_PANEL * 4) {
    if (depth % INT8_FETCH_DEPTHS == 0) fetch_step(ahead);
    int8x16_t x[SQ_INT8_ROWS];
#pragma unroll
    for (size_t i = 0; i < rows; i++) {
      uint32_t four;
      memcpy(&four, a + i * lda + depth, sizeof four);
      x[i] = vreinterpretq_s8_u32(vdupq_n_u32(four ^ 0x80808080));
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int8x16_t w = vld1q_s8(b + j * 16);
#pragma unroll
      for (size_t i = 0; i < rows; i++) {
        halves[i][2 * j] = vpadalq_s16(halves[i][2 * j], vmull_s8(vget_low_s8(w), vget_low_s8(x[i])));
        halves[i][2 * j + 1] = vpadalq_s16(halves[i][2 * j + 1], vmull_high_s8(w, x[i]));
      }
    }
  }
#pragma unroll
  for (size_t i = 0; i < rows; i++) {
    int32x4_t whole[4];
#pragma unroll
    for (int j = 0; j < 4; j++) whole[j] = vpaddq_s32(halves[i][2 * j], halves[i][2 * j + 1]);
    memcpy(&sums[i][0], whole, sizeof whole);
  }
}
