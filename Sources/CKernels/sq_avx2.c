// AVX2 with FMA: a vector of 16 is two registers; 6 × 16 elements of a tile take 12 of the 16 registers.

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define SQ_ISA avx2
#define SQ_HALF_INSTRUCTION
#define SQ_LOOKUP_HALVES
#define SQ_TILE_ROWS 6
#define SQ_TILE_VECTORS 1
#define SQ_INT8_ROWS 4
#define SQ_INT8_VECTORS 1
#define SQ_DOT4 "dot4_avx2.inc.h"
#define SQ_PAIR_SUMS 6
#define SQ_PAIR_VECTORS 1
#define SQ_DOT2 "dot2_avx2.inc.h"
#include "kernels.inc.h"

#pragma clang attribute pop
#endif
