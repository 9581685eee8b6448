// exp, erf and GELU over 16 lanes. Polynomials fitted by Tests/KernelsTests/fit_polynomials.py; the largest errors against
// double precision are measured by the tests (ElementaryTests).

/// exp(x). Below −87 the result is 0 (a float32 would be subnormal there), above 88 it is that of 88.
INLINE v16 exp16(v16 x) {
  const float log2_e = 0x1.715476p+0f;
  // ln 2 in two parts: the first has few enough bits that its product with a whole number below 2⁸ is exact.
  const float ln2_high = 0x1.62e400p-1f, ln2_low = 0x1.7f7d1cp-20f;
  // Adding 1.5 · 2²³ leaves the nearest whole number in the low bits.
  const float round_to_integer = 0x1.8p+23f;

  const v16i is_zero = x < splat(-87.0f);
  x = max16(min16(x, splat(88.0f)), splat(-87.0f));
  const v16 shifted = fma16(x, splat(log2_e), splat(round_to_integer));
  const v16 whole = shifted - splat(round_to_integer);
  v16 r = fma16(whole, splat(-ln2_high), x);
  r = fma16(whole, splat(-ln2_low), r);

  v16 p = splat(0x1.6a23f2p-10f);
  p = fma16(p, r, splat(0x1.123a0ap-7f));
  p = fma16(p, r, splat(0x1.5558f2p-5f));
  p = fma16(p, r, splat(0x1.555492p-3f));
  p = fma16(p, r, splat(0x1.fffffcp-2f));
  p = fma16(p, r * r, r) + splat(1.0f);

  const v16i exponent = ((v16i)shifted - (v16i)splat(round_to_integer)) << 23;
  const v16 result = (v16)((v16i)p + exponent);
  return (v16)((v16i)result & ~is_zero);
}

/// erf(x): an odd polynomial near zero, 1 − exp(−x · Q(x)) beyond.
INLINE v16 erf16(v16 x) {
  const float boundary = 0.93f, saturation = 4.0f;
  const v16i sign = (v16i)x & splat_i(INT32_MIN);
  const v16 magnitude = min16((v16)((v16i)x & splat_i(INT32_MAX)), splat(saturation));

  const v16 square = magnitude * magnitude;
  v16 small = splat(0x1.5ccddep-14f);
  small = fma16(small, square, splat(-0x1.aa3d26p-11f));
  small = fma16(small, square, splat(0x1.54c7bcp-8f));
  small = fma16(small, square, splat(-0x1.b80e8cp-6f));
  small = fma16(small, square, splat(0x1.ce2e08p-4f));
  small = fma16(small, square, splat(-0x1.812742p-2f));
  small = fma16(small, square, splat(0x1.06eba8p-3f));
  small = fma16(small, magnitude, magnitude);

  v16 q = splat(0x1.3fd796p-18f);
  q = fma16(q, magnitude, splat(-0x1.6cb23cp-15f));
  q = fma16(q, magnitude, splat(-0x1.fa5f7cp-15f));
  q = fma16(q, magnitude, splat(0x1.83fbd2p-9f));
  q = fma16(q, magnitude, splat(-0x1.744a76p-6f));
  q = fma16(q, magnitude, splat(0x1.af58aap-4f));
  q = fma16(q, magnitude, splat(0x1.456d84p-1f));
  q = fma16(q, magnitude, splat(0x1.20e91cp+0f));
  const v16 large = splat(1.0f) - exp16(-(q * magnitude));

  const v16 result = select16(magnitude < splat(boundary), small, large);
  return (v16)((v16i)result | sign);
}

/// x · Φ(x) = x/2 · (1 + erf(x/√2))
INLINE v16 gelu16(v16 x) {
  const v16 half = x * splat(0.5f);
  return fma16(half, erf16(x * splat(0x1.6a09e6p-1f)), half);
}

/// x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), with (1 + tanh u)/2 = 1 / (1 + exp(−2u))
INLINE v16 gelu_tanh16(v16 x) {
  const v16 u = fma16(x * x * x, splat(0x1.6e4e26p-5f), x) * splat(0x1.988454p-1f);
  return x / (splat(1.0f) + exp16(u * splat(-2.0f)));
}
