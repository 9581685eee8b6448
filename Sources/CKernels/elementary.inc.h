// 2ʸ and GELU over 16 lanes. Polynomials fitted by Tests/KernelsTests/fit_polynomials.py; the largest errors against double
// precision are measured by the tests (ElementaryTests).

/// Added to a float of magnitude below 2²², 1.5 · 2²³ leaves the nearest whole number, ties to even, in the low bits.
#define ROUNDER 0x1.8p+23f

#define EACH(i, n) _Pragma("clang loop unroll(full)") for (size_t i = 0; i < (n); i++)

// Functions that end in _each take `n` vectors together, step by step: their steps depend on each other, and the processor looks ahead by a
// few vectors' steps only. With `n` a constant everything stays in registers.

/// y = 2ʸ for −126 ≤ y ≤ 126: a whole power and a polynomial for the rest, |r| ≤ 1/2.
INLINE void exp2_each(v16 *y, const size_t n) {
  v16 shifted[n], r[n], p[n];
  EACH(i, n) shifted[i] = y[i] + splat(ROUNDER);
  EACH(i, n) r[i] = y[i] - (shifted[i] - splat(ROUNDER));
  EACH(i, n) p[i] = fma16(splat(0x1.5bb9e4p-10f), r[i], splat(0x1.3ceab4p-7f));
  EACH(i, n) p[i] = fma16(p[i], r[i], splat(0x1.c6b754p-5f));
  EACH(i, n) p[i] = fma16(p[i], r[i], splat(0x1.ebf9bcp-3f));
  EACH(i, n) p[i] = fma16(p[i], r[i], splat(0x1.62e42ap-1f));
  EACH(i, n) p[i] = fma16(p[i], r[i], splat(1.0f));
  // The low bits of `shifted` move into the exponent; what else it holds is shifted out.
  EACH(i, n) y[i] = (v16)((v16i)p[i] + ((v16i)shifted[i] << 23));
}

#define LOG2_E 0x1.715476p+0f

/// x = 2^(x · factor), where that is above 2⁻¹²⁶: in a softmax, whose largest element is 1, smaller ones vanish. What is not a number stays
/// none.
INLINE void exponentials_each(v16 *x, const size_t n, v16 factor) {
  EACH(i, n) x[i] = max16(splat(-126.0f), x[i] * factor);
  exp2_each(x, n);
}

INLINE v16 exp2_16(v16 y) {
  exp2_each(&y, 1);
  return y;
}

/// In what units coarse_exp2_each takes exponents: as a float's lowest bit is to its exponent.
#define COARSE_EXP2_UNIT 0x1p23f

/// x = 2^(x / COARSE_EXP2_UNIT) for x ≤ 0, to 18 bits; below 2⁻¹⁰⁰ all are alike. The exponent is an integer, of which the upper bits are the
/// result's exponent, and the lower ones the fraction of a number from 1 to 2, of which the polynomial takes the power.
INLINE void coarse_exp2_each(v16 *x, const size_t n) {
  v16i bits[n];
  v16 p[n];
  EACH(i, n) x[i] = max16(x[i], splat(-100 * COARSE_EXP2_UNIT));
  EACH(i, n) bits[i] = __builtin_convertvector(x[i], v16i);
  EACH(i, n) x[i] = (v16)((bits[i] & splat_i(0x7fffff)) | splat_i(0x3f800000));
  EACH(i, n) p[i] = fma16(splat(0x1.bb7cd4p-7f), x[i], splat(-0x1.168e3ap-9f));
  EACH(i, n) p[i] = fma16(p[i], x[i], splat(0x1.553966p-3f));
  EACH(i, n) p[i] = fma16(p[i], x[i], splat(0x1.3f8120p-2f));
  EACH(i, n) p[i] = fma16(p[i], x[i], splat(0x1.051a08p-1f));
  EACH(i, n) x[i] = (v16)((v16i)p[i] + (bits[i] & splat_i(~0x7fffff)));
}

/// Where GELU's two polynomials meet, and where x · Φ(x) is max(x, 0) to the precision of a float.
#define GELU_BOUND 2.2f
#define GELU_END 5.5f

