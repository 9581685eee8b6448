#include "CGEMMSteps.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
// Steps from the third on are compiled for the processors that the benchmark runs them on.
#define WIDE __attribute__((target("avx512f,avx512vnni,avx512bw,fma")))
#else
#define WIDE
#endif

typedef float v16 __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) WIDE v16 load(const float *p) {
  v16 x;
  memcpy(&x, p, sizeof x);
  return x;
}

static inline __attribute__((always_inline)) WIDE void store(float *p, v16 x) { memcpy(p, &x, sizeof x); }

// Every element of c is a row of a times a column of b, as the definition has it.
void step_triple_loop(const float *a, const float *b, float *c, size_t m, size_t k, size_t n) {
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
      float sum = 0;
      for (size_t l = 0; l < k; l++) sum += a[i * k + l] * b[l * n + j];
      c[i * n + j] = sum;
    }
}

// The two inner loops change places: b and c are read along their rows, and neighbours are independent of each other.
void step_rows_of_b(const float *a, const float *b, float *c, size_t m, size_t k, size_t n) {
  for (size_t i = 0; i < m; i++) {
    for (size_t j = 0; j < n; j++) c[i * n + j] = 0;
    for (size_t l = 0; l < k; l++)
      for (size_t j = 0; j < n; j++) c[i * n + j] += a[i * k + l] * b[l * n + j];
  }
}

// The same in vectors of 16, with multiply and add in one instruction.
WIDE void step_wide_vectors(const float *a, const float *b, float *c, size_t m, size_t k, size_t n) {
  for (size_t i = 0; i < m; i++) {
    for (size_t j = 0; j < n; j += 16) store(c + i * n + j, (v16){0});
    for (size_t l = 0; l < k; l++) {
      const v16 x = a[i * k + l] - (v16){0};
      for (size_t j = 0; j < n; j += 16)
        store(c + i * n + j, __builtin_elementwise_fma(x, load(b + l * n + j), load(c + i * n + j)));
    }
  }
}

// Twelve vectors of sums stay in registers while k runs: c is written once.
WIDE void step_sums_in_registers(const float *a, const float *b, float *c, size_t m, size_t k, size_t n) {
  enum { VECTORS = 12 };
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j += 16 * VECTORS) {
      const size_t vectors = n - j < 16 * VECTORS ? (n - j) / 16 : VECTORS;
      v16 sums[VECTORS];
#pragma unroll
      for (size_t v = 0; v < VECTORS; v++) sums[v] = (v16){0};
      for (size_t l = 0; l < k; l++) {
        const v16 x = a[i * k + l] - (v16){0};
        const float *const row = b + l * n + j;
#pragma unroll
        for (size_t v = 0; v < VECTORS; v++)
          if (v < vectors) sums[v] = __builtin_elementwise_fma(x, load(row + 16 * v), sums[v]);
      }
#pragma unroll
      for (size_t v = 0; v < VECTORS; v++)
        if (v < vectors) store(c + i * n + j + 16 * v, sums[v]);
    }
}

// Eight rows of a times three vectors of b: 24 products for 11 loads. `step` is the distance from a row of b to the next.
static inline __attribute__((always_inline)) WIDE void tile(const float *a, size_t k, const float *b, size_t step, float *c, size_t n) {
  v16 sums[8][3];
#pragma unroll
  for (size_t i = 0; i < 8; i++)
#pragma unroll
    for (size_t v = 0; v < 3; v++) sums[i][v] = (v16){0};
#pragma clang loop unroll(disable)
  for (size_t l = 0; l < k; l++) {
    v16 y[3];
#pragma unroll
    for (size_t v = 0; v < 3; v++) y[v] = load(b + l * step + 16 * v);
#pragma unroll
    for (size_t i = 0; i < 8; i++) {
      const v16 x = a[i * k + l] - (v16){0};
#pragma unroll
      for (size_t v = 0; v < 3; v++) sums[i][v] = __builtin_elementwise_fma(x, y[v], sums[i][v]);
    }
  }
#pragma unroll
  for (size_t i = 0; i < 8; i++)
#pragma unroll
    for (size_t v = 0; v < 3; v++) store(c + i * n + 16 * v, sums[i][v]);
}

