// int8 GEMM over packed panels. The including set defines dot4: sums += the products of 4 unsigned bytes, the same for all
// columns, with 4 signed bytes of each of 16 columns; exactly. SQ_INT8_ROWS × SQ_INT8_VECTORS accumulators fill the registers.
// Where an instruction set multiplies in other portions, it defines the whole tile (SQ_INT8_TILE); where it takes signed bytes only,
// it multiplies u − SQ_INT8_SHIFT in place of u.

#include "int8_columns.inc.h"

_Static_assert(SQ_S8_PANEL % (SQ_INT8_VECTORS * LANES) == 0, "tiles end where a panel ends");

#ifndef SQ_INT8_TILE
/// sums = `rows` rows of a times SQ_INT8_VECTORS · 16 columns of a panel that start at b. Every INT8_FETCH_DEPTHS depths are a step of
/// `ahead`.
INLINE void int8_tile(const size_t rows, const uint8_t *a, size_t lda, size_t k, const int8_t *b, fetch *ahead,
                      v16i sums[SQ_INT8_ROWS][SQ_INT8_VECTORS]) {
  fetch fetch = *ahead;
  const uint8_t *row[SQ_INT8_ROWS];
#pragma unroll
  for (size_t i = 0; i < rows; i++) {
    row[i] = a + i * lda;
#pragma unroll
    for (size_t j = 0; j < SQ_INT8_VECTORS; j++) sums[i][j] = splat_i(0);
  }
  for (size_t depth = 0, end = 0; depth < k;) {
    fetch_step(&fetch);
    end = k - depth < INT8_FETCH_DEPTHS ? k : depth + INT8_FETCH_DEPTHS;
    // Unrolled, the compiler runs out of registers.
#pragma clang loop unroll(disable)
    for (; depth < end; depth += 4, b += SQ_S8_PANEL * 4) {
      weights_t w[SQ_INT8_VECTORS];
#pragma unroll
      for (size_t j = 0; j < SQ_INT8_VECTORS; j++) w[j] = load_weights(b + j * LANES * 4);
#pragma unroll
      for (size_t i = 0; i < rows; i++) {
        const activations_t x = load_activations(row[i] + depth);
#pragma unroll
        for (size_t j = 0; j < SQ_INT8_VECTORS; j++) sums[i][j] = dot4(sums[i][j], x, w[j]);
      }
    }
  }
  *ahead = fetch;
}
#endif

/// A tile of a number of rows that is constant, so that its sums are registers, stored when they are done.
INLINE void int8_tile_stored(const size_t rows, const uint8_t *a, size_t lda, size_t k, const int8_t *panel,
                             fetch *ahead, v16i tile[SQ_INT8_ROWS][SQ_INT8_VECTORS]) {
  v16i sums[SQ_INT8_ROWS][SQ_INT8_VECTORS];
  int8_tile(rows, a, lda, k, panel, ahead, sums);
#pragma unroll
  for (size_t i = 0; i < rows; i++)
#pragma unroll
    for (size_t j = 0; j < SQ_INT8_VECTORS; j++) tile[i][j] = sums[i][j];
}

static void int8_tile_of_rows(size_t rows, const uint8_t *a, size_t lda, size_t k, const int8_t *panel,
                              fetch *ahead, v16i tile[SQ_INT8_ROWS][SQ_INT8_VECTORS]) {
#define SQ_TILE(rows) case rows: int8_tile_stored(rows, a, lda, k, panel, ahead, tile); return;
  switch (rows) { SQ_EACH_COUNT(SQ_INT8_ROWS, SQ_TILE) }
#undef SQ_TILE
}

void SQ_SYMBOL(u8s8f32_gemm)(const uint8_t *a, size_t lda, const float *row_scales, const int32_t *row_sums, size_t m,
                             size_t k, const int8_t *panels, const sq_int8_columns *columns, size_t n,
                             sq_epilogue epilogue, float *c, size_t ldc, const int8_t *next) {
  const size_t width = SQ_INT8_VECTORS * LANES, tiles = (m + SQ_INT8_ROWS - 1) / SQ_INT8_ROWS;
  for (size_t column = 0; column < n; column += width) {
    const size_t place = column % SQ_S8_PANEL;
    const int8_t *const panel = panels + (column - place) * k;
    const int8_t *const following = n - column + place > SQ_S8_PANEL ? panel + SQ_S8_PANEL * k : next;
    fetch ahead = fetch_over(tiles * (k / INT8_FETCH_DEPTHS), following ? following + place * k : NULL, width * k);
    const size_t count = n - column < width ? n - column : width;
    for (size_t row = 0; row < m; row += SQ_INT8_ROWS) {
      const size_t rows = m - row < SQ_INT8_ROWS ? m - row : SQ_INT8_ROWS;
      v16i tile[SQ_INT8_ROWS][SQ_INT8_VECTORS];
      int8_tile_of_rows(rows, a + row * lda, lda, k, panel + place * 4, &ahead, tile);
      finish_tile((const int32_t *)tile, width, rows, row_scales + row, row_sums + row, columns, column, count, epilogue,
                  c + row * ldc, ldc);
    }
  }
}
