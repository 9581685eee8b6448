// Four products a column, in plain C.

typedef struct { int8_t byte[LANES * 4]; } weights_t;
typedef struct { uint8_t byte[4]; } activations_t;

INLINE weights_t load_weights(const int8_t *p) {
  weights_t w;
  memcpy(&w, p, sizeof w);
  return w;
}

INLINE activations_t load_activations(const uint8_t *p) {
  activations_t x;
  memcpy(&x, p, sizeof x);
  return x;
}

INLINE v16i dot4(v16i sum, activations_t x, weights_t w) {
  for (int column = 0; column < LANES; column++)
    for (int i = 0; i < 4; i++) sum[column] += (int32_t)x.byte[i] * w.byte[column * 4 + i];
  return sum;
}