/// x = x · Φ(x) = max(x, 0) − |x| · Φ(−|x|). What is subtracted is u · P(u): below GELU_BOUND with u = |x|, from there to GELU_END with
/// another P and u = GELU_END − |x|, beyond nothing. Choosing coefficients takes no unit that multiplies.
INLINE void gelu_each(v16 *x, const size_t n) {
  v16 u[n], p[n];
  v16i near[n];
  EACH(i, n) u[i] = (v16)((v16i)x[i] & splat_i(INT32_MAX));
  EACH(i, n) near[i] = u[i] < splat(GELU_BOUND);
  // In this order the maximum is zero where x is not a number.
  EACH(i, n) u[i] = select16(near[i], u[i], max16(splat(GELU_END) - u[i], splat(0)));
#define GELU_COEFFICIENT(i, close, far) select16(near[i], splat(close), splat(far))
#define GELU_STEP(close, far) EACH(i, n) p[i] = fma16(p[i], u[i], GELU_COEFFICIENT(i, close, far))
  EACH(i, n) p[i] = GELU_COEFFICIENT(i, 0x1.0f0a2ep-14f, 0x1.9aca3cp-23f);
  GELU_STEP(-0x1.6aaa92p-11f, -0x1.3addeap-17f);
  GELU_STEP(0x1.436e9cp-9f, 0x1.73fb8p-14f);
  GELU_STEP(-0x1.5c5cecp-10f, -0x1.7c5398p-12f);
  GELU_STEP(-0x1.2e8c2ep-7f, 0x1.b9aa56p-11f);
  GELU_STEP(-0x1.33895p-13f, -0x1.2d39bp-10f);
  GELU_STEP(0x1.10243ep-4f, 0x1.eb013p-11f);
  GELU_STEP(0x1.db4e38p-16f, -0x1.b53ccap-12f);
  GELU_STEP(-0x1.98853ep-2f, 0x1.7d8ae8p-14f);
  GELU_STEP(0.5f, -0x1.59e3f6p-18f);
#undef GELU_STEP
#undef GELU_COEFFICIENT
  // In this order the maximum is not a number where x is not.
  EACH(i, n) x[i] = fma16(-u[i], p[i], max16(splat(0), x[i]));
}

INLINE v16 gelu16(v16 x) {
  gelu_each(&x, 1);
  return x;
}

/// Φ(−t) = 2^−P(t) for 0 ≤ t ≤ 8, with Φ the normal distribution function. Φ(−8) is below 10⁻¹⁵.
INLINE v16 normal_tail16(v16 t) {
  v16 p = fma16(splat(0x1.a5d72ap-22f), t, splat(-0x1.05c610p-17f));
  p = fma16(p, t, splat(0x1.0e2a5cp-14f));
  p = fma16(p, t, splat(-0x1.06d9acp-12f));
  p = fma16(p, t, splat(-0x1.883d98p-15f));
  p = fma16(p, t, splat(0x1.ca8dd4p-8f));
  p = fma16(p, t, splat(-0x1.adddfap-5f));
  p = fma16(p, t, splat(-0x1.d63b16p-2f));
  p = fma16(p, t, splat(-0x1.26aedap+0f));
  p = fma16(p, t, splat(-1.0f));
  return exp2_16(p);
}

/// GELU and its derivative Φ(x) + x · φ(x), with φ(x) = exp(−x² / 2) / √(2π).
INLINE void gelu_and_slope16(v16 x, v16 *value, v16 *slope) {
  const v16 t = min16((v16)((v16i)x & splat_i(INT32_MAX)), splat(8.0f));
  const v16 below = normal_tail16(t);
  const v16 distribution = select16(x < splat(0), below, splat(1.0f) - below);
  // 1 / √(2π)
  const v16 density = exp2_16(t * t * splat(-LOG2_E / 2)) * splat(0x1.988454p-2f);
  *value = gelu16(x);
  *slope = fma16(x, density, distribution);
}

/// x = x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), with (1 + tanh u)/2 = 1 / (1 + exp(−2u))
INLINE void gelu_tanh_each(v16 *x, const size_t n) {
  v16 y[n];
  // √(2/π) · −2 · log₂ e
  EACH(i, n) y[i] = fma16(x[i] * x[i] * x[i], splat(0x1.6e4e26p-5f), x[i]) * splat(-0x1.26aec2p+1f);
  EACH(i, n) y[i] = max16(min16(y[i], splat(126.0f)), splat(-126.0f));
  exp2_each(y, n);
  EACH(i, n) x[i] = x[i] / (splat(1.0f) + y[i]);
}

INLINE v16 gelu_tanh16(v16 x) {
  gelu_tanh_each(&x, 1);
  return x;
}

/// x = the epilogue's function of it; the bias is in it already.
INLINE void activate_each(v16 *x, const size_t n, const sq_epilogue epilogue) {
  if (epilogue == SQ_EPILOGUE_BIAS_GELU) gelu_each(x, n);
  if (epilogue == SQ_EPILOGUE_BIAS_GELU_TANH) gelu_tanh_each(x, n);
}
