// What turns the exact sums of an int8 product into real numbers.

#ifndef SQ_INT8_SHIFT
#define SQ_INT8_SHIFT 0
#endif

/// Finishes `rows` × `count` ≤ 16 sums, `stride` apart, of the columns from `first` on. What is constant in the caller costs nothing in the
/// loop.
INLINE void finish_columns(const int32_t *sums, size_t stride, size_t rows, const float *row_scales,
                           const int32_t *row_sums, const sq_int8_columns *columns, size_t first, const size_t count,
                           const int has_zero_points, const sq_epilogue epilogue, float *c, size_t ldc) {
  v16i offset = splat_i(0), zero_point = splat_i(0);
  v16 scale = splat(0), bias = splat(0);
  memcpy(&offset, columns->sums + first, count * sizeof(int32_t));
  offset = offset * (columns->stored_zero - SQ_INT8_SHIFT);
  memcpy(&scale, columns->scales + first, count * sizeof(float));
  memcpy(&bias, columns->bias + first, count * sizeof(float));
  if (has_zero_points) memcpy(&zero_point, columns->zero_points + first, count * sizeof(int32_t));
  for (size_t i = 0; i < rows; i++) {
    v16i sum;
    memcpy(&sum, sums + i * stride, sizeof sum);
    sum = sum - offset;
    if (has_zero_points) sum = sum - zero_point * row_sums[i];
    v16 y = fma16(__builtin_convertvector(sum, v16), scale * splat(row_scales[i]), bias);
    if (epilogue == SQ_EPILOGUE_BIAS_GELU) y = gelu16(y);
    if (epilogue == SQ_EPILOGUE_BIAS_GELU_TANH) y = gelu_tanh16(y);
    if (count == LANES) store16(c + i * ldc + first, y);
    else store_part(c + i * ldc + first, count, y);
  }
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
