// int8 GEMM over packed panels. The including set defines dot4: sums += the products of 4 unsigned bytes, the same for all
// columns, with 4 signed bytes of each of 16 columns; exactly. SQ_INT8_ROWS × SQ_INT8_VECTORS accumulators fill the registers.
// Where an instruction set multiplies in other portions, it defines the whole tile (SQ_INT8_TILE); where it takes signed bytes only,
// it multiplies u − SQ_INT8_SHIFT in place of u. Where registers are left beside the accumulators, it defines SQ_INT8_LATE: how many
// vectors of a whole tile are turned into real numbers at a time, while the next tile is multiplied.

#include "int8_columns.inc.h"

_Static_assert(SQ_S8_PANEL % (SQ_INT8_VECTORS * LANES) == 0, "tiles end where a panel ends");

/// A tile whose sums, the columns' offsets subtracted, have yet to become results: what comes next of it.
typedef struct {
  const v16i *sums;
  const float *row_scale, *scales, *biases;
  float *c;
  size_t ldc;
  /// The column within the tile.
  size_t column;
  /// Steps of SQ_INT8_LATE vectors that are left.
  size_t steps;
} late_tile;

#ifdef SQ_INT8_LATE
_Static_assert(SQ_INT8_VECTORS % SQ_INT8_LATE == 0, "a step stays in its row");

INLINE void late_step(late_tile *late, const sq_epilogue epilogue) {
  const size_t first = late->column;
  v16 y[SQ_INT8_LATE];
  EACH(j, SQ_INT8_LATE) {
    const v16 scale = load16(late->scales + first + j * LANES) * splat(*late->row_scale);
    y[j] = fma16(__builtin_convertvector(late->sums[j], v16), scale, load16(late->biases + first + j * LANES));
  }
  activate_each(y, SQ_INT8_LATE, epilogue);
  EACH(j, SQ_INT8_LATE) store16(late->c + first + j * LANES, y[j]);
  late->steps--;
  late->sums += SQ_INT8_LATE;
  late->column = first + SQ_INT8_LATE * LANES;
  if (late->column == SQ_INT8_VECTORS * LANES) {
    late->column = 0;
    late->row_scale++;
    late->c += late->ldc;
  }
}
#else
INLINE void late_step(late_tile *late, const sq_epilogue epilogue) {}
#endif

#ifndef SQ_INT8_TILE
/// sums = start + `rows` rows of a times SQ_INT8_VECTORS · 16 columns of a panel that start at b; without `start` from zero. Every
/// INT8_FETCH_DEPTHS depths are a step of `ahead`, and of `late` where there is one.
INLINE void int8_tile_from(const v16i *start, const size_t rows, const uint8_t *a, size_t lda, size_t k, const int8_t *b,
                           fetch *ahead, late_tile *late, const sq_epilogue epilogue,
                           v16i sums[SQ_INT8_ROWS][SQ_INT8_VECTORS]) {
  fetch fetch = *ahead;
  const uint8_t *row[SQ_INT8_ROWS];
#pragma unroll
  for (size_t i = 0; i < rows; i++) {
    row[i] = a + i * lda;
#pragma unroll
    for (size_t j = 0; j < SQ_INT8_VECTORS; j++) sums[i][j] = start ? start[j] : splat_i(0);
  }
  for (size_t depth = 0, end = 0; depth < k;) {
    fetch_step(&fetch);
    if (late && late->steps > 0) late_step(late, epilogue);
    end = k - depth < INT8_FETCH_DEPTHS ? k : depth + INT8_FETCH_DEPTHS;
    // Unrolled, the compiler runs out of registers. Where the loop happens to begin would cost or gain up to 2 %.
#pragma clang loop unroll(disable)
    [[clang::code_align(64)]] for (; depth < end; depth += 4, b += SQ_S8_PANEL * 4) {
      weights_t w[SQ_INT8_VECTORS];
#pragma unroll
      for (size_t j = 0; j < SQ_INT8_VECTORS; j++) w[j] = load_weights(b + j * LANES * 4);
#pragma unroll
      for (size_t i = 0; i < rows; i++) {
        const activations_t x = load_activations(row[i] + depth);
#pragma unroll
        for (size_t j = 0; j < SQ_INT8_VECTORS; j++) sums[i][j] = dot4(sums[i][j], x, w[j]);
      }
    }
  }
  *ahead = fetch;
}

INLINE void int8_tile(const size_t rows, const uint8_t *a, size_t lda, size_t k, const int8_t *b, fetch *ahead,
                      v16i sums[SQ_INT8_ROWS][SQ_INT8_VECTORS]) {
  int8_tile_from(NULL, rows, a, lda, k, b, ahead, NULL, SQ_EPILOGUE_NONE, sums);
}
#endif

/// A tile of a number of rows that is constant, so that its sums are registers, stored when they are done.
INLINE void int8_tile_stored(const size_t rows, const uint8_t *a, size_t lda, size_t k, const int8_t *panel,
                             fetch *ahead, v16i tile[SQ_INT8_ROWS][SQ_INT8_VECTORS]) {
  v16i sums[SQ_INT8_ROWS][SQ_INT8_VECTORS];
  int8_tile(rows, a, lda, k, panel, ahead, sums);
#pragma unroll
  for (size_t i = 0; i < rows; i++)
#pragma unroll
    for (size_t j = 0; j < SQ_INT8_VECTORS; j++) tile[i][j] = sums[i][j];
}

