// What turns the exact sums of an int8 product into real numbers.

#ifndef SQ_INT8_SHIFT
#define SQ_INT8_SHIFT 0
#endif

/// What finishes `count` ≤ 16 columns.
typedef struct {
  v16i offset, zero_point;
  v16 scale, bias;
} finishing;

/// Finishes those columns of `n` rows of sums, `stride` apart.
INLINE void finish_rows(const int32_t *sums, size_t stride, const size_t n, const float *row_scales, const int32_t *row_sums,
                        const finishing by, const size_t count, const int has_zero_points, const sq_epilogue epilogue, float *c,
                        size_t ldc) {
  v16 y[n];
  EACH(i, n) {
    v16i sum = load16i(sums + i * stride) - by.offset;
    if (has_zero_points) sum = sum - by.zero_point * row_sums[i];
    y[i] = fma16(__builtin_convertvector(sum, v16), by.scale * splat(row_scales[i]), by.bias);
  }
  activate_each(y, n, epilogue);
  EACH(i, n) {
    if (count == LANES) store16(c + i * ldc, y[i]);
    else store_part(c + i * ldc, count, y[i]);
  }
}

/// What is subtracted from the sums of `count` ≤ 16 columns, from the `first` on: the share of the stored zero.
INLINE v16i column_offsets(const sq_int8_columns *columns, size_t first, const size_t count) {
  v16i sums = splat_i(0);
  memcpy(&sums, columns->sums + first, count * sizeof(int32_t));
  return sums * (columns->stored_zero - SQ_INT8_SHIFT);
}

/// Finishes `rows` × `count` ≤ 16 sums, `stride` apart, of the columns from `first` on. What is constant in the caller costs nothing in the
/// loop.
INLINE void finish_columns(const int32_t *sums, size_t stride, size_t rows, const float *row_scales,
                           const int32_t *row_sums, const sq_int8_columns *columns, size_t first, const size_t count,
                           const int has_zero_points, const sq_epilogue epilogue, float *c, size_t ldc) {
  finishing by = {0};
  by.offset = column_offsets(columns, first, count);
  memcpy(&by.scale, columns->scales + first, count * sizeof(float));
  memcpy(&by.bias, columns->bias + first, count * sizeof(float));
  if (has_zero_points) memcpy(&by.zero_point, columns->zero_points + first, count * sizeof(int32_t));
#define SQ_FINISH(n)                                                                                                        \
  finish_rows(sums + i * stride, stride, n, row_scales + i, row_sums + i, by, count, has_zero_points, epilogue, c + i * ldc + first, \
              ldc)
  size_t i = 0;
  for (; i + SQ_ABREAST <= rows; i += SQ_ABREAST) SQ_FINISH(SQ_ABREAST);
  for (; i < rows; i++) SQ_FINISH(1);
#undef SQ_FINISH
}

/// The same for any number of columns; the sums have room for whole vectors.
static void finish_tile(const int32_t *sums, size_t stride, size_t rows, const float *row_scales, const int32_t *row_sums,
                        const sq_int8_columns *columns, size_t first, size_t count, sq_epilogue epilogue, float *c,
                        size_t ldc) {
#define SQ_FINISH(count, has_zero_points, epilogue)                                                               \
  finish_columns(sums + j, stride, rows, row_scales, row_sums, columns, first + j, count, has_zero_points, epilogue, \
                 c, ldc)
  const int has_zero_points = columns->zero_points != NULL;
  for (size_t j = 0; j < count; j += LANES) {
    if (count - j < LANES) SQ_FINISH(count - j, has_zero_points, epilogue);
    else if (has_zero_points) SQ_FINISH(LANES, 1, epilogue);
    else if (epilogue == SQ_EPILOGUE_BIAS_GELU) SQ_FINISH(LANES, 0, SQ_EPILOGUE_BIAS_GELU);
    else if (epilogue == SQ_EPILOGUE_BIAS_GELU_TANH) SQ_FINISH(LANES, 0, SQ_EPILOGUE_BIAS_GELU_TANH);
    else SQ_FINISH(LANES, 0, SQ_EPILOGUE_BIAS);
  }
#undef SQ_FINISH
}
