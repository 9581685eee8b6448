// Attention in fixed point: both products are sums of products of 16-bit integers, exact, with a softmax in float32 between. The including set
// defines dot2: sums += the products of a pair of integers, the same for all columns, with a pair of each of 16 columns.
// SQ_PAIR_SUMS vectors of sums fill the registers, at most SQ_PAIR_VECTORS of them side by side.
//
// Queries have a scale each, keys and values one for the head and sequence. Queries and keys are scaled by their length: as no product of two
// vectors is larger than the product of their lengths (Cauchy and Schwarz), integers can be larger than if the largest element decided.

/// Rows of a tile that is so many vectors wide.
#define PAIR_MOST_ROWS 12
#define PAIR_ROWS(vectors) (SQ_PAIR_SUMS / (vectors) < PAIR_MOST_ROWS ? SQ_PAIR_SUMS / (vectors) : PAIR_MOST_ROWS)

/// What a row's probabilities sum up to as integers, at most, and the largest of them. A sum of values stays below 2³¹ by the former, though
/// rounding makes each probability up to half a unit larger.
#define MOST_SUM(attended) (65536.0f - (float)(attended))
#define MOST_PROBABILITY 32767

/// The length of the longest query or key as integers. A difference of two of their products stays below 2³¹, though rounding makes them longer.
#define LONGEST 32000

_Static_assert(SQ_S16_PANEL % (SQ_PAIR_VECTORS * LANES) == 0, "tiles end where a panel ends");

typedef int16_t v16s __attribute__((vector_size(32)));

/// x · factor to the nearest integer, ties to even, in the low 16 bits of each lane.
INLINE v16i fixed_point(v16 x, v16 factor) { return (v16i)fma16(x, factor, splat(ROUNDER)); }

INLINE void store_halves(void *p, v16i x) {
  const v16s halves = __builtin_convertvector(x, v16s);
  memcpy(p, &halves, sizeof halves);
}

/// Up to 16 floats at `p`, of which `left` are there; the other lanes are zero.
INLINE v16 load_left(const float *p, size_t left) {
  return left >= LANES ? load16(p) : left > 0 ? load_part(p, left, 0) : splat(0);
}

/// The largest magnitude in `rows` rows; infinite or not a number where something is not finite.
INLINE float largest_magnitude(const float *x, size_t stride, size_t rows, size_t n) {
  v16i most = splat_i(0);
  for (size_t row = 0; row < rows; row++) most = larger_magnitudes(most, x + row * stride, n);
  return float_of_bits(largest16i(most));
}

/// The squares of a row in 16 sums.
INLINE v16 squares_of(const float *row, size_t n) {
  v16 sum = splat(0);
  for (size_t i = 0; i < n; i += LANES) {
    const v16 x = load_left(row + i, n - i);
    sum = fma16(x, x, sum);
  }
  return sum;
}

/// The length of the longest of `rows` rows; infinite or not a number where something is not finite. 16 rows at a time, turned over, so that
/// their sums are lanes.
INLINE float longest_length(const float *x, size_t stride, size_t rows, size_t n) {
  v16i most = splat_i(0);
  for (size_t row = 0; row < rows; row += LANES) {
    v16 sums[LANES];
    for (size_t j = 0; j < LANES; j++) sums[j] = row + j < rows ? squares_of(x + (row + j) * stride, n) : splat(0);
    transpose16(sums);
    for (int width = LANES / 2; width > 0; width /= 2)
      for (int j = 0; j < width; j++) sums[j] = sums[j] + sums[j + width];
    most = max16i((v16i)sums[0] & splat_i(INT32_MAX), most);
  }
  return __builtin_sqrtf(float_of_bits(largest16i(most)));
}

/// What integers stand for and how they are made: x = integer · scale, integer = x · factor.
typedef struct {
  float scale, factor;
} fixed_scale;

/// By which `largest` becomes `limit`. Where it is so small that its square has no precise number, all count as zeros; what is not finite
/// gives the scale NaN.
INLINE fixed_scale fixed_scale_for(float largest, float limit) {
  if (!(largest < __builtin_inff())) return (fixed_scale){__builtin_nanf(""), 0};
  return (fixed_scale){largest / limit, largest < 0x1p-50f ? 0 : limit / largest};
}

