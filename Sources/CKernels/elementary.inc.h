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

/// Of sixteen parts of 0…GELU_END: a point of each, and a polynomial in the distance from it, lowest power first. The first part ends at 0.375, the
/// last begins at 4; between them, exponent and first two bits of a float tell.
static const _Alignas(64) float gelu_parts[7][LANES] = {
  {
    0, 0.40625f, 0.46875f, 0.5625f, 0.6875f, 0.8125f, 0.9375f, 1.125f, 1.375f, 1.625f, 1.875f, 2.25f, 2.75f, 3.25f, 3.75f, 5.5f
  },
  {
    0, 0x1.1cc6cap-3f, 0x1.32d6d6p-3f, 0x1.4a7eap-3f, 0x1.5a3458p-3f, 0x1.5a883p-3f, 0x1.4e8fb6p-3f, 0x1.2c32d6p-3f,
    0x1.dc462ep-4f, 0x1.5aa72ap-4f, 0x1.d2e35cp-5f, 0x1.c2a48ap-6f, 0x1.0c8316p-7f, 0x1.eb9b3cp-10f, 0x1.5bac1p-12f, 0
  },
  {
    0.5f, 0x1.8b5bccp-3f, 0x1.3773e6p-3f, 0x1.866c9ep-4f, 0x1.e0b2f8p-6f, -0x1.95b268p-6f, -0x1.116ed2p-4f, -0x1.baa428p-4f,
    -0x1.0752eep-3f, -0x1.efcb36p-4f, -0x1.93c66ep-4f, -0x1.e4e1e2p-5f, -0x1.68e60ap-6f, -0x1.8a5abp-8f, -0x1.43700cp-10f,
    -0x1.240728p-17f
  },
  {
    -0x1.987de2p-2f, -0x1.591e82p-2f, -0x1.45cd4ep-2f, -0x1.2591bap-2f, -0x1.ec9e5ep-3f, -0x1.8978acp-3f, -0x1.271ef6p-3f,
    -0x1.3eaa9p-4f, -0x1.15cf1cp-7f, 0x1.178d72p-5f, 0x1.ab0642p-5f, 0x1.8e2c64p-5f, 0x1.9e6d6ap-6f, 0x1.1cab3cp-7f,
    0x1.16b16ep-9f, -0x1.f2e4cp-15f
  },
  {
    -0x1.01169ep-11f, 0x1.86b154p-4f, 0x1.b06276p-4f, 0x1.e1bb8ap-4f, 0x1.04b82p-3f, 0x1.09a2d8p-3f, 0x1.00c0a8p-3f,
    0x1.bcf148p-4f, 0x1.32ed5ap-4f, 0x1.415336p-5f, 0x1.5531d2p-7f, -0x1.9e5fc6p-7f, -0x1.e6a11p-7f, -0x1.d8c4c2p-8f,
    -0x1.22a762p-9f, -0x1.4bc28cp-13f
  },
  {
    0x1.1e14c6p-4f, 0x1.680b6p-5f, 0x1.3235bap-5f, 0x1.b62886p-6f, 0x1.89a124p-7f, -0x1.1f7576p-9f, -0x1.e348d8p-7f,
    -0x1.d4979p-6f, -0x1.2a50e8p-5f, -0x1.107cd6p-5f, -0x1.8322ap-6f, -0x1.0112c4p-7f, 0x1.88245ap-9f, 0x1.ca4588p-9f,
    0x1.91a5ecp-10f, -0x1.565128p-13f
  },
  {
    -0x1.3a7b46p-7f, -0x1.4a3206p-6f, -0x1.6574d8p-6f, -0x1.7def68p-6f, -0x1.80b39ep-6f, -0x1.633df2p-6f, -0x1.2b7628p-6f,
    -0x1.7222c4p-7f, -0x1.780df4p-10f, 0x1.7d189p-8f, 0x1.233a06p-7f, 0x1.d419dp-8f, 0x1.c42dc6p-10f, -0x1.70f24ap-11f,
    -0x1.5ffca6p-11f, -0x1.2a182ep-14f
  },
};

/// x = x · Φ(x) = max(x, 0) − u · Φ(−u), with u = |x|: what is subtracted is one of sixteen polynomials. Looking coefficients up takes no unit that
/// multiplies.
INLINE void gelu_each(v16 *x, const size_t n) {
  v16 u[n], p[n];
  v16i part[n];
  // In this order the minimum is GELU_END where x is not a number.
  EACH(i, n) u[i] = min16((v16)((v16i)x[i] & splat_i(INT32_MAX)), splat(GELU_END));
  // 0.375 has the bits 0x3ec00000.
  EACH(i, n) part[i] = min16i(max16i(((v16i)u[i] >> 21) - splat_i((0x3ec00000 >> 21) - 1), splat_i(0)), splat_i(LANES - 1));
  EACH(i, n) u[i] = u[i] - lookup(gelu_parts[0], part[i]);
  EACH(i, n) p[i] = lookup(gelu_parts[6], part[i]);
#define GELU_STEP(power) EACH(i, n) p[i] = fma16(p[i], u[i], lookup(gelu_parts[power + 1], part[i]))
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
