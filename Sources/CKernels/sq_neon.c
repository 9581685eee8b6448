// NEON of ARMv8-A: a vector of 16 is four registers; 6 × 16 elements of a float32 tile take 24 of the 32 registers.

#if defined(__aarch64__)

#define SQ_ISA neon
#define SQ_HALF_INSTRUCTION
#define SQ_TILE_ROWS 6
#define SQ_TILE_VECTORS 1
// Twice as many sums as results: 3 × 16 results take 24 registers.
#define SQ_INT8_ROWS 3
#define SQ_INT8_VECTORS 1
#define SQ_DOT4 "tile_neon.inc.h"
#define SQ_PAIR_SUMS 6
#define SQ_PAIR_VECTORS 1
#define SQ_DOT2 "dot2_neon.inc.h"
#include "kernels.inc.h"

#endif