/// Elements i to i + 31 of a row of n as 16 words, a pair in each.
INLINE v16i pair_words(const float *row, size_t i, size_t n, v16 factor) {
  int32_t words[LANES];
  for (size_t half = 0; half < 2; half++) {
    const size_t first = i + half * LANES;
    store_halves((char *)words + half * sizeof(v16s), fixed_point(load_left(row + first, first < n ? n - first : 0), factor));
  }
  return load16i(words);
}

/// Keys as panels, 16 tokens × 32 elements at a time; tokens that are not there are zero.
INLINE void pack_key_pairs(const float *k, size_t stride, size_t n, size_t head_size, float factor, int32_t *panels) {
  const size_t pairs = (head_size + 1) / 2;
  for (size_t token = 0; token < sq_padded(n, LANES); token += LANES) {
    int32_t *const panel = panels + (token - token % SQ_S16_PANEL) * pairs + token % SQ_S16_PANEL;
    for (size_t pair = 0; pair < pairs; pair += LANES) {
      v16 x[LANES];
      for (size_t j = 0; j < LANES; j++)
        x[j] = token + j < n ? (v16)pair_words(k + (token + j) * stride, 2 * pair, head_size, splat(factor)) : splat(0);
      transpose16(x);
      for (size_t j = 0; j < LANES && pair + j < pairs; j++) store16i(panel + (pair + j) * SQ_S16_PANEL, (v16i)x[j]);
    }
  }
}

/// Values as [pairs of tokens][padded head] words.
INLINE void pack_value_pairs(const float *v, size_t stride, size_t n, size_t head_size, float factor, int32_t *words) {
  const size_t padded_head = sq_padded(head_size, LANES);
  for (size_t token = 0; token < n; token += 2) {
    const float *const row = v + token * stride;
    for (size_t i = 0; i < head_size; i += LANES) {
      const v16i even = fixed_point(load_left(row + i, head_size - i), splat(factor));
      const v16i odd = token + 1 < n ? fixed_point(load_left(row + stride + i, head_size - i), splat(factor)) : splat_i(0);
      store16i(words + token / 2 * padded_head + i, (even & splat_i(0xffff)) | odd << 16);
    }
  }
}

