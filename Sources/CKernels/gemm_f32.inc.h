// float32 GEMM over packed panels.
//
// Each element of the result is accumulated in order of k with fused multiply-adds, so its bits depend neither on the tile nor on
// the other rows and columns. SQ_TILE_ROWS × SQ_TILE_VECTORS accumulators fill the instruction set's registers.

_Static_assert(SQ_F32_PANEL % (SQ_TILE_VECTORS * LANES) == 0, "tiles end where a panel ends");

/// The sums of one tile: `rows` rows of a times `vectors` · 16 columns of b, added to what c holds where it `continues`. With the rows a
/// constant the sums stay in registers. Every F32_FETCH_DEPTHS depths are a step of `ahead`.
INLINE void f32_tile(const size_t rows, const size_t vectors, const float *a, size_t lda, size_t k, const float *b, size_t ldb,
                     fetch *ahead, int continues, float *c, size_t ldc) {
  fetch fetch = *ahead;
  v16 sums[SQ_TILE_ROWS][SQ_TILE_VECTORS];
  const float *row[SQ_TILE_ROWS];
#pragma unroll
  for (size_t i = 0; i < rows; i++) {
    row[i] = a + i * lda;
#pragma unroll
    for (size_t j = 0; j < vectors; j++) sums[i][j] = continues ? load16(c + i * ldc + j * LANES) : splat(0);
  }
  for (size_t depth = 0, end = 0; depth < k;) {
    fetch_step(&fetch);
    end = k - depth < F32_FETCH_DEPTHS ? k : depth + F32_FETCH_DEPTHS;
    // Unrolled, the compiler loads several depths' elements at once and runs out of registers.
#pragma clang loop unroll(disable)
    [[clang::code_align(64)]] for (; depth < end; depth++, b += ldb) {
      v16 y[SQ_TILE_VECTORS];
#pragma unroll
      for (size_t j = 0; j < vectors; j++) y[j] = load16(b + j * LANES);
#pragma unroll
      for (size_t i = 0; i < rows; i++) {
        const v16 x = splat(row[i][depth]);
#pragma unroll
        for (size_t j = 0; j < vectors; j++) sums[i][j] = fma16(x, y[j], sums[i][j]);
      }
    }
  }
  *ahead = fetch;
#pragma unroll
  for (size_t i = 0; i < rows; i++)
#pragma unroll
    for (size_t j = 0; j < vectors; j++) store16(c + i * ldc + j * LANES, sums[i][j]);
}

