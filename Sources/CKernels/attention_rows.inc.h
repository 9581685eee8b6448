// What both kinds of attention do with a block of queries' scores: some rows are worked on together, step by step.

/// A block's rows in whole vectors.
#define PADDED_BLOCK ((SQ_QUERY_BLOCK + LANES - 1) / LANES * LANES)

/// The rows of a block, SQ_ABREAST of them from one: the last one in the place of those that are not there, as all are read before one is written.
INLINE void rows_abreast(float *scores, size_t row_length, size_t rows, float **row) {
  EACH(j, SQ_ABREAST) row[j] = scores + (j < rows ? j : rows - 1) * row_length;
}
