// IEEE 754 binary16 to float32, exact. Sets with an instruction for it define SQ_HALF_INSTRUCTION.

#ifdef SQ_HALF_INSTRUCTION

typedef _Float16 v16h __attribute__((vector_size(32)));

INLINE v16 half16(const void *p) {
  v16h x;
  memcpy(&x, p, sizeof x);
  return __builtin_convertvector(x, v16);
}

#else

typedef uint16_t v16u __attribute__((vector_size(32)));

INLINE v16 half16(const void *p) {
  v16u x;
  memcpy(&x, p, sizeof x);
  const v16i bits = __builtin_convertvector(x, v16i);
  const v16i sign = (bits & 0x8000) << 16, exponent = bits & 0x7c00, magnitude = (bits & 0x7fff) << 13;
  // Zero and subnormals: the fraction is a whole number of 2⁻²⁴, and the product is exact.
  const v16 small = __builtin_convertvector(bits & 0x3ff, v16) * splat(0x1p-24f);
  // The exponent moves by 127 − 15, and by as much again for infinity and not-a-number, of which the first fraction bit means quiet.
  const v16i normal = magnitude + (112 << 23);
  const v16i quiet = ((bits & 0x3ff) != 0) & 0x400000;
  const v16i special = (magnitude + (224 << 23)) | quiet;
  const v16i finite = (v16i)select16(exponent == 0, small, (v16)normal);
  return (v16)((v16i)select16(exponent == 0x7c00, (v16)special, (v16)finite) | sign);
}

#endif

void SQ_SYMBOL(f16f32_row)(const void *x, size_t n, float *y) {
  const char *const halves = x;
  size_t i = 0;
  for (; i + LANES <= n; i += LANES) store16(y + i, half16(halves + 2 * i));
  if (i < n) {
    char part[2 * LANES] = {0};
    memcpy(part, halves + 2 * i, 2 * (n - i));
    store_part(y + i, n - i, half16(part));
  }
}