#define SQ_TILES(name, vectors)                                                                                      \
  static void name(size_t rows, const float *a, size_t lda, size_t k, const float *b, size_t ldb, fetch *ahead,      \
                   int continues, float *c, size_t ldc) {                                                            \
    switch (rows) { SQ_EACH_COUNT(SQ_TILE_ROWS, SQ_TILE_##vectors) }                                                 \
  }
#define SQ_TILE_wide(rows) case rows: f32_tile(rows, SQ_TILE_VECTORS, a, lda, k, b, ldb, ahead, continues, c, ldc); return;
#define SQ_TILE_narrow(rows) case rows: f32_tile(rows, 1, a, lda, k, b, ldb, ahead, continues, c, ldc); return;
SQ_TILES(f32_wide_tile, wide)
#if SQ_TILE_VECTORS > 1
SQ_TILES(f32_narrow_tile, narrow)
#else
#define f32_narrow_tile f32_wide_tile
#endif
#undef SQ_TILES
#undef SQ_TILE_wide
#undef SQ_TILE_narrow

/// Finishes one vector of each of `n` rows of a tile, whose sums stand `stride` floats from row to row.
INLINE void f32_finish(const float *sums, size_t stride, const size_t n, v16 bias, sq_epilogue epilogue, float *c, size_t ldc, size_t count) {
  v16 y[n];
  EACH(i, n) y[i] = load16(sums + i * stride);
  if (epilogue != SQ_EPILOGUE_NONE) EACH(i, n) y[i] = y[i] + bias;
  activate_each(y, n, epilogue);
  EACH(i, n) {
    if (count == LANES) store16(c + i * ldc, y[i]);
    else store_part(c + i * ldc, count, y[i]);
  }
}

/// c = epilogue(a · b + bias). Panel i of b starts at b + i · panel_step and has ldb floats from depth to depth. What comes after a panel is
/// fetched meanwhile where it `streams`: the following one, and after the last `next`.
INLINE void f32_product(const float *a, size_t lda, size_t m, size_t k, const float *b, size_t ldb, size_t panel_step,
                        const int streams, const float *next, size_t n, const float *bias, const sq_epilogue epilogue, float *c,
                        size_t ldc) {
  // Rows are shared out evenly: a tile of few has too few sums for the latency of a multiply-add.
  const size_t tiles = m > SQ_TILE_ROWS ? (m + SQ_TILE_ROWS - 1) / SQ_TILE_ROWS : 1, tile_rows = (m + tiles - 1) / tiles;
  const size_t depths = sq_f32_depths(k);
  size_t depth = 0, end;
  do {
    end = depth + depths < k ? depth + depths : k;
    for (size_t column = 0, width; column < n; column += width) {
      // A wide tile, or one vector where the columns that are left need no more.
      const size_t place = column % SQ_F32_PANEL, left = n - column;
      const int is_wide = left > (SQ_TILE_VECTORS - 1) * LANES;
      width = is_wide ? SQ_TILE_VECTORS * LANES : LANES;
      // Sums of some of the depths wait in c for the others'. Where c has no room for a whole tile, all are summed in the end.
      const int fits = left >= width, is_last = end == k;
      if (!fits && !is_last) continue;
      const size_t start = fits ? depth : 0;
      const float *const panel = b + column / SQ_F32_PANEL * panel_step;
      const float *const following =
          !streams ? NULL : left + place > SQ_F32_PANEL ? panel + panel_step + depth * ldb : is_last ? next : b + end * ldb;
      const size_t fetched = width * (end - depth);
      fetch ahead = fetch_over(tiles * ((end - start) / F32_FETCH_DEPTHS), following ? following + fetched / width * place : NULL,
                               fetched * sizeof(float));
      for (size_t row = 0; row < m; row += tile_rows) {
        const size_t rows = m - row < tile_rows ? m - row : tile_rows;
        float *const target = c + row * ldc + column;
        const int is_bare = !bias && epilogue == SQ_EPILOGUE_NONE, is_in_place = fits && (is_bare || depths < k);
        float tile[SQ_TILE_ROWS * SQ_TILE_VECTORS * LANES];
        float *const sums = is_in_place ? target : tile;
        const size_t stride = is_in_place ? ldc : SQ_TILE_VECTORS * LANES;
        const float *const factor = a + row * lda + start, *const weights = panel + start * ldb + place;
        if (is_wide) f32_wide_tile(rows, factor, lda, end - start, weights, ldb, &ahead, start > 0, sums, stride);
        else f32_narrow_tile(rows, factor, lda, end - start, weights, ldb, &ahead, start > 0, sums, stride);
        if (!is_last || (is_in_place && is_bare)) continue;
        for (size_t j = 0; j < width && j < left; j += LANES) {
          const size_t first = column + j, count = left - j < LANES ? left - j : LANES;
          const v16 shift = !bias ? splat(0) : count == LANES ? load16(bias + first) : load_part(bias + first, count, 0);
          size_t i = 0;
          for (; i + SQ_ABREAST <= rows; i += SQ_ABREAST)
            f32_finish(sums + i * stride + j, stride, SQ_ABREAST, shift, epilogue, target + i * ldc + j, ldc, count);
          for (; i < rows; i++) f32_finish(sums + i * stride + j, stride, 1, shift, epilogue, target + i * ldc + j, ldc, count);
        }
      }
    }
  } while ((depth = end) < k);
}

void SQ_SYMBOL(f32_gemm)(const float *a, size_t lda, size_t m, size_t k, const float *panels, size_t n, const float *bias,
                         sq_epilogue epilogue, float *c, size_t ldc, const float *next) {
  f32_product(a, lda, m, k, panels, SQ_F32_PANEL, SQ_F32_PANEL * k, 1, next, n, bias, epilogue, c, ldc);
}