/// c = `rows` rows of a times `vectors` · 16 columns of b, which has `ldb` words from one pair to the next. With the rows a constant the
/// sums stay in registers.
INLINE void s16_tile(const size_t rows, const size_t vectors, const int32_t *a, size_t lda, size_t pairs, const int32_t *b,
                     size_t ldb, int32_t *c, size_t ldc) {
  v16i sums[PAIR_MOST_ROWS][SQ_PAIR_VECTORS];
#pragma clang loop unroll(full)
  for (size_t i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (size_t j = 0; j < vectors; j++) sums[i][j] = splat_i(0);
  // Unrolled, the compiler runs out of registers.
#pragma clang loop unroll(disable)
  for (size_t pair = 0; pair < pairs; pair++, b += ldb) {
    pairs_t y[SQ_PAIR_VECTORS];
#pragma clang loop unroll(full)
    for (size_t j = 0; j < vectors; j++) y[j] = load_pairs(b + j * LANES);
#pragma clang loop unroll(full)
    for (size_t i = 0; i < rows; i++) {
      const pair_t x = splat_pair(a + i * lda + pair);
#pragma clang loop unroll(full)
      for (size_t j = 0; j < vectors; j++) sums[i][j] = dot2(sums[i][j], x, y[j]);
    }
  }
#pragma clang loop unroll(full)
  for (size_t i = 0; i < rows; i++)
#pragma clang loop unroll(full)
    for (size_t j = 0; j < vectors; j++) store16i(c + i * ldc + j * LANES, sums[i][j]);
}

#define SQ_PAIR_TILES(width, most)                                                                                    \
  static void s16_tile_##width(size_t rows, const int32_t *a, size_t lda, size_t pairs, const int32_t *b, size_t ldb, \
                               int32_t *c, size_t ldc) {                                                              \
    _Static_assert(PAIR_ROWS(width) == most, "as many rows as registers hold");                                       \
    switch (rows) { SQ_EACH_COUNT(most, SQ_PAIR_TILE_##width) }                                                       \
  }
#define SQ_PAIR_TILE_1(rows) case rows: s16_tile(rows, 1, a, lda, pairs, b, ldb, c, ldc); return;
#define SQ_PAIR_TILE_2(rows) case rows: s16_tile(rows, 2, a, lda, pairs, b, ldb, c, ldc); return;
#define SQ_PAIR_TILE_4(rows) case rows: s16_tile(rows, 4, a, lda, pairs, b, ldb, c, ldc); return;
#if SQ_PAIR_SUMS == 24
SQ_PAIR_TILES(1, 12)
SQ_PAIR_TILES(2, 12)
SQ_PAIR_TILES(4, 6)
#elif SQ_PAIR_SUMS == 6
SQ_PAIR_TILES(1, 6)
#elif SQ_PAIR_SUMS == 2
SQ_PAIR_TILES(1, 2)
#endif
#undef SQ_PAIR_TILES
#undef SQ_PAIR_TILE_1
#undef SQ_PAIR_TILE_2
#undef SQ_PAIR_TILE_4

/// c = a · b. Panel i of b, SQ_S16_PANEL columns, starts at b + i · panel_step. `n` is a multiple of 16.
INLINE void s16_product(const int32_t *a, size_t lda, size_t m, size_t pairs, const int32_t *b, size_t ldb, size_t panel_step,
                        size_t n, int32_t *c, size_t ldc) {
  for (size_t column = 0, vectors; column < n; column += vectors * LANES) {
    const size_t left = (n - column) / LANES;
    vectors = SQ_PAIR_VECTORS;
    while (vectors > left) vectors /= 2;
    const int32_t *const panel = b + column / SQ_S16_PANEL * panel_step + column % SQ_S16_PANEL;
    const size_t most = PAIR_ROWS(vectors);
    for (size_t row = 0; row < m; row += most) {
      const size_t rows = m - row < most ? m - row : most;
      const int32_t *const x = a + row * lda;
      int32_t *const y = c + row * ldc + column;
#if SQ_PAIR_VECTORS == 4
      if (vectors == 4) s16_tile_4(rows, x, lda, pairs, panel, ldb, y, ldc);
      else if (vectors == 2) s16_tile_2(rows, x, lda, pairs, panel, ldb, y, ldc);
      else
#endif
        s16_tile_1(rows, x, lda, pairs, panel, ldb, y, ldc);
    }
  }
}

/// How far 16 scores are from the largest.
INLINE v16 differences(const int32_t *scores, v16i largest) { return __builtin_convertvector(load16i(scores) - largest, v16); }

/// A row of scores becomes their softmax, in integers of 16 bits, with zeros up to a multiple of 16. `factor` turns a difference of scores into
/// an exponent of 2. Returns what an integer of 1 stands for.
INLINE float s16_softmax_row(int32_t *row, size_t n, float factor) {
  const size_t whole = n / LANES * LANES, rest = n - whole, abreast = whole / (SQ_ABREAST * LANES) * (SQ_ABREAST * LANES);
  const v16i is_there = (v16i){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} < splat_i((int32_t)rest);
  v16i most = splat_i(INT32_MIN);
  for (size_t i = 0; i < whole; i += LANES) most = max16i(load16i(row + i), most);
  if (rest) most = max16i((load16i(row + whole) & is_there) | (splat_i(INT32_MIN) & ~is_there), most);
  const v16i largest = splat_i(largest16i(most));

  v16 sum = splat(0), e[SQ_ABREAST];
  for (size_t i = 0; i < abreast; i += SQ_ABREAST * LANES) {
    EACH(j, SQ_ABREAST) e[j] = differences(row + i + j * LANES, largest);
    exponentials_each(e, SQ_ABREAST, splat(factor));
    EACH(j, SQ_ABREAST) {
      store16i(row + i + j * LANES, (v16i)e[j]);
      sum = sum + e[j];
    }
  }
  for (size_t i = abreast; i < n; i += LANES) {
    e[0] = differences(row + i, largest);
    exponentials_each(e, 1, splat(factor));
    if (i == whole) e[0] = (v16)((v16i)e[0] & is_there);
    store16i(row + i, (v16i)e[0]);
    sum = sum + e[0];
  }
  // The largest element is 1.
  const float total = sum16(sum), room = MOST_SUM(n) / total, share = room < MOST_PROBABILITY ? room : MOST_PROBABILITY;
  // In place: what is written lies before what is read next.
  for (size_t i = 0; i < n; i += LANES)
    store_halves((char *)row + i * sizeof(int16_t), fixed_point((v16)load16i(row + i), splat(share)));
  return 1.0f / (share * total);
}

void SQ_SYMBOL(s16_attention)(const float *q, const float *k, const float *v, size_t stride, size_t n, size_t attended,
                              size_t head_size, float scale, float *out, size_t out_stride, void *scratch) {
  const sq_s16_attention_layout layout = sq_s16_attention_layout_of(attended, head_size);
  int32_t *const keys = scratch, *const values = keys + layout.keys, *const queries = values + layout.values;
  int32_t *const scores = queries + layout.queries, *const mixes = scores + layout.scores;
  const size_t pairs = (head_size + 1) / 2, queries_stride = sq_padded(pairs, LANES);
  const size_t row_length = sq_padded(attended, LANES), padded_head = sq_padded(head_size, LANES);

  const fixed_scale key_scale = fixed_scale_for(longest_length(k, stride, attended, head_size), LONGEST);
  const fixed_scale value_scale = fixed_scale_for(largest_magnitude(v, stride, attended, head_size), INT16_MAX);
  pack_key_pairs(k, stride, attended, head_size, key_scale.factor, keys);
  pack_value_pairs(v, stride, attended, head_size, value_scale.factor, values);
  const float exponent = key_scale.scale * (scale * LOG2_E);

  // A block of queries at a time, so that its scores stay in the cache until they are used.
  for (size_t first = 0; first < n; first += SQ_QUERY_BLOCK) {
    const size_t rows = n - first < SQ_QUERY_BLOCK ? n - first : SQ_QUERY_BLOCK;
    float exponents[SQ_QUERY_BLOCK];
    for (size_t i = 0; i < rows; i++) {
      const float *const row = q + (first + i) * stride;
      const fixed_scale own = fixed_scale_for(__builtin_sqrtf(sum16(squares_of(row, head_size))), LONGEST);
      exponents[i] = own.scale * exponent;
      for (size_t pair = 0; pair < pairs; pair += LANES) {
        store16i(queries + i * queries_stride + pair, pair_words(row, 2 * pair, head_size, splat(own.factor)));
      }
    }
    s16_product(queries, queries_stride, rows, pairs, keys, SQ_S16_PANEL, SQ_S16_PANEL * pairs, row_length, scores, row_length);
    float factors[SQ_QUERY_BLOCK];
    for (size_t i = 0; i < rows; i++) {
      const int is_finite = exponents[i] - exponents[i] == 0;
      const float unit = s16_softmax_row(scores + i * row_length, attended, is_finite ? exponents[i] : 0);
      factors[i] = is_finite ? unit * value_scale.scale : __builtin_nanf("");
    }
    s16_product(scores, row_length, rows, (attended + 1) / 2, values, padded_head, SQ_S16_PANEL, padded_head, mixes, padded_head);
    for (size_t i = 0; i < rows; i++) {
      float *const row = out + (first + i) * out_stride;
      for (size_t j = 0; j < head_size; j += LANES) {
        const v16 y = __builtin_convertvector(load16i(mixes + i * padded_head + j), v16) * splat(factors[i]);
        if (head_size - j >= LANES) store16(row + j, y);
        else store_part(row + j, head_size - j, y);
      }
    }
  }
}
