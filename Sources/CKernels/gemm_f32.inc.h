// float32 GEMM over packed panels, and attention, which is two of them with a softmax between.
//
// Each element of the result is accumulated in order of k with fused multiply-adds, so its bits depend neither on the tile nor on
// the other rows and columns. SQ_TILE_ROWS × SQ_TILE_VECTORS accumulators fill the instruction set's registers.

INLINE v16 finish(v16 sum, v16 bias, sq_epilogue epilogue) {
  switch (epilogue) {
    case SQ_EPILOGUE_NONE: return sum;
    case SQ_EPILOGUE_BIAS: return sum + bias;
    case SQ_EPILOGUE_BIAS_GELU: return gelu16(sum + bias);
    case SQ_EPILOGUE_BIAS_GELU_TANH: return gelu_tanh16(sum + bias);
  }
  return sum;
}

_Static_assert(SQ_F32_PANEL % (SQ_TILE_VECTORS * LANES) == 0, "tiles end where a panel ends");

/// The sums of one tile: `rows` rows of a times `vectors` · 16 columns of a panel, stored as `[rows][SQ_TILE_VECTORS]`. With the
/// rows a constant the sums stay in registers. Every F32_FETCH_DEPTHS depths are a step of `ahead`.
INLINE void f32_tile(const size_t rows, const size_t vectors, const float *a, size_t lda, size_t k, const float *panel,
                     fetch *ahead, v16 *tile) {
  fetch fetch = *ahead;
  v16 sums[SQ_TILE_ROWS][SQ_TILE_VECTORS];
  const float *row[SQ_TILE_ROWS];
#pragma unroll
  for (size_t i = 0; i < rows; i++) {
    row[i] = a + i * lda;
#pragma unroll
    for (size_t j = 0; j < vectors; j++) sums[i][j] = splat(0);
  }
  for (size_t depth = 0, end = 0; depth < k;) {
    fetch_step(&fetch);
    end = k - depth < F32_FETCH_DEPTHS ? k : depth + F32_FETCH_DEPTHS;
    // Unrolled, the compiler loads several depths' elements at once and runs out of registers.
#pragma clang loop unroll(disable)
    for (; depth < end; depth++) {
      v16 b[SQ_TILE_VECTORS];
#pragma unroll
      for (size_t j = 0; j < vectors; j++) b[j] = load16(panel + depth * SQ_F32_PANEL + j * LANES);
#pragma unroll
      for (size_t i = 0; i < rows; i++) {
        const v16 x = splat(row[i][depth]);
#pragma unroll
        for (size_t j = 0; j < vectors; j++) sums[i][j] = fma16(x, b[j], sums[i][j]);
      }
    }
  }
  *ahead = fetch;
#pragma unroll
  for (size_t i = 0; i < rows; i++)
#pragma unroll
    for (size_t j = 0; j < vectors; j++) tile[i * SQ_TILE_VECTORS + j] = sums[i][j];
}

