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

void SQ_SYMBOL(f32_residual_norm_row)(float *residual, const float *x, const float *bias, const float *scale,
                                      const float *shift, float epsilon, size_t n) {
  const size_t whole = n / LANES * LANES, rest = n - whole;
  v16 sum = splat(0);
  for (size_t i = 0; i < whole; i += LANES) {
    v16 y = load16(x + i);
    if (bias) y = y + load16(bias + i);
    y = load16(residual + i) + y;
    store16(residual + i, y);
    sum = sum + y;
  }
  if (rest) {
    v16 y = load_part(x + whole, rest, 0);
    if (bias) y = y + load_part(bias + whole, rest, 0);
    y = load_part(residual + whole, rest, 0) + y;
    store_part(residual + whole, rest, y);
    sum = sum + y;
  }
  const float mean = sum16(sum) / (float)n;

  // The variance in a second pass: exact enough whatever the mean.
  v16 squares = splat(0);
  for (size_t i = 0; i < whole; i += LANES) {
    const v16 d = load16(residual + i) - splat(mean);
    squares = fma16(d, d, squares);
  }
  if (rest) {
    const v16 d = load_part(residual + whole, rest, mean) - splat(mean);
    squares = fma16(d, d, squares);
  }
  const float factor = 1.0f / __builtin_sqrtf(sum16(squares) / (float)n + epsilon);

  for (size_t i = 0; i < whole; i += LANES) {
    const v16 y = (load16(residual + i) - splat(mean)) * splat(factor);
    store16(residual + i, fma16(y, load16(scale + i), load16(shift + i)));
  }
  if (rest) {
    const v16 y = (load_part(residual + whole, rest, 0) - splat(mean)) * splat(factor);
    store_part(residual + whole, rest, fma16(y, load_part(scale + whole, rest, 0), load_part(shift + whole, rest, 0)));
  }
}

float SQ_SYMBOL(f32_softmax_row)(float *row, size_t n) {
  const size_t whole = n / LANES * LANES, rest = n - whole;
  v16 most = splat(-__builtin_inff());
  for (size_t i = 0; i < whole; i += LANES) most = max16(load16(row + i), most);
  if (rest) most = max16(load_part(row + whole, rest, -__builtin_inff()), most);
  const v16 largest = splat(largest16(most));

  v16 sum = splat(0);
  for (size_t i = 0; i < whole; i += LANES) {
    const v16 e = exp16(load16(row + i) - largest);
    store16(row + i, e);
    sum = sum + e;
  }
  if (rest) {
    // Lanes beyond the row hold −∞, whose exponential is 0.
    const v16 e = exp16(load_part(row + whole, rest, -__builtin_inff()) - largest);
    store_part(row + whole, rest, e);
    sum = sum + e;
  }
  return sum16(sum);
}
