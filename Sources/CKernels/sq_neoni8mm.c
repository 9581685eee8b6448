// NEON with the int8 matrix multiplication instructions (ARMv8.6): the int8 product alone is its own; 4 × 16 sums take 16 of the 32
// registers, and their factors 10.

#if defined(__aarch64__)
#pragma clang attribute push(__attribute__((target("i8mm"))), apply_to = function)

#include "CKernels.h"

#define SQ_ISA neoni8mm
#define SQ_INT8_ROWS 4
#define SQ_INT8_VECTORS 1
#include "symbols.inc.h"
#include "vector16.inc.h"
#include "elementary.inc.h"
#include "fetch.inc.h"
#include "tile_neoni8mm.inc.h"
#include "gemm_int8.inc.h"

const sq_kernel_set sq_kernels_neoni8mm = {.u8s8f32_gemm = SQ_SYMBOL(u8s8f32_gemm)};

#pragma clang attribute pop
#endif
