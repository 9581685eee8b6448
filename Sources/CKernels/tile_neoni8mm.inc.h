// An int8 tile of the matrix multiplication instructions: USMMLA multiplies two rows of 8 unsigned bytes by two columns of 8 signed
// ones. A panel holds 4 bytes of a column together, so two groups of four are interleaved into eights, once for all rows.

#include <arm_neon.h>

#define SQ_INT8_TILE

/// Eight bytes of two rows; only the first four of each where `bytes` is 4.
INLINE uint8x16_t two_rows(const uint8_t *first, const uint8_t *second, const size_t bytes) {
  uint64_t both[2] = {0, 0};
  memcpy(&both[0], first, bytes);
  memcpy(&both[1], second, bytes);
  return vcombine_u8(vcreate_u8(both[0]), vcreate_u8(both[1]));
}

/// Adds the products of `bytes` (4 or 8) rows of a panel to a tile of pairs: pair p of rows and pair c of columns is
/// [row 2p: column 2c, 2c + 1; row 2p + 1: the same].
INLINE void add_products(const size_t rows, const uint8_t *a, size_t lda, const int8_t *b, const size_t bytes,
                         int32x4_t pairs[SQ_INT8_ROWS / 2][8]) {
  uint8x16_t x[SQ_INT8_ROWS / 2];
#pragma unroll
  for (size_t p = 0; 2 * p < rows; p++) {
    // A lone row is multiplied twice.
    const uint8_t *const row = a + 2 * p * lda;
    x[p] = two_rows(row, 2 * p + 1 < rows ? row + lda : row, bytes);
  }
#pragma unroll
  for (int j = 0; j < 4; j++) {
    const int32x4_t near = vreinterpretq_s32_s8(vld1q_s8(b + j * 16));
    const int32x4_t far = bytes == 8 ? vreinterpretq_s32_s8(vld1q_s8(b + SQ_S8_PANEL * 4 + j * 16)) : vdupq_n_s32(0);
    const int8x16_t low = vreinterpretq_s8_s32(vzip1q_s32(near, far));
    const int8x16_t high = vreinterpretq_s8_s32(vzip2q_s32(near, far));
#pragma unroll
    for (size_t p = 0; 2 * p < rows; p++) {
      pairs[p][2 * j] = vusmmlaq_s32(pairs[p][2 * j], x[p], low);
      pairs[p][2 * j + 1] = vusmmlaq_s32(pairs[p][2 * j + 1], x[p], high);
    }
  }
}

INLINE void int8_tile(const size_t rows, const uint8_t *a, size_t lda, size_t k, const int8_t *b, fetch *ahead,
                      v16i sums[SQ_INT8_ROWS][SQ_INT8_VECTORS]) {
  int32x4_t pairs[SQ_INT8_ROWS / 2][8];
#pragma unroll
  for (size_t p = 0; 2 * p < rows; p++)
#pragma unroll
    for (int c = 0; c < 8; c++) pairs[p][c] = vdupq_n_s32(0);
  size_t depth = 0;
  for (; depth + 8 <= k; depth += 8, b += SQ_S8_PANEL * 8) {
    if (depth % INT8_FETCH_DEPTHS == 0) fetch_step(ahead);
    add_products(rows, a + depth, lda, b, 8, pairs);
  }
  if (depth < k) add_products(rows, a + depth, lda, b, 4, pairs);
#pragma unroll
  for (size_t i = 0; i < rows; i++) {
    int64x2_t whole[4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int64x2_t left = vreinterpretq_s64_s32(pairs[i / 2][2 * j]);
      const int64x2_t right = vreinterpretq_s64_s32(pairs[i / 2][2 * j + 1]);
      whole[j] = i % 2 == 0 ? vzip1q_s64(left, right) : vzip2q_s64(left, right);
    }
    memcpy(&sums[i][0], whole, sizeof whole);
  }
}
