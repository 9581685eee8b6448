// Kernels over one row: elementwise operations, LayerNorm, softmax.

void SQ_SYMBOL(f32_bias_row)(float *row, const float *bias, size_t n) {
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) store16(row + i, load16(row + i) + load16(bias + i));
  if (i < n) store_part(row + i, n - i, load_part(row + i, n - i, 0) + load_part(bias + i, n - i, 0));
}

void SQ_SYMBOL(f32_bias_gelu_row)(float *row, const float *bias, size_t n) {
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) store16(row + i, gelu16(load16(row + i) + load16(bias + i)));
  if (i < n) store_part(row + i, n - i, gelu16(load_part(row + i, n - i, 0) + load_part(bias + i, n - i, 0)));
}

void SQ_SYMBOL(f32_bias_gelu_tanh_row)(float *row, const float *bias, size_t n) {
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) store16(row + i, gelu_tanh16(load16(row + i) + load16(bias + i)));
  if (i < n) store_part(row + i, n - i, gelu_tanh16(load_part(row + i, n - i, 0) + load_part(bias + i, n - i, 0)));
}

/// Sums over a row are kept in so many vectors, which the vectors of the row join in turn: an addition does not wait for the one before.
#define ROW_SUMS 4

INLINE v16 sum_of_sums(const v16 *sums) { return (sums[0] + sums[1]) + (sums[2] + sums[3]); }

/// residual = residual + (x + bias), up to a vector of it; returns that.
INLINE v16 add_part(float *residual, const float *x, const float *bias, const size_t count) {
  v16 y = count == LANES ? load16(x) : load_part(x, count, 0);
  if (bias) y = y + (count == LANES ? load16(bias) : load_part(bias, count, 0));
  y = (count == LANES ? load16(residual) : load_part(residual, count, 0)) + y;
  if (count == LANES) store16(residual, y);
  else store_part(residual, count, y);
  return y;
}

void SQ_SYMBOL(f32_residual_norm_row)(float *residual, const float *x, const float *bias, const float *scale,
                                      const float *shift, float epsilon, size_t n) {
  const size_t whole = n / LANES * LANES, rest = n - whole, fours = whole / (ROW_SUMS * LANES) * (ROW_SUMS * LANES);
  v16 sums[ROW_SUMS];
  EACH(j, ROW_SUMS) sums[j] = splat(0);
#define SQ_ADD(i, count) add_part(residual + (i), x + (i), bias ? bias + (i) : NULL, count)
  for (size_t i = 0; i < fours; i += ROW_SUMS * LANES) EACH(j, ROW_SUMS) sums[j] = sums[j] + SQ_ADD(i + j * LANES, LANES);
  EACH(j, ROW_SUMS) {
    const size_t i = fours + j * LANES;
    if (i < whole) sums[j] = sums[j] + SQ_ADD(i, LANES);
    else if (i < n) sums[j] = sums[j] + SQ_ADD(i, rest);
  }
#undef SQ_ADD
  const float mean = sum16(sum_of_sums(sums)) / (float)n;

  // The variance in a second pass: exact enough whatever the mean.
  EACH(j, ROW_SUMS) sums[j] = splat(0);
  for (size_t i = 0; i < fours; i += ROW_SUMS * LANES) EACH(j, ROW_SUMS) {
    const v16 d = load16(residual + i + j * LANES) - splat(mean);
    sums[j] = fma16(d, d, sums[j]);
  }
  EACH(j, ROW_SUMS) {
    const size_t i = fours + j * LANES;
    if (i >= n) continue;
    const v16 d = (i < whole ? load16(residual + i) : load_part(residual + i, rest, mean)) - splat(mean);
    sums[j] = fma16(d, d, sums[j]);
  }
  const float factor = 1.0f / __builtin_sqrtf(sum16(sum_of_sums(sums)) / (float)n + epsilon);

  for (size_t i = 0; i < whole; i += LANES) {
    const v16 y = (load16(residual + i) - splat(mean)) * splat(factor);
    store16(residual + i, fma16(y, load16(scale + i), load16(shift + i)));
  }
  if (rest) {
    const v16 y = (load_part(residual + whole, rest, 0) - splat(mean)) * splat(factor);
    store_part(residual + whole, rest, fma16(y, load_part(scale + whole, rest, 0), load_part(shift + whole, rest, 0)));
  }
}