#define SQ_TILES(name, vectors)                                                                                      \
  static void name(size_t rows, const float *a, size_t lda, size_t k, const float *panel, fetch *ahead, v16 *tile) { \
    switch (rows) { SQ_EACH_COUNT(SQ_TILE_ROWS, SQ_TILE_##vectors) }                                                 \
  }
#define SQ_TILE_wide(rows) case rows: f32_tile(rows, SQ_TILE_VECTORS, a, lda, k, panel, ahead, tile); return;
#define SQ_TILE_narrow(rows) case rows: f32_tile(rows, 1, a, lda, k, panel, ahead, tile); return;
SQ_TILES(f32_wide_tile, wide)
#if SQ_TILE_VECTORS > 1
SQ_TILES(f32_narrow_tile, narrow)
#else
#define f32_narrow_tile f32_wide_tile
#endif
#undef SQ_TILES
#undef SQ_TILE_wide
#undef SQ_TILE_narrow

void SQ_SYMBOL(f32_gemm)(const float *a, size_t lda, size_t m, size_t k, const float *panels, size_t n, const float *bias,
                         sq_epilogue epilogue, float *c, size_t ldc, const float *next) {
  const size_t tiles = (m + SQ_TILE_ROWS - 1) / SQ_TILE_ROWS;
  for (size_t column = 0, width; column < n; column += width) {
    // A wide tile, or one vector where the columns that are left need no more.
    const size_t place = column % SQ_F32_PANEL, left = n - column;
    const int is_wide = left > (SQ_TILE_VECTORS - 1) * LANES;
    width = is_wide ? SQ_TILE_VECTORS * LANES : LANES;
    const float *const panel = panels + (column - place) * k;
    const float *const following = left + place > SQ_F32_PANEL ? panel + SQ_F32_PANEL * k : next;
    fetch ahead = fetch_over(tiles * (k / F32_FETCH_DEPTHS), following ? following + place * k : NULL, width * k * sizeof(float));
    for (size_t row = 0; row < m; row += SQ_TILE_ROWS) {
      const size_t rows = m - row < SQ_TILE_ROWS ? m - row : SQ_TILE_ROWS;
      float *const target = c + row * ldc + column;
      for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < width && j < left; j += LANES) __builtin_prefetch(target + i * ldc + j, 1, 2);
      v16 tile[SQ_TILE_ROWS * SQ_TILE_VECTORS];
      if (is_wide) f32_wide_tile(rows, a + row * lda, lda, k, panel + place, &ahead, tile);
      else f32_narrow_tile(rows, a + row * lda, lda, k, panel + place, &ahead, tile);
      for (size_t j = 0; j < width && j < left; j += LANES) {
        const size_t first = column + j, count = left - j < LANES ? left - j : LANES;
        const v16 shift = !bias ? splat(0) : count == LANES ? load16(bias + first) : load_part(bias + first, count, 0);
        for (size_t i = 0; i < rows; i++) {
          const v16 y = finish(tile[i * SQ_TILE_VECTORS + j / LANES], shift, epilogue);
          if (count == LANES) store16(target + i * ldc + j, y);
          else store_part(target + i * ldc + j, count, y);
        }
      }
    }
  }
}

void SQ_SYMBOL(f32_attention)(const float *q, const float *k, const float *v, size_t stride, size_t n, size_t attended,
                              size_t head_size, float scale, float *out, size_t out_stride, float *scratch) {
  const size_t padded_n = sq_padded(n, SQ_F32_PANEL), padded_head = sq_padded(head_size, SQ_F32_PANEL);
  float *const keys = scratch, *const values = keys + padded_n * head_size, *const scores = values + n * padded_head;

  // kᵀ and v as panels.
  for (size_t first = 0; first < padded_n; first += SQ_F32_PANEL) {
    const size_t tokens = n - first < SQ_F32_PANEL ? n - first : SQ_F32_PANEL;
    float *const panel = keys + first * head_size;
    for (size_t i = 0; i < head_size; i++) {
      for (size_t token = 0; token < tokens; token++) panel[i * SQ_F32_PANEL + token] = k[(first + token) * stride + i];
      for (size_t token = tokens; token < SQ_F32_PANEL; token++) panel[i * SQ_F32_PANEL + token] = 0;
    }
  }
  for (size_t part = 0; part < padded_head; part += SQ_F32_PANEL) {
    const size_t width = head_size - part < SQ_F32_PANEL ? head_size - part : SQ_F32_PANEL;
    for (size_t token = 0; token < n; token++) {
      float *const row = values + part * n + token * SQ_F32_PANEL;
      memcpy(row, v + token * stride + part, width * sizeof *row);
      memset(row + width, 0, (SQ_F32_PANEL - width) * sizeof *row);
    }
  }

  // A block of queries at a time, so that its scores stay in the cache until they are used.
  for (size_t first = 0; first < n; first += SQ_QUERY_BLOCK) {
    const size_t rows = n - first < SQ_QUERY_BLOCK ? n - first : SQ_QUERY_BLOCK;
    float *const result = out + first * out_stride;
    SQ_SYMBOL(f32_gemm)(q + first * stride, stride, rows, head_size, keys, n, NULL, SQ_EPILOGUE_NONE, scores, padded_n, NULL);
    float sums[SQ_QUERY_BLOCK];
    for (size_t i = 0; i < rows; i++) {
      float *const row = scores + i * padded_n;
      sums[i] = SQ_SYMBOL(f32_softmax_row)(row, attended, scale);
      // What a masked score's exponential is; a product with 0 leaves the bits of a sum alone.
      memset(row + attended, 0, (n - attended) * sizeof *row);
    }
    SQ_SYMBOL(f32_gemm)(scores, padded_n, rows, n, values, head_size, NULL, SQ_EPILOGUE_NONE, result, out_stride, NULL);
    for (size_t i = 0; i < rows; i++) {
      const v16 factor = splat(1.0f / sums[i]);
      float *const row = result + i * out_stride;
      size_t j = 0;
      for (; j + LANES <= head_size; j += LANES) store16(row + j, load16(row + j) * factor);
      if (j < head_size) store_part(row + j, head_size - j, load_part(row + j, head_size - j, 0) * factor);
    }
  }
}
