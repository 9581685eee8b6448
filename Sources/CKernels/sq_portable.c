// Any processor. Where it has no fused multiply-add, the C library's exact one serves: slow, and the same bits.

#define SQ_ISA portable
#define SQ_TILE_ROWS 2
#define SQ_TILE_VECTORS 1
#define SQ_INT8_ROWS 1
#define SQ_INT8_VECTORS 1
#define SQ_DOT4 "dot4_portable.inc.h"
#define SQ_PAIR_SUMS 2
#define SQ_PAIR_VECTORS 1
#define SQ_DOT2 "dot2_portable.inc.h"
#include "kernels.inc.h"
