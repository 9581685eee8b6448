// NEON with the dot product instructions (ARMv8.2): the int8 product alone is its own; 6 × 16 sums take 24 of the 32 registers.

#if defined(__aarch64__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

#include "CKernels.h"

#define SQ_ISA neondotprod
#define SQ_INT8_ROWS 6
#define SQ_INT8_VECTORS 1
#include "symbols.inc.h"
#include "vector16.inc.h"
#include "elementary.inc.h"
#include "fetch.inc.h"
#include "dot4_neondotprod.inc.h"
#include "gemm_int8.inc.h"

const sq_kernel_set sq_kernels_neondotprod = {.u8s8f32_gemm = SQ_SYMBOL(u8s8f32_gemm)};

#pragma clang attribute pop
#endif