WIDE void step_tile(const float *a, const float *b, float *c, size_t m, size_t k, size_t n) {
  for (size_t i = 0; i < m; i += 8)
    for (size_t j = 0; j < n; j += 48) tile(a + i * k, k, b + j, n, c + i * n + j, n);
}

void step_pack(const float *b, float *panels, size_t k, size_t n) {
  for (size_t j = 0; j < n; j += 48)
    for (size_t l = 0; l < k; l++) memcpy(panels + j * k + l * 48, b + l * n + j, 48 * sizeof(float));
}

// The same tile over packed columns, and all rows for one panel before the next: the panel stays in the cache.
WIDE void step_panels(const float *a, const float *panels, float *c, size_t m, size_t k, size_t n) {
  for (size_t j = 0; j < n; j += 48)
    for (size_t i = 0; i < m; i += 8) tile(a + i * k, k, panels + j * k, 48, c + i * n + j, n);
}

void step_bytes(const uint8_t *a, const int8_t *b, int32_t *c, size_t m, size_t k, size_t n) {
  for (size_t i = 0; i < m; i++) {
    for (size_t j = 0; j < n; j++) c[i * n + j] = 0;
    for (size_t l = 0; l < k; l++)
      for (size_t j = 0; j < n; j++) c[i * n + j] += a[i * k + l] * b[l * n + j];
  }
}

void step_bytes_pack(const int8_t *b, int8_t *panels, size_t k, size_t n) {
  for (size_t j = 0; j < n; j++)
    for (size_t l = 0; l < k; l++) panels[j / 64 * 64 * k + l / 4 * 256 + j % 64 * 4 + l % 4] = b[l * n + j];
}

// sums += the products of 4 bytes of a, the same for 16 columns, with 4 bytes of each column.
typedef int32_t v16i __attribute__((vector_size(64)));

static inline __attribute__((always_inline)) WIDE v16i dot4(v16i sums, const uint8_t *a, const int8_t *b) {
#if defined(__x86_64__)
  int32_t four;
  memcpy(&four, a, sizeof four);
  return (v16i)_mm512_dpbusd_epi32((__m512i)sums, _mm512_set1_epi32(four), _mm512_loadu_si512(b));
#else
  for (size_t j = 0; j < 16; j++)
    for (size_t l = 0; l < 4; l++) sums[j] += a[l] * b[j * 4 + l];
  return sums;
#endif
}

// Six rows times four vectors, each instruction four products a column.
WIDE void step_bytes_panels(const uint8_t *a, const int8_t *panels, int32_t *c, size_t m, size_t k, size_t n) {
  for (size_t j = 0; j < n; j += 64)
    for (size_t i = 0; i < m; i += 6) {
      const int8_t *const panel = panels + j * k;
      v16i sums[6][4];
#pragma unroll
      for (size_t r = 0; r < 6; r++)
#pragma unroll
        for (size_t v = 0; v < 4; v++) sums[r][v] = (v16i){0};
#pragma clang loop unroll(disable)
      for (size_t l = 0; l < k; l += 4)
#pragma unroll
        for (size_t r = 0; r < 6; r++)
#pragma unroll
          for (size_t v = 0; v < 4; v++) sums[r][v] = dot4(sums[r][v], a + (i + r) * k + l, panel + l * 64 + v * 64);
#pragma unroll
      for (size_t r = 0; r < 6; r++)
#pragma unroll
        for (size_t v = 0; v < 4; v++) memcpy(c + (i + r) * n + j + 16 * v, &sums[r][v], 64);
    }
}