float SQ_SYMBOL(f32_softmax_row)(float *row, size_t n, float scale) {
  const size_t whole = n / LANES * LANES, rest = n - whole, abreast = whole / (SQ_ABREAST * LANES) * (SQ_ABREAST * LANES);
  v16 most = splat(-__builtin_inff());
  for (size_t i = 0; i < whole; i += LANES) most = max16(load16(row + i), most);
  if (rest) most = max16(load_part(row + whole, rest, -__builtin_inff()), most);
  const v16 largest = splat(largest16(most)), factor = splat(scale * LOG2_E);

  v16 sum = splat(0), e[SQ_ABREAST];
  for (size_t i = 0; i < abreast; i += SQ_ABREAST * LANES) {
    EACH(j, SQ_ABREAST) e[j] = load16(row + i + j * LANES) - largest;
    exponentials_each(e, SQ_ABREAST, factor);
    EACH(j, SQ_ABREAST) {
      store16(row + i + j * LANES, e[j]);
      sum = sum + e[j];
    }
  }
  for (size_t i = abreast; i < whole; i += LANES) {
    e[0] = load16(row + i) - largest;
    exponentials_each(e, 1, factor);
    store16(row + i, e[0]);
    sum = sum + e[0];
  }
  if (rest) {
    // Lanes beyond the row hold −∞: what they add is lost beside 1.
    e[0] = load_part(row + whole, rest, -__builtin_inff()) - largest;
    exponentials_each(e, 1, factor);
    store_part(row + whole, rest, e[0]);
    sum = sum + e[0];
  }
  return sum16(sum);
}

typedef uint8_t v16b __attribute__((vector_size(16)));

INLINE v16i round_to_int(v16 x) { return (v16i)(x + splat(ROUNDER)) - (v16i)splat(ROUNDER); }

INLINE void store_bytes(uint8_t *p, v16i x, size_t n) {
  const v16b bytes = __builtin_convertvector(x, v16b);
  memcpy(p, &bytes, n);
}

/// 64 bytes: four vectors' integers of −128 to 127, plus 128.
INLINE void store_shifted_bytes(uint8_t *p, const v16i *x) {
#ifdef SQ_MASKED_MOVES
  // Packing works in quarters of a register, which the permutation puts right.
  const __m512i low = _mm512_packs_epi32((__m512i)x[0], (__m512i)x[1]), high = _mm512_packs_epi32((__m512i)x[2], (__m512i)x[3]);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
  _mm512_storeu_si512(p, _mm512_xor_si512(bytes, _mm512_set1_epi8(-128)));
#else
  EACH(i, 4) store_bytes(p + i * LANES, x[i] + 128, LANES);
#endif
}

INLINE int32_t sum16i(v16i x) {
  int32_t sum = 0;
  for (int i = 0; i < LANES; i++) sum += x[i];
  return sum;
}

/// A row that holds what is not finite, as bytes: so that whatever is computed from it is not a number.
INLINE void quantize_no_row(size_t padded_n, uint8_t *u, float *scale, int32_t *sum) {
  memset(u, 0, padded_n);
  *scale = __builtin_nanf("");
  *sum = 0;
}

/// A row times `factor` as bytes; returns the sum of the integers.
INLINE int32_t quantize_row(const float *x, size_t n, size_t padded_n, float factor, uint8_t *u) {
  const size_t whole = n / LANES * LANES, rest = n - whole, fours = whole / (4 * LANES) * (4 * LANES);
  v16i total = splat_i(0);
  for (size_t i = 0; i < fours; i += 4 * LANES) {
    v16i q[4];
    EACH(j, 4) q[j] = round_to_int(load16(x + i + j * LANES) * splat(factor));
    store_shifted_bytes(u + i, q);
    total += (q[0] + q[1]) + (q[2] + q[3]);
  }
  for (size_t i = fours; i < whole; i += LANES) {
    const v16i q = round_to_int(load16(x + i) * splat(factor));
    total += q;
    store_bytes(u + i, q + 128, LANES);
  }
  if (rest) {
    const v16i q = round_to_int(load_part(x + whole, rest, 0) * splat(factor));
    total += q;
    store_bytes(u + whole, q + 128, rest);
  }
  if (padded_n > n) memset(u + n, 128, padded_n - n);
  return sum16i(total);
}

/// A row waits for its largest magnitude, and for a division: those of some rows are found before the first of them is quantised.
#define SQ_QUANTIZED_ABREAST 4

