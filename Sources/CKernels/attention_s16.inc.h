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

/// The length of the longest query or key as integers: no element is larger, and no product of two, though rounding makes them longer, than 2³¹.
#define LONGEST 32000

/// The most that a score's unit may count as an exponent of 2. The rounding of queries and keys is worth thousands of units.
#define MOST_EXPONENT 0x1p-6f

_Static_assert(SQ_S16_PANEL % (SQ_PAIR_VECTORS * LANES) == 0, "tiles end where a panel ends");

typedef int16_t v32s __attribute__((vector_size(64)));

/// x · factor to the nearest integer, ties to even, in the low 16 bits of each lane.
INLINE v16i fixed_point(v16 x, v16 factor) { return (v16i)fma16(x, factor, splat(ROUNDER)); }

/// The low halves of two vectors' words: 32 integers of 16 bits, a pair in each word.
INLINE v16i low_halves(v16i first, v16i second) {
  return (v16i)__builtin_shufflevector((v32s)first, (v32s)second, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40,
                                       42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62);
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

/// The squared lengths of 16 rows of n, of which `rows` are there; the others are as long as the last.
INLINE v16 squared_lengths(const float *x, size_t stride, size_t rows, size_t n) {
  v16 sums[LANES];
  for (size_t j = 0; j < LANES; j++) {
    const float *const row = x + (j < rows ? j : rows - 1) * stride;
    sums[j] = splat(0);
    for (size_t i = 0; i < n; i += LANES) {
      const v16 part = load_left(row + i, n - i);
      sums[j] = fma16(part, part, sums[j]);
    }
  }
  return sum16_each(sums);
}

/// The length of the longest of `rows` rows; infinite or not a number where something is not finite.
INLINE float longest_length(const float *x, size_t stride, size_t rows, size_t n) {
  v16i most = splat_i(0);
  for (size_t row = 0; row < rows; row += LANES)
    most = max16i((v16i)squared_lengths(x + row * stride, stride, rows - row, n) & splat_i(INT32_MAX), most);
  return __builtin_sqrtf(float_of_bits(largest16i(most)));
}

/// What integers stand for and how they are made: x = integer · scale, integer = x · factor.
typedef struct {
  v16 scale, factor;
} fixed_scales;

/// By which `largest` becomes `limit`. Where it is so small that its square has no precise number, all count as zeros; what is not finite
/// gives the scale NaN.
INLINE fixed_scales fixed_scales_for(v16 largest, v16 limit) {
  const v16i finite = largest < splat(__builtin_inff());
  return (fixed_scales){
    select16(finite, largest / limit, splat(__builtin_nanf(""))),
    (v16)((v16i)(limit / largest) & finite & (largest >= splat(0x1p-50f))),
  };
}

/// Elements i to i + 31 of a row of n as 16 words, a pair in each.
INLINE v16i pair_words(const float *row, size_t i, size_t n, v16 factor) {
  const v16 first = load_left(row + i, n - i), second = load_left(row + i + LANES, i + LANES < n ? n - i - LANES : 0);
  return low_halves(fixed_point(first, factor), fixed_point(second, factor));
}

/// Keys as panels, 16 tokens × 32 elements at a time; in the place of tokens that are not there stands the last, so that no score there is
/// larger than a row's largest.
INLINE void pack_key_pairs(const float *k, size_t stride, size_t n, size_t head_size, v16 factor, int32_t *panels) {
  const size_t pairs = (head_size + 1) / 2;
  for (size_t token = 0; token < sq_padded(n, LANES); token += LANES) {
    int32_t *const panel = panels + (token - token % SQ_S16_PANEL) * pairs + token % SQ_S16_PANEL;
    for (size_t pair = 0; pair < pairs; pair += LANES) {
      v16 x[LANES];
      for (size_t j = 0; j < LANES; j++)
        x[j] = (v16)pair_words(k + (token + j < n ? token + j : n - 1) * stride, 2 * pair, head_size, factor);
      transpose16(x);
      for (size_t j = 0; j < LANES && pair + j < pairs; j++) store16i(panel + (pair + j) * SQ_S16_PANEL, (v16i)x[j]);
    }
  }
}

/// Values as [pairs of tokens][padded head] words.
INLINE void pack_value_pairs(const float *v, size_t stride, size_t n, size_t head_size, v16 factor, int32_t *words) {
  const size_t padded_head = sq_padded(head_size, LANES);
  for (size_t token = 0; token < n; token += 2) {
    const float *const row = v + token * stride;
    for (size_t i = 0; i < head_size; i += LANES) {
      const v16i even = fixed_point(load_left(row + i, head_size - i), factor);
      const v16i odd = token + 1 < n ? fixed_point(load_left(row + stride + i, head_size - i), factor) : splat_i(0);
      store16i(words + token / 2 * padded_head + i, (even & splat_i(0xffff)) | odd << 16);
    }
  }
}

/// Queries as [rows][padded pairs] words, each row by a scale of its own; `scales` has room for whole vectors.
INLINE void pack_query_pairs(const float *q, size_t stride, size_t rows, size_t head_size, int32_t *words, float *scales) {
  const size_t pairs = (head_size + 1) / 2, words_stride = sq_padded(pairs, LANES);
  for (size_t row = 0; row < rows; row += LANES) {
    const v16 lengths = __builtin_elementwise_sqrt(squared_lengths(q + row * stride, stride, rows - row, head_size));
    const fixed_scales own = fixed_scales_for(lengths, splat(LONGEST));
    store16(scales + row, own.scale);
    float factors[LANES];
    store16(factors, own.factor);
    for (size_t j = 0; j < LANES && row + j < rows; j++)
      for (size_t pair = 0; pair < pairs; pair += LANES)
        store16i(words + (row + j) * words_stride + pair,
                 pair_words(q + (row + j) * stride, 2 * pair, head_size, splat(factors[j])));
  }
}

/// What becomes of a tile's sums: scores are stored, and the largest of each row and lane is kept; mixes of values are scaled, row by row, and
/// stored as real numbers. `columns` of them are there.
typedef struct {
  float *scores;
  v16 *largest;
  float *mixes;
  const float *factors;
  size_t stride, columns;
} pair_results;

/// `rows` rows of a times `vectors` · 16 columns of b, which has `ldb` words from one pair to the next. With the rows a constant the
/// sums stay in registers.
INLINE void s16_tile(const size_t rows, const size_t vectors, const int32_t *a, size_t lda, size_t pairs, const int32_t *b,
                     size_t ldb, const pair_results *results, size_t row, size_t column) {
  v16i sums[PAIR_MOST_ROWS][SQ_PAIR_VECTORS];
  EACH(i, rows) EACH(j, vectors) sums[i][j] = splat_i(0);
  // Unrolled further, the compiler runs out of registers.
#pragma clang loop unroll_count(2)
  [[clang::code_align(64)]] for (size_t pair = 0; pair < pairs; pair++, b += ldb) {
    pairs_t y[SQ_PAIR_VECTORS];
    EACH(j, vectors) y[j] = load_pairs(b + j * LANES);
    EACH(i, rows) {
      const pair_t x = splat_pair(a + i * lda + pair);
      EACH(j, vectors) sums[i][j] = dot2(sums[i][j], x, y[j]);
    }
  }
  // Copied, since the compiler would read them again after every store.
  const pair_results to = *results;
  if (to.scores) {
    float *const scores = to.scores + row * to.stride + column;
    EACH(i, rows) {
      v16 most = to.largest[row + i];
      EACH(j, vectors) {
        const v16 score = __builtin_convertvector(sums[i][j], v16);
        store16(scores + i * to.stride + j * LANES, score);
        most = max16(score, most);
      }
      to.largest[row + i] = most;
    }
  } else {
    float *const mixes = to.mixes + row * to.stride + column;
    EACH(i, rows) EACH(j, vectors) {
      const v16 mix = __builtin_convertvector(sums[i][j], v16) * splat(to.factors[row + i]);
      const size_t left = to.columns - column - j * LANES;
      if (left >= LANES) store16(mixes + i * to.stride + j * LANES, mix);
      else store_part(mixes + i * to.stride + j * LANES, left, mix);
    }
  }
}

#define SQ_PAIR_TILES(width, most)                                                                                    \
  static void s16_tile_##width(size_t rows, const int32_t *a, size_t lda, size_t pairs, const int32_t *b, size_t ldb, \
                               const pair_results *results, size_t row, size_t column) {                              \
    _Static_assert(PAIR_ROWS(width) == most, "as many rows as registers hold");                                       \
    switch (rows) { SQ_EACH_COUNT(most, SQ_PAIR_TILE_##width) }                                                       \
  }
#define SQ_PAIR_TILE_1(rows) case rows: s16_tile(rows, 1, a, lda, pairs, b, ldb, results, row, column); return;
#define SQ_PAIR_TILE_2(rows) case rows: s16_tile(rows, 2, a, lda, pairs, b, ldb, results, row, column); return;
#define SQ_PAIR_TILE_4(rows) case rows: s16_tile(rows, 4, a, lda, pairs, b, ldb, results, row, column); return;
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

/// The product of m rows of a with b, n columns, a multiple of 16. Panel i of b, SQ_S16_PANEL columns, starts at b + i · panel_step.
INLINE void s16_product(const int32_t *a, size_t lda, size_t m, size_t pairs, const int32_t *b, size_t ldb, size_t panel_step,
                        size_t n, const pair_results *results) {
  for (size_t column = 0, vectors; column < n; column += vectors * LANES) {
    const size_t left = (n - column) / LANES;
    vectors = SQ_PAIR_VECTORS;
    while (vectors > left) vectors /= 2;
    const int32_t *const panel = b + column / SQ_S16_PANEL * panel_step + column % SQ_S16_PANEL;
    const size_t most = PAIR_ROWS(vectors);
    for (size_t row = 0; row < m; row += most) {
      const size_t rows = m - row < most ? m - row : most;
      const int32_t *const x = a + row * lda;
#if SQ_PAIR_VECTORS == 4
      if (vectors == 4) s16_tile_4(rows, x, lda, pairs, panel, ldb, results, row, column);
      else if (vectors == 2) s16_tile_2(rows, x, lda, pairs, panel, ldb, results, row, column);
      else
#endif
        s16_tile_1(rows, x, lda, pairs, panel, ldb, results, row, column);
    }
  }
}

/// SQ_ABREAST rows of scores, of which `rows` are there, become their exponentials 2^(score · factor + shift), as fixed_exp2_each takes it, with
/// zeros up to a multiple of 16. `sums` are theirs, in 16 lanes.
INLINE void s16_exponentials_rows(float *scores, size_t row_length, size_t rows, size_t n, const float *factors, const float *shifts, v16 *sums) {
  float *row[SQ_ABREAST];
  rows_abreast(scores, row_length, rows, row);
  v16 factor[SQ_ABREAST], shift[SQ_ABREAST], sum[SQ_ABREAST], e[SQ_ABREAST];
  EACH(j, SQ_ABREAST) {
    const size_t place = j < rows ? j : rows - 1;
    factor[j] = splat(factors[place]);
    shift[j] = splat(shifts[place]);
    sum[j] = splat(0);
  }
  const v16i lanes = (v16i){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (size_t i = 0; i < n; i += LANES) {
    EACH(j, SQ_ABREAST) e[j] = fma16(load16(row[j] + i), factor[j], shift[j]);
    fixed_exp2_each(e, SQ_ABREAST);
    if (n - i < LANES) EACH(j, SQ_ABREAST) e[j] = (v16)((v16i)e[j] & (lanes < splat_i((int32_t)(n - i))));
    EACH(j, SQ_ABREAST) {
      store16(row[j] + i, e[j]);
      sum[j] = sum[j] + e[j];
    }
  }
  EACH(j, SQ_ABREAST) if (j < rows) sums[j] = sum[j];
}

/// A row's exponentials become integers of 16 bits, in place: what is written lies before what is read next.
INLINE void s16_probabilities_row(float *row, size_t n, float share) {
  const size_t padded = sq_padded(n, LANES);
  for (size_t i = 0; i < padded; i += 2 * LANES) {
    const v16i second = i + LANES < padded ? fixed_point(load16(row + i + LANES), splat(share)) : splat_i(0);
    store16(row + i / 2, (v16)low_halves(fixed_point(load16(row + i), splat(share)), second));
  }
}

/// Rows of scores become their softmax, in integers of 16 bits. `exponents` turn a difference of scores into an exponent of 2, and become what
/// an integer of 1 stands for. Step by step for all rows, so that none waits for another's sum.
INLINE void s16_softmax(float *scores, size_t row_length, size_t rows, size_t n, v16 *most, float *exponents) {
  v16 largest[PADDED_BLOCK / LANES], sums[PADDED_BLOCK] = {0};
  float factors[PADDED_BLOCK], shifts[PADDED_BLOCK], shares[PADDED_BLOCK];
  for (size_t i = 0; i < rows; i += LANES) {
    largest[i / LANES] = largest16_each(most + i);
    const v16 factor = min16(load16(exponents + i), splat(MOST_EXPONENT)) * splat(FIXED_EXP2_UNIT);
    store16(factors + i, factor);
    store16(shifts + i, -(largest[i / LANES] * factor));
  }
  for (size_t i = 0; i < rows; i += SQ_ABREAST)
    s16_exponentials_rows(scores + i * row_length, row_length, rows - i, n, factors + i, shifts + i, sums + i);
  for (size_t i = 0; i < rows; i += LANES) {
    // Nearly 1: the shift is rounded.
    v16 exponential = fma16(largest[i / LANES], load16(factors + i), load16(shifts + i));
    fixed_exp2_each(&exponential, 1);
    const v16 total = sum16_each(sums + i), share = min16(splat(MOST_SUM(n)) / total, splat(MOST_PROBABILITY) / exponential);
    store16(shares + i, share);
    store16(exponents + i, splat(1.0f) / (share * total));
  }
  for (size_t i = 0; i < rows; i++) s16_probabilities_row(scores + i * row_length, n, shares[i]);
}

INLINE void s16_attention_of(const float *q, const float *k, const float *v, size_t stride, size_t n, size_t attended,
                             const size_t head_size, float scale, float *out, size_t out_stride, void *scratch) {
  const sq_s16_attention_layout layout = sq_s16_attention_layout_of(attended, head_size);
  int32_t *const keys = scratch, *const values = keys + layout.keys, *const queries = values + layout.values;
  float *const scores = (float *)(queries + layout.queries);
  const size_t pairs = (head_size + 1) / 2, queries_stride = sq_padded(pairs, LANES);
  const size_t row_length = sq_padded(attended, LANES), padded_head = sq_padded(head_size, LANES);

  const fixed_scales key_scale = fixed_scales_for(splat(longest_length(k, stride, attended, head_size)), splat(LONGEST));
  const fixed_scales value_scale = fixed_scales_for(splat(largest_magnitude(v, stride, attended, head_size)), splat(INT16_MAX));
  pack_key_pairs(k, stride, attended, head_size, key_scale.factor, keys);
  pack_value_pairs(v, stride, attended, head_size, value_scale.factor, values);
  const v16 exponent = key_scale.scale * splat(scale * LOG2_E);

  // A block of queries at a time, so that its scores stay in the cache until they are used.
  for (size_t first = 0; first < n; first += SQ_QUERY_BLOCK) {
    const size_t rows = n - first < SQ_QUERY_BLOCK ? n - first : SQ_QUERY_BLOCK;
    float exponents[PADDED_BLOCK], factors[PADDED_BLOCK];
    pack_query_pairs(q + first * stride, stride, rows, head_size, queries, exponents);
    v16 largest[PADDED_BLOCK];
    for (size_t i = 0; i < PADDED_BLOCK; i++) largest[i] = splat(INT32_MIN);
    s16_product(queries, queries_stride, rows, pairs, keys, SQ_S16_PANEL, SQ_S16_PANEL * pairs, row_length,
                &(pair_results){.scores = scores, .largest = largest, .stride = row_length});
    for (size_t i = 0; i < rows; i += LANES) {
      const v16 own = load16(exponents + i) * exponent;
      const v16i finite = (own - own) == splat(0);
      store16(exponents + i, (v16)((v16i)own & finite));
      store16(factors + i, select16(finite, value_scale.scale, splat(__builtin_nanf(""))));
    }
    s16_softmax(scores, row_length, rows, attended, largest, exponents);
    for (size_t i = 0; i < rows; i += LANES) store16(factors + i, load16(exponents + i) * load16(factors + i));
    s16_product((int32_t *)scores, row_length, rows, (attended + 1) / 2, values, padded_head, SQ_S16_PANEL, padded_head,
                &(pair_results){.mixes = out + first * out_stride, .factors = factors, .stride = out_stride, .columns = head_size});
  }
}

// The usual sizes of heads are constants: loops over a head's elements are unrolled, without a branch for parts of vectors.
void SQ_SYMBOL(s16_attention)(const float *q, const float *k, const float *v, size_t stride, size_t n, size_t attended,
                              size_t head_size, float scale, float *out, size_t out_stride, void *scratch) {
  if (head_size == 64) s16_attention_of(q, k, v, stride, n, attended, 64, scale, out, out_stride, scratch);
  else if (head_size == 32) s16_attention_of(q, k, v, stride, n, attended, 32, scale, out, out_stride, scratch);
  else s16_attention_of(q, k, v, stride, n, attended, head_size, scale, out, out_stride, scratch);
}
