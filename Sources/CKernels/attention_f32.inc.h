// Attention in float32: two products with a softmax between.

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

/// The largest elements of SQ_ABREAST rows of n, of which `rows` are there, in 16 lanes.
INLINE void f32_largest_rows(float *scores, size_t row_length, size_t rows, size_t n, v16 *largest) {
  const size_t whole = n / LANES * LANES, rest = n - whole;
  float *row[SQ_ABREAST];
  rows_abreast(scores, row_length, rows, row);
  v16 most[SQ_ABREAST];
  EACH(j, SQ_ABREAST) most[j] = rest ? load_part(row[j] + whole, rest, -__builtin_inff()) : splat(-__builtin_inff());
  for (size_t i = 0; i < whole; i += LANES) EACH(j, SQ_ABREAST) most[j] = max16(load16(row[j] + i), most[j]);
  EACH(j, SQ_ABREAST) if (j < rows) largest[j] = most[j];
}

/// Those rows become their exponentials, whose sums are theirs in 16 lanes.
INLINE void f32_exponentials_rows(float *scores, size_t row_length, size_t rows, size_t n, const float *largest, v16 factor, v16 *sums) {
  const size_t whole = n / LANES * LANES, rest = n - whole;
  float *row[SQ_ABREAST];
  rows_abreast(scores, row_length, rows, row);
  v16 most[SQ_ABREAST], sum[SQ_ABREAST], e[SQ_ABREAST];
  EACH(j, SQ_ABREAST) {
    most[j] = splat(largest[j < rows ? j : rows - 1]);
    sum[j] = splat(0);
  }
  for (size_t i = 0; i < whole; i += LANES) {
    EACH(j, SQ_ABREAST) e[j] = load16(row[j] + i) - most[j];
    exponentials_each(e, SQ_ABREAST, factor);
    EACH(j, SQ_ABREAST) {
      store16(row[j] + i, e[j]);
      sum[j] = sum[j] + e[j];
    }
  }
  if (rest) {
    EACH(j, SQ_ABREAST) e[j] = load_part(row[j] + whole, rest, -__builtin_inff()) - most[j];
    exponentials_each(e, SQ_ABREAST, factor);
    EACH(j, SQ_ABREAST) {
      store_part(row[j] + whole, rest, e[j]);
      sum[j] = sum[j] + e[j];
    }
  }
  EACH(j, SQ_ABREAST) if (j < rows) sums[j] = sum[j];
}

/// Each of a block's rows becomes what f32_softmax_row makes of it; `factors` are what it is to be multiplied by. Step by step for all rows, so
/// that none waits for another's sum.
INLINE void f32_softmax(float *scores, size_t row_length, size_t rows, size_t n, float scale, float *factors) {
  v16 lanes[PADDED_BLOCK] = {0};
  for (size_t i = 0; i < rows; i += SQ_ABREAST) f32_largest_rows(scores + i * row_length, row_length, rows - i, n, lanes + i);
  float largest[PADDED_BLOCK];
  for (size_t i = 0; i < rows; i += LANES) store16(largest + i, largest16_each(lanes + i));
  for (size_t i = 0; i < rows; i += SQ_ABREAST)
    f32_exponentials_rows(scores + i * row_length, row_length, rows - i, n, largest + i, splat(scale * LOG2_E), lanes + i);
  for (size_t i = 0; i < rows; i += LANES) store16(factors + i, splat(1.0f) / sum16_each(lanes + i));
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
    float factors[PADDED_BLOCK];
    f32_softmax(scores, row_length, rows, attended, scale, factors);
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