void SQ_SYMBOL(f32u8_quantize_rows)(const float *x, size_t x_stride, size_t rows, size_t n, size_t padded_n, uint8_t *u,
                                    size_t stride, float *scales, int32_t *sums) {
  for (size_t first = 0; first < rows; first += SQ_QUANTIZED_ABREAST) {
    const size_t end = rows - first < SQ_QUANTIZED_ABREAST ? rows : first + SQ_QUANTIZED_ABREAST;
    float factors[SQ_QUANTIZED_ABREAST];
    for (size_t row = first; row < end; row++) {
      const float largest = float_of_bits(largest16i(larger_magnitudes(splat_i(0), x + row * x_stride, n)));
      scales[row] = largest / 127.0f;
      // A row of subnormals has no reciprocal in range; it counts as zeros.
      factors[row - first] = scales[row] < 0x1p-126f ? 0 : 127.0f / largest;
    }
    for (size_t row = first; row < end; row++) {
      if (scales[row] < __builtin_inff())
        sums[row] = quantize_row(x + row * x_stride, n, padded_n, factors[row - first], u + row * stride);
      else quantize_no_row(padded_n, u + row * stride, scales + row, sums + row);
    }
  }
}

INLINE v16i quantize_fixed(v16 x, v16 scale, int32_t zero_point, int32_t low, int32_t high) {
  // Clamped first, so that the rounding trick holds; the bounds are beyond every 8-bit range.
  const v16 y = max16(min16(x / scale, splat(1024.0f)), splat(-1024.0f));
  v16i q = round_to_int(y) + zero_point;
  q = (q & (q < high)) | (splat_i(high) & ~(q < high));
  return (q & (q > low)) | (splat_i(low) & ~(q > low));
}

/// False where an element is not finite.
INLINE int quantize_fixed_row(const float *x, size_t n, size_t padded_n, float scale, int32_t zero_point, int32_t low, int32_t high,
                              int32_t shift, uint8_t *u, int32_t *sum) {
  const size_t whole = n / LANES * LANES, rest = n - whole;
  v16i total = splat_i(0), finite = splat_i(-1);
  for (size_t i = 0; i < whole; i += LANES) {
    const v16 y = load16(x + i);
    finite &= (y - y) == splat(0);
    const v16i q = quantize_fixed(y, splat(scale), zero_point, low, high);
    total += q;
    store_bytes(u + i, q + shift, LANES);
  }
  int32_t sum_of_rest = 0;
  if (rest) {
    const v16 y = load_part(x + whole, rest, 0);
    finite &= (y - y) == splat(0);
    const v16i q = quantize_fixed(y, splat(scale), zero_point, low, high);
    for (size_t j = 0; j < rest; j++) sum_of_rest += q[j];
    store_bytes(u + whole, q + shift, rest);
  }
  if (sum16i(finite) != -LANES) return 0;
  memset(u + n, shift + zero_point, padded_n - n);
  *sum = sum16i(total) + sum_of_rest - (int32_t)n * zero_point;
  return 1;
}

void SQ_SYMBOL(f32u8_quantize_fixed_rows)(const float *x, size_t x_stride, size_t rows, size_t n, size_t padded_n, float scale,
                                          int32_t zero_point, int32_t low, int32_t high, int32_t shift, uint8_t *u, size_t stride,
                                          float *scales, int32_t *sums) {
  for (size_t row = 0; row < rows; row++) {
    scales[row] = scale;
    if (!quantize_fixed_row(x + row * x_stride, n, padded_n, scale, zero_point, low, high, shift, u + row * stride, sums + row))
      quantize_no_row(padded_n, u + row * stride, scales + row, sums + row);
  }
}

typedef int8_t v16s8 __attribute__((vector_size(16)));

void SQ_SYMBOL(s8f32_row)(const int8_t *x, size_t n, int8_t flip, float zero, float scale, float *y) {
  for (size_t i = 0; i < n; i += LANES) {
    const size_t count = n - i < LANES ? n - i : LANES;
    v16s8 bytes = {0};
    if (count == LANES) memcpy(&bytes, x + i, sizeof bytes);
    else memcpy(&bytes, x + i, count);
    const v16 value = (__builtin_convertvector(__builtin_convertvector(bytes ^ flip, v16i), v16) - splat(zero)) * splat(scale);
    if (count == LANES) store16(y + i, value);
    else store_part(y + i, count, value);
  }
}