static void int8_tile_of_rows(size_t rows, const uint8_t *a, size_t lda, size_t k, const int8_t *panel,
                              fetch *ahead, v16i tile[SQ_INT8_ROWS][SQ_INT8_VECTORS]) {
#define SQ_TILE(rows) case rows: int8_tile_stored(rows, a, lda, k, panel, ahead, tile); return;
  switch (rows) { SQ_EACH_COUNT(SQ_INT8_ROWS, SQ_TILE) }
#undef SQ_TILE
}

#ifdef SQ_INT8_LATE
/// A whole tile, while the one before it is finished; what is left of that is finished after it.
INLINE void whole_tile(const v16i *offsets, const uint8_t *a, size_t lda, size_t k, const int8_t *panel, fetch *ahead, late_tile *before,
                       const sq_epilogue epilogue, v16i tile[SQ_INT8_ROWS][SQ_INT8_VECTORS]) {
  // What has its address taken here only can be in registers.
  late_tile late = *before;
  v16i start[SQ_INT8_VECTORS], sums[SQ_INT8_ROWS][SQ_INT8_VECTORS];
  EACH(j, SQ_INT8_VECTORS) start[j] = -offsets[j];
  int8_tile_from(start, SQ_INT8_ROWS, a, lda, k, panel, ahead, &late, epilogue, sums);
#pragma unroll
  for (size_t i = 0; i < SQ_INT8_ROWS; i++)
#pragma unroll
    for (size_t j = 0; j < SQ_INT8_VECTORS; j++) tile[i][j] = sums[i][j];
  while (late.steps > 0) late_step(&late, epilogue);
}

static void whole_tile_of_epilogue(const v16i *offsets, const uint8_t *a, size_t lda, size_t k, const int8_t *panel, fetch *ahead,
                                   late_tile *before, sq_epilogue epilogue, v16i tile[SQ_INT8_ROWS][SQ_INT8_VECTORS]) {
#define SQ_WHOLE(epilogue) whole_tile(offsets, a, lda, k, panel, ahead, before, epilogue, tile)
  if (epilogue == SQ_EPILOGUE_BIAS_GELU) SQ_WHOLE(SQ_EPILOGUE_BIAS_GELU);
  else if (epilogue == SQ_EPILOGUE_BIAS_GELU_TANH) SQ_WHOLE(SQ_EPILOGUE_BIAS_GELU_TANH);
  else SQ_WHOLE(SQ_EPILOGUE_BIAS);
#undef SQ_WHOLE
}

static void finish_late(late_tile late, sq_epilogue epilogue) {
  while (late.steps > 0) {
    if (epilogue == SQ_EPILOGUE_BIAS_GELU) late_step(&late, SQ_EPILOGUE_BIAS_GELU);
    else if (epilogue == SQ_EPILOGUE_BIAS_GELU_TANH) late_step(&late, SQ_EPILOGUE_BIAS_GELU_TANH);
    else late_step(&late, SQ_EPILOGUE_BIAS);
  }
}
#endif

void SQ_SYMBOL(u8s8f32_gemm)(const uint8_t *a, size_t lda, const float *row_scales, const int32_t *row_sums, size_t m,
                             size_t k, const int8_t *panels, const sq_int8_columns *columns, size_t n,
                             sq_epilogue epilogue, float *c, size_t ldc, const int8_t *next) {
  const size_t width = SQ_INT8_VECTORS * LANES, tiles = (m + SQ_INT8_ROWS - 1) / SQ_INT8_ROWS;
#ifdef SQ_INT8_LATE
  v16i whole[2][SQ_INT8_ROWS][SQ_INT8_VECTORS];
  late_tile late = {.ldc = ldc};
  int turn = 0;
#endif
  for (size_t column = 0; column < n; column += width) {
    const size_t place = column % SQ_S8_PANEL;
    const int8_t *const panel = panels + (column - place) * k;
    const int8_t *const following = n - column + place > SQ_S8_PANEL ? panel + SQ_S8_PANEL * k : next;
    fetch ahead = fetch_over(tiles * (k / INT8_FETCH_DEPTHS), following ? following + place * k : NULL, width * k);
    const size_t count = n - column < width ? n - column : width;
#ifdef SQ_INT8_LATE
    const int finishes_late = count == width && !columns->zero_points;
    v16i offsets[SQ_INT8_VECTORS];
    if (finishes_late) EACH(j, SQ_INT8_VECTORS) offsets[j] = column_offsets(columns, column + j * LANES, LANES);
#endif
    for (size_t row = 0; row < m; row += SQ_INT8_ROWS) {
      const size_t rows = m - row < SQ_INT8_ROWS ? m - row : SQ_INT8_ROWS;
#ifdef SQ_INT8_LATE
      if (finishes_late && rows == SQ_INT8_ROWS) {
        turn = !turn;
        whole_tile_of_epilogue(offsets, a + row * lda, lda, k, panel + place * 4, &ahead, &late, epilogue, whole[turn]);
        late.sums = whole[turn][0];
        late.row_scale = row_scales + row;
        late.scales = columns->scales + column;
        late.biases = columns->bias + column;
        late.c = c + row * ldc + column;
        late.steps = SQ_INT8_ROWS * SQ_INT8_VECTORS / SQ_INT8_LATE;
        continue;
      }
#endif
      v16i tile[SQ_INT8_ROWS][SQ_INT8_VECTORS];
      int8_tile_of_rows(rows, a + row * lda, lda, k, panel + place * 4, &ahead, tile);
      finish_tile((const int32_t *)tile, width, rows, row_scales + row, row_sums + row, columns, column, count, epilogue,
                  c + row * ldc, ldc);
    }
  }
#ifdef SQ_INT8_LATE
  finish_late(late, epilogue);
#endif
}
