// 2ʸ and GELU over 16 lanes. Polynomials fitted by Tests/KernelsTests/fit_polynomials.py; the largest errors against double
// precision are measured by the tests (ElementaryTests).

/// Added to a float of magnitude below 2²², 1.5 · 2²³ leaves the nearest whole number, ties to even, in the low bits.
#define ROUNDER 0x1.8p+23f

/// 2ʸ for −126 ≤ y ≤ 126: a whole power and a polynomial for the rest, |r| ≤ 1/2.
INLINE v16 exp2_16(v16 y) {
  const v16 shifted = y + splat(ROUNDER);
  const v16 r = y - (shifted - splat(ROUNDER));
  v16 p = splat(0x1.5bb9e4p-10f);
  p = fma16(p, r, splat(0x1.3ceab4p-7f));
  p = fma16(p, r, splat(0x1.c6b754p-5f));
  p = fma16(p, r, splat(0x1.ebf9bcp-3f));
  p = fma16(p, r, splat(0x1.62e42ap-1f));
  p = fma16(p, r, splat(1.0f));
  // The low bits of `shifted` move into the exponent; what else it holds is shifted out.
  return (v16)((v16i)p + ((v16i)shifted << 23));
}

/// x · Φ(x) = max(x, 0) − |x| · Φ(−|x|), with Φ(−t) = 2^−P(t). Φ(−8) is below 10⁻¹⁵.
INLINE v16 gelu16(v16 x) {
  const v16 t = min16((v16)((v16i)x & splat_i(INT32_MAX)), splat(8.0f));
  v16 p = splat(0x1.a5d72ap-22f);
  p = fma16(p, t, splat(-0x1.05c610p-17f));
  p = fma16(p, t, splat(0x1.0e2a5cp-14f));
  p = fma16(p, t, splat(-0x1.06d9acp-12f));
  p = fma16(p, t, splat(-0x1.883d98p-15f));
  p = fma16(p, t, splat(0x1.ca8dd4p-8f));
  p = fma16(p, t, splat(-0x1.adddfap-5f));
  p = fma16(p, t, splat(-0x1.d63b16p-2f));
  p = fma16(p, t, splat(-0x1.26aedap+0f));
  p = fma16(p, t, splat(-1.0f));
  // In this order the maximum is not a number where x is not.
  return fma16(-t, exp2_16(p), max16(splat(0), x));
}

/// x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), with (1 + tanh u)/2 = 1 / (1 + exp(−2u))
INLINE v16 gelu_tanh16(v16 x) {
  // √(2/π) · −2 · log₂ e
  const v16 y = fma16(x * x * x, splat(0x1.6e4e26p-5f), x) * splat(-0x1.26aec2p+1f);
  return x / (splat(1.0f) + exp2_16(max16(min16(y, splat(126.0f)), splat(-126.0f))));
}
