// 2ʸ and GELU over 16 lanes. Polynomials fitted by Tests/KernelsTests/fit_polynomials.py; the largest errors against double
// precision are measured by the tests (ElementaryTests).

/// Added to a float of magnitude below 2²², 1.5 · 2²³ leaves the nearest whole number, ties to even, in the low bits.
#define ROUNDER 0x1.8p+23f

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

/// In what units fixed_exp2_each takes exponents: as a float's lowest bit is to its exponent.
#define FIXED_EXP2_UNIT 0x1p23f

/// x = 2^(x / FIXED_EXP2_UNIT) for x ≤ 0; below 2⁻¹⁰⁰ all are alike. The exponent is an integer, of which the upper bits are the
/// result's exponent, and the lower ones the fraction of a number from 1 to 2, of which the polynomial takes the power.
INLINE void fixed_exp2_each(v16 *x, const size_t n) {
  v16i bits[n];
  v16 p[n];
  EACH(i, n) x[i] = max16(x[i], splat(-100 * FIXED_EXP2_UNIT));
  EACH(i, n) bits[i] = __builtin_convertvector(x[i], v16i);
  EACH(i, n) x[i] = (v16)((bits[i] & splat_i(0x7fffff)) | splat_i(0x3f800000));
  EACH(i, n) p[i] = fma16(splat(0x1.ec3208p-10f), x[i], splat(-0x1.a1e6f4p-12f));
  EACH(i, n) p[i] = fma16(p[i], x[i], splat(0x1.3c93dcp-5f));
  EACH(i, n) p[i] = fma16(p[i], x[i], splat(0x1.b9b120p-4f));
  EACH(i, n) p[i] = fma16(p[i], x[i], splat(0x1.6a3ed6p-2f));
  EACH(i, n) p[i] = fma16(p[i], x[i], splat(0x1.fe3eaap-2f));
  EACH(i, n) x[i] = (v16)((v16i)p[i] + (bits[i] & splat_i(~0x7fffff)));
}

/// Where x · Φ(x) is max(x, 0) to the precision of a float.
#define GELU_END 5.5f

/// Of eight parts of 0…GELU_END: a point of each, and a polynomial in the distance from it, lowest power first. The parts end at 0.5, 0.75, 1, 1.5,
/// 2, 3, 4 and GELU_END, as the exponent and first bit of a float tell.
static const _Alignas(64) float gelu_parts[8][LANES] = {
  {0, 0.625f, 0.875f, 1.25f, 1.75f, 2.5f, 3.5f, 5.5f},
  {0, 0x1.547624p-3f, 0x1.55e3e6p-3f, 0x1.0e76a2p-3f, 0x1.1f24ep-4f, 0x1.fcb20ep-7f, 0x1.aae0f8p-11f, 0},
  {0.5f, 0x1.f2c4f2p-5f, -0x1.8329dcp-5f, -0x1.f66cp-4f, -0x1.c65a8cp-4f, -0x1.341bcep-5f, -0x1.71d458p-9f, -0x1.1ba4d2p-18f},
  {-0x1.988372p-2f, -0x1.0e6796p-2f, -0x1.57e0a6p-3f, -0x1.474ecp-5f, 0x1.777ab4p-5f, 0x1.3123eep-5f, 0x1.251494p-8f, -0x1.37b88p-16f},
  {-0x1.1acd72p-14f, 0x1.f95d78p-4f, 0x1.06cdep-3f, 0x1.7bea8p-4f, 0x1.829ce6p-6f, -0x1.0d54fep-6f, -0x1.13a0c4p-8f, -0x1.2ead38p-15f},
  {0x1.124ac4p-4f, 0x1.3db8dp-6f, -0x1.1f2eb8p-7f, -0x1.1845c8p-5f, -0x1.daae7cp-6f, -0x1.104ffp-11f, 0x1.46783p-9f, -0x1.b8a67ep-19f},
  {-0x1.82342ap-10f, -0x1.8293b6p-6f, -0x1.496ae4p-6f, -0x1.98cddp-8f, 0x1.fc91dep-8f, 0x1.1b1c3ap-8f, -0x1.a3a3d4p-11f, 0x1.99473ap-16f},
  {-0x1.0b2f3p-7f, -0x1.e9086ap-13f, 0x1.29aa44p-8f, 0x1.b14442p-8f, 0x1.0d5e28p-9f, -0x1.e434ccp-10f, 0x1.3d6392p-16f, 0x1.64ae7ap-16f},
};

/// x = x · Φ(x) = max(x, 0) − u · Φ(−u), with u = |x|: what is subtracted is one of eight polynomials. Looking coefficients up takes no unit that
/// multiplies.
INLINE void gelu_each(v16 *x, const size_t n) {
  v16 u[n], p[n];
  v16i part[n];
  // In this order the minimum is GELU_END where x is not a number.
  EACH(i, n) u[i] = min16((v16)((v16i)x[i] & splat_i(INT32_MAX)), splat(GELU_END));
  // 0.5 has the bits 0x3f000000; what is below is in the first part.
  EACH(i, n) part[i] = max16i(((v16i)u[i] >> 22) - splat_i((0x3f000000 >> 22) - 1), splat_i(0));
  EACH(i, n) u[i] = u[i] - lookup(gelu_parts[0], part[i]);
  EACH(i, n) p[i] = lookup(gelu_parts[7], part[i]);
#define GELU_STEP(power) EACH(i, n) p[i] = fma16(p[i], u[i], lookup(gelu_parts[power + 1], part[i]))
  GELU_STEP(5);
  GELU_STEP(4);
  GELU_STEP(3);
  GELU_STEP(2);
  GELU_STEP(1);
  GELU_STEP(0);
#undef GELU_STEP
  // In this order the maximum is not a number where x is not.
  EACH(i, n) x[i] = max16(splat(0), x[i]) - p[i];
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
