// AVX-512 (F, BW, DQ, VL): a vector of 16 is one register; 12 × 32 elements of a float32 tile take 24 of the 32 registers.

#if defined(__x86_64__)
#pragma clang attribute push(                                                                              \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
    apply_to = function)

#define SQ_ISA avx512
#define SQ_HALF_INSTRUCTION
#define SQ_MASKED_MOVES
#define SQ_ABREAST 4
#define SQ_TILE_ROWS 12
#define SQ_TILE_VECTORS 2
#define SQ_INT8_ROWS 6
#define SQ_INT8_VECTORS 1
#define SQ_DOT4 "dot4_avx512.inc.h"
#define SQ_PAIR_SUMS 24
#define SQ_PAIR_VECTORS 4
#define SQ_DOT2 "dot2_avx512.inc.h"
#include "kernels.inc.h"

#pragma clang attribute pop
#endif
