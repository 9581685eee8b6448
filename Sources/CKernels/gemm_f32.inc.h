// float32 GEMM over packed panels, and attention, which is two of them with a softmax between.
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
  const size_t tiles = (m + SQ_TILE_ROWS - 1) / SQ_TILE_ROWS, depths = sq_f32_depths(k);
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
      for (size_t row = 0; row < m; row += SQ_TILE_ROWS) {
        const size_t rows = m - row < SQ_TILE_ROWS ? m - row : SQ_TILE_ROWS;
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

/// Keys as panels: [head size][SQ_F32_PANEL] each, 16 tokens × 16 elements at a time.
INLINE void pack_keys(const float *k, size_t stride, size_t n, size_t head_size, float *panels) {
  for (size_t token = 0; token < sq_padded(n, SQ_F32_PANEL); token += LANES) {
    float *const panel = panels + (token - token % SQ_F32_PANEL) * head_size + token % SQ_F32_PANEL;
    for (size_t i = 0; i < head_size; i += LANES) {
      const size_t count = head_size - i < LANES ? head_size - i : LANES;
      v16 x[LANES];
      for (size_t j = 0; j < LANES; j++) {
        const float *const row = k + (token + j) * stride + i;
        x[j] = token + j >= n ? splat(0) : count == LANES ? load16(row) : load_part(row, count, 0);
      }
      transpose16(x);
      for (size_t j = 0; j < count; j++) store16(panel + (i + j) * SQ_F32_PANEL, x[j]);
    }
  }
}

void SQ_SYMBOL(f32_attention)(const float *q, const float *k, const float *v, size_t stride, size_t n, size_t attended,
                              size_t head_size, float scale, float *out, size_t out_stride, float *scratch) {
  const size_t row_length = sq_padded(attended, SQ_F32_PANEL);
  float *const keys = scratch, *const scores = keys + row_length * head_size, *const copies = scores + SQ_QUERY_BLOCK * row_length;
  pack_keys(k, stride, attended, head_size, keys);

  // Values are read where they are; only where a row does not end with a vector are they copied, to be read beyond its end.
  const size_t padded_head = sq_padded(head_size, LANES);
  if (padded_head != head_size) {
    memset(copies, 0, attended * padded_head * sizeof *copies);
    for (size_t token = 0; token < attended; token++)
      memcpy(copies + token * padded_head, v + token * stride, head_size * sizeof *copies);
  }
  const float *const values = padded_head == head_size ? v : copies;
  const size_t values_stride = padded_head == head_size ? stride : padded_head;

  // A block of queries at a time, so that its scores stay in the cache until they are used.
  for (size_t first = 0; first < n; first += SQ_QUERY_BLOCK) {
    const size_t rows = n - first < SQ_QUERY_BLOCK ? n - first : SQ_QUERY_BLOCK;
    float *const result = out + first * out_stride;
    f32_product(q + first * stride, stride, rows, head_size, keys, SQ_F32_PANEL, SQ_F32_PANEL * head_size, 0, NULL, attended,
                NULL, SQ_EPILOGUE_NONE, scores, row_length);
    float factors[SQ_QUERY_BLOCK];
    for (size_t i = 0; i < rows; i++)
      factors[i] = 1.0f / SQ_SYMBOL(f32_softmax_row)(scores + i * row_length, attended, scale);
    f32_product(scores, row_length, rows, attended, values, values_stride, SQ_F32_PANEL, 0, NULL, head_size, NULL,
                SQ_EPILOGUE_NONE, result, out_stride);
    for (size_t i = 0; i < rows; i++) {
      float *const row = result + i * out_stride;
      size_t j = 0;
      for (; j + LANES <= head_size; j += LANES) store16(row + j, load16(row + j) * splat(factors[i]));
      if (j < head_size) store_part(row + j, head_size - j, load_part(row + j, head_size - j, 0) * splat(factors[i]));
    }
  }
}
