#include "CPeak.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>

// Twelve sums that do not wait for each other: two instructions a cycle of a latency of up to five.
#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define SUMS 12
#define STEPS 100

#define PEAK(name, features, vector, zero, step, operations)                                   \
  __attribute__((target(features))) double name(long rounds) {                                 \
    vector sum[SUMS], x = zero;                                                                \
    for (int i = 0; i < SUMS; i++) sum[i] = zero;                                              \
    __asm__ volatile("" : "+v"(x));                                                            \
    for (long i = 0; i < rounds; i++) {                                                        \
      for (int j = 0; j < STEPS; j++) {                                                        \
        EACH(step)                                                                             \
        __asm__ volatile("" : "+v"(x));                                                        \
      }                                                                                        \
    }                                                                                          \
    for (int i = 0; i < SUMS; i++) __asm__ volatile("" : : "v"(sum[i]));                       \
    return (double)rounds * STEPS * SUMS * (operations);                                       \
  }

#define STEP_AVX2(i) sum[i] = _mm256_fmadd_ps(x, x, sum[i]);
#define STEP_AVX512(i) sum[i] = _mm512_fmadd_ps(x, x, sum[i]);
#define STEP_AVXVNNI(i) sum[i] = _mm256_dpbusd_avx_epi32(sum[i], x, x);
#define STEP_VNNI(i) sum[i] = _mm512_dpbusd_epi32(sum[i], x, x);

PEAK(peak_f32_avx2, "avx2,fma", __m256, _mm256_setzero_ps(), STEP_AVX2, 16)
PEAK(peak_f32_avx512, "avx512f", __m512, _mm512_setzero_ps(), STEP_AVX512, 32)
PEAK(peak_int8_avxvnni, "avx2,avxvnni", __m256i, _mm256_setzero_si256(), STEP_AVXVNNI, 64)
PEAK(peak_int8_avx512vnni, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(), STEP_VNNI, 128)

__attribute__((target("amx-tile,amx-int8"))) double peak_int8_amx(long rounds) {
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t column_bytes[16];
    uint8_t rows[16];
  } tiles = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    tiles.rows[i] = 16;
    tiles.column_bytes[i] = 64;
  }
  _tile_loadconfig(&tiles);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (long i = 0; i < rounds; i++) {
    for (int j = 0; j < STEPS; j++) {
      _tile_dpbusd(0, 4, 6);
      _tile_dpbusd(1, 4, 7);
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    }
  }
  _tile_release();
  return (double)rounds * STEPS * 4 * (2.0 * 16 * 16 * 64);
}
#else
double peak_f32_avx2(long rounds) { return 0; }
double peak_f32_avx512(long rounds) { return 0; }
double peak_int8_avxvnni(long rounds) { return 0; }
double peak_int8_avx512vnni(long rounds) { return 0; }
double peak_int8_amx(long rounds) { return 0; }
#endif
