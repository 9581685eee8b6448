// AMX (Sapphire Rapids, 2023): the int8 product alone is its own. Two tiles of 16 rows of activations and two of 16 columns of
// weights make four tiles of 16 × 16 sums; one instruction multiplies 16 × 64 by 64 × 16 bytes, exactly (Intel's manual, TDPBUSD).

#if defined(__x86_64__)
#pragma clang attribute push(                                                                                    \
    __attribute__((target("amx-tile,amx-int8,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"))), \
    apply_to = function)

#include "CKernels.h"

#include <immintrin.h>

#define SQ_ISA amx
#define SQ_MASKED_MOVES
#define SQ_ABREAST 4
#include "symbols.inc.h"
#include "vector16.inc.h"
#include "elementary.inc.h"
#include "fetch.inc.h"
#include "int8_columns.inc.h"

#define TILE_ROWS 16
#define TILE_BYTES 64

#define TILE_COLUMNS (2 * LANES)

_Static_assert(SQ_S8_PANEL % TILE_COLUMNS == 0, "two tiles of columns end where a panel ends");
_Static_assert(SQ_S8_DEPTH == TILE_BYTES, "rows are padded to whole tiles");

/// Tile sizes as LDTILECFG reads them (palette 1).
typedef struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t column_bytes[16];
  uint8_t rows[16];
} tile_configuration;

/// Tiles 0–3 hold sums (upper left, upper right, lower left, lower right), 4 and 5 activations, 6 and 7 weights.
INLINE void configure(size_t upper_rows, size_t lower_rows) {
  tile_configuration configuration = {.palette = 1};
  const size_t rows[8] = {upper_rows, upper_rows, lower_rows, lower_rows, upper_rows, lower_rows, TILE_ROWS, TILE_ROWS};
  for (int i = 0; i < 8; i++) {
    configuration.rows[i] = (uint8_t)rows[i];
    configuration.column_bytes[i] = TILE_BYTES;
  }
  _tile_loadconfig(&configuration);
}

/// `rows` ≤ 32 rows times 32 columns of a panel, into sums `[rows][32]`. Every tile of depths is a step of `ahead`.
INLINE void multiply(const int has_lower, const uint8_t *a, size_t lda, size_t k, const int8_t *panel, fetch *ahead,
                     int32_t *sums) {
  const size_t stride = TILE_COLUMNS * sizeof(int32_t);
  _tile_zero(0);
  _tile_zero(1);
  if (has_lower) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (size_t depth = 0; depth < k; depth += TILE_BYTES, panel += TILE_BYTES * SQ_S8_PANEL) {
    fetch_step(ahead);
    _tile_loadd(6, panel, SQ_S8_PANEL * 4);
    _tile_loadd(4, a + depth, lda);
    _tile_dpbusd(0, 4, 6);
    _tile_loadd(7, panel + LANES * 4, SQ_S8_PANEL * 4);
    _tile_dpbusd(1, 4, 7);
    if (has_lower) {
      _tile_loadd(5, a + TILE_ROWS * lda + depth, lda);
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    }
  }
  _tile_stored(0, sums, stride);
  _tile_stored(1, sums + LANES, stride);
  if (has_lower) {
    _tile_stored(2, sums + TILE_ROWS * TILE_COLUMNS, stride);
    _tile_stored(3, sums + TILE_ROWS * TILE_COLUMNS + LANES, stride);
  }
}

void SQ_SYMBOL(u8s8f32_gemm)(const uint8_t *a, size_t lda, const float *row_scales, const int32_t *row_sums, size_t m,
                             size_t k, const int8_t *panels, const sq_int8_columns *columns, size_t n,
                             sq_epilogue epilogue, float *c, size_t ldc, const int8_t *next) {
  int32_t sums[2 * TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(64)));
  const size_t whole = m / (2 * TILE_ROWS) * (2 * TILE_ROWS);
  // Whole blocks of rows first, then the rest, for which the tiles are made smaller: rows that are not there are not read.
  for (int part = 0; part < 2; part++) {
    const size_t first = part == 0 ? 0 : whole, last = part == 0 ? whole : m;
    if (first == last) continue;
    const size_t block = part == 0 ? 2 * TILE_ROWS : last - first;
    const size_t upper = block < TILE_ROWS ? block : TILE_ROWS, lower = block - upper;
    configure(upper, lower > 0 ? lower : 1);
    for (size_t column = 0; column < n; column += TILE_COLUMNS) {
      const size_t count = n - column < TILE_COLUMNS ? n - column : TILE_COLUMNS, place = column % SQ_S8_PANEL;
      const int8_t *const panel = panels + (column - place) * k;
      const int8_t *const following = n - column + place > SQ_S8_PANEL ? panel + SQ_S8_PANEL * k : next;
      fetch ahead = fetch_over((last - first + block - 1) / block * (k / TILE_BYTES), following ? following + place * k : NULL,
                               TILE_COLUMNS * k);
      for (size_t row = first; row < last; row += block) {
        if (lower > 0) multiply(1, a + row * lda, lda, k, panel + place * 4, &ahead, sums);
        else multiply(0, a + row * lda, lda, k, panel + place * 4, &ahead, sums);
        finish_tile(sums, TILE_COLUMNS, block, row_scales + row, row_sums + row, columns, column, count, epilogue,
                    c + row * ldc, ldc);
      }
    }
  }
  _tile_release();
}

const sq_kernel_set sq_kernels_amx = {.u8s8f32_gemm = SQ_SYMBOL(u8s8f32_gemm)};

#pragma clang attribute pop
#endif
