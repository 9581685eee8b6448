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

INLINE v16 exp2_16(v16 y) {
  exp2_each(&y, 1);
  return y;
}

/// p = Φ(−t) = 2^−P(t) for 0 ≤ t ≤ 8, with Φ the normal distribution function. Φ(−8) is below 10⁻¹⁵.
INLINE void normal_tail_each(const v16 *t, v16 *p, const size_t n) {
  EACH(i, n) p[i] = fma16(splat(0x1.a5d72ap-22f), t[i], splat(-0x1.05c610p-17f));
  EACH(i, n) p[i] = fma16(p[i], t[i], splat(0x1.0e2a5cp-14f));
  EACH(i, n) p[i] = fma16(p[i], t[i], splat(-0x1.06d9acp-12f));
  EACH(i, n) p[i] = fma16(p[i], t[i], splat(-0x1.883d98p-15f));
  EACH(i, n) p[i] = fma16(p[i], t[i], splat(0x1.ca8dd4p-8f));
  EACH(i, n) p[i] = fma16(p[i], t[i], splat(-0x1.adddfap-5f));
  EACH(i, n) p[i] = fma16(p[i], t[i], splat(-0x1.d63b16p-2f));
  EACH(i, n) p[i] = fma16(p[i], t[i], splat(-0x1.26aedap+0f));
  EACH(i, n) p[i] = fma16(p[i], t[i], splat(-1.0f));
  exp2_each(p, n);
}

/// x = x · Φ(x) = max(x, 0) − |x| · Φ(−|x|)
INLINE void gelu_each(v16 *x, const size_t n) {
  v16 t[n], p[n];
  EACH(i, n) t[i] = min16((v16)((v16i)x[i] & splat_i(INT32_MAX)), splat(8.0f));
  normal_tail_each(t, p, n);
  // In this order the maximum is not a number where x is not.
  EACH(i, n) x[i] = fma16(-t[i], p[i], max16(splat(0), x[i]));
}

INLINE v16 gelu16(v16 x) {
  gelu_each(&x, 1);
  return x;
}

/// GELU and its derivative Φ(x) + x · φ(x), with φ(x) = exp(−x² / 2) / √(2π).
INLINE void gelu_and_slope16(v16 x, v16 *value, v16 *slope) {
  const v16 t = min16((v16)((v16i)x & splat_i(INT32_MAX)), splat(8.0f));
  v16 below;
  normal_tail_each(&t, &below, 1);
  const v16 distribution = select16(x < splat(0), below, splat(1.0f) - below);
  // −log₂ e / 2; 1 / √(2π)
  const v16 density = exp2_16(t * t * splat(-0x1.715476p-1f)) * splat(0x1.988454p-2f);
  *value = fma16(-t, below, max16(splat(0), x));
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
