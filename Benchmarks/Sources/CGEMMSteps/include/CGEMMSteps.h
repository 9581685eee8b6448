// The steps of docs/gemm-steps.md: c = a · b, each faster than the one before. a is [m, k], b [k, n], c [m, n], row-major and without gaps;
// m is a multiple of 24, n of 192, k of 4.
#ifndef CGEMMSTEPS_H
#define CGEMMSTEPS_H

#include <stddef.h>
#include <stdint.h>

void step_triple_loop(const float *a, const float *b, float *c, size_t m, size_t k, size_t n);
void step_rows_of_b(const float *a, const float *b, float *c, size_t m, size_t k, size_t n);
void step_wide_vectors(const float *a, const float *b, float *c, size_t m, size_t k, size_t n);
void step_sums_in_registers(const float *a, const float *b, float *c, size_t m, size_t k, size_t n);
void step_tile(const float *a, const float *b, float *c, size_t m, size_t k, size_t n);

/// Here b is packed: panels of 48 columns, each [k][48].
void step_panels(const float *a, const float *panels, float *c, size_t m, size_t k, size_t n);
void step_pack(const float *b, float *panels, size_t k, size_t n);

/// Bytes: a unsigned, b signed, c exact.
void step_bytes(const uint8_t *a, const int8_t *b, int32_t *c, size_t m, size_t k, size_t n);

/// Here b is packed: panels of 64 columns, each [k / 4][64][4].
void step_bytes_panels(const uint8_t *a, const int8_t *panels, int32_t *c, size_t m, size_t k, size_t n);
void step_bytes_pack(const int8_t *b, int8_t *panels, size_t k, size_t n);

#endif
