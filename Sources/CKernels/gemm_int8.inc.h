// int8 GEMM over packed panels. The including set defines dot4: sums += the products of 4 unsigned bytes, the same for all
// columns, with 4 signed bytes of each of 16 columns; exactly. SQ_INT8_ROWS × SQ_INT8_VECTORS accumulators fill the registers.
// Where an instruction set multiplies in other portions, it defines the whole tile (SQ_INT8_TILE); where it takes signed bytes only,
// it multiplies u − SQ_INT8_SHIFT in place of u.

#ifndef SQ_INT8_SHIFT
#define SQ_INT8_SHIFT 0
#endif

INLINE v16 dequantize(v16i sum, const sq_int8_columns *columns, size_t first, size_t count, float row_scale,
                      int32_t row_sum, sq_epilogue epilogue) {
  v16i weight_sum = splat_i(0), zero_point = splat_i(0);
  memcpy(&weight_sum, columns->sums + first, count * sizeof(int32_t));
  if (columns->zero_points) memcpy(&zero_point, columns->zero_points + first, count * sizeof(int32_t));
  const v16 scale = load_part(columns->scales + first, count, 0), bias = load_part(columns->bias + first, count, 0);
  const int32_t zero = columns->stored_zero - SQ_INT8_SHIFT;
  const v16 exact = __builtin_convertvector(sum - weight_sum * zero - zero_point * row_sum, v16);
  const v16 y = fma16(exact, scale * splat(row_scale), bias);
  return epilogue == SQ_EPILOGUE_BIAS_GELU ? gelu16(y) : epilogue == SQ_EPILOGUE_BIAS_GELU_TANH ? gelu_tanh16(y) : y;
}

#ifndef SQ_INT8_TILE
/// sums = `rows` rows of a times SQ_INT8_VECTORS · 16 columns of a panel that start at b.
INLINE void int8_tile(const size_t rows, const uint8_t *a, size_t lda, size_t k, const int8_t *b,
                      v16i sums[SQ_INT8_ROWS][SQ_INT8_VECTORS]) {
#pragma unroll
  for (size_t i = 0; i < rows; i++)
#pragma unroll
    for (size_t j = 0; j < SQ_INT8_VECTORS; j++) sums[i][j] = splat_i(0);
  for (size_t depth = 0; depth < k; depth += 4, b += SQ_S8_PANEL * 4) {
    weights_t w[SQ_INT8_VECTORS];
#pragma unroll
    for (size_t j = 0; j < SQ_INT8_VECTORS; j++) w[j] = load_weights(b + j * LANES * 4);
#pragma unroll
    for (size_t i = 0; i < rows; i++) {
      const activations_t x = load_activations(a + i * lda + depth);
#pragma unroll
      for (size_t j = 0; j < SQ_INT8_VECTORS; j++) sums[i][j] = dot4(sums[i][j], x, w[j]);
    }
  }
}
#endif

INLINE void int8_block(const size_t rows, const uint8_t *a, size_t lda, const float *row_scales, const int32_t *row_sums,
                       size_t k, const int8_t *panel, const sq_int8_columns *columns, size_t first_column, size_t count,
                       sq_epilogue epilogue, float *c, size_t ldc) {
  for (size_t column = 0; column < count; column += SQ_INT8_VECTORS * LANES) {
    v16i sums[SQ_INT8_ROWS][SQ_INT8_VECTORS];
    int8_tile(rows, a, lda, k, panel + column * 4, sums);
    for (size_t j = 0; j < SQ_INT8_VECTORS; j++) {
      const size_t first = column + j * LANES;
      if (first >= count) break;
      const size_t width = count - first < LANES ? count - first : LANES;
#pragma unroll
      for (size_t i = 0; i < rows; i++) {
        const v16 y =
            width == LANES
                ? dequantize(sums[i][j], columns, first_column + first, LANES, row_scales[i], row_sums[i], epilogue)
                : dequantize(sums[i][j], columns, first_column + first, width, row_scales[i], row_sums[i], epilogue);
        if (width == LANES) store16(c + i * ldc + first, y);
        else store_part(c + i * ldc + first, width, y);
      }
    }
  }
}

void SQ_SYMBOL(u8s8f32_gemm)(const uint8_t *a, size_t lda, const float *row_scales, const int32_t *row_sums, size_t m,
                             size_t k, const int8_t *panels, const sq_int8_columns *columns, size_t n,
                             sq_epilogue epilogue, float *c, size_t ldc) {
  for (size_t column = 0; column < n; column += SQ_S8_PANEL) {
    const int8_t *panel = panels + column * k;
    const size_t count = n - column < SQ_S8_PANEL ? n - column : SQ_S8_PANEL;
    size_t row = 0;
    for (; row + SQ_INT8_ROWS <= m; row += SQ_INT8_ROWS)
      int8_block(SQ_INT8_ROWS, a + row * lda, lda, row_scales + row, row_sums + row, k, panel, columns, column, count,
                 epilogue, c + row * ldc + column, ldc);
    for (; row < m; row++)
      int8_block(1, a + row * lda, lda, row_scales + row, row_sums + row, k, panel, columns, column, count, epilogue,
                 c + row * ldc + column, ldc);
  }
}
