// The kernels that one source serves for every instruction set. The including file defines SQ_ISA (the suffix of the symbols) and the
// size of the register tile, and sets the target.

#include "CKernels.h"

// Vectors are passed between inlined functions only; no calling convention is involved.
#pragma clang diagnostic ignored "-Wpsabi"

#define SQ_JOIN_EXPANDED(name, isa) sq_##name##_##isa
#define SQ_JOIN(name, isa) SQ_JOIN_EXPANDED(name, isa)
#define SQ_SYMBOL(name) SQ_JOIN(name, SQ_ISA)

// Only what is written as a fused multiply-add is one.
#pragma STDC FP_CONTRACT OFF

#include "vector16.inc.h"
#include "elementary.inc.h"
#include "rows.inc.h"
#include "gemm_f32.inc.h"

const sq_kernel_set SQ_JOIN(kernels, SQ_ISA) = {
  .f32_bias_row = SQ_SYMBOL(f32_bias_row),
  .f32_bias_gelu_row = SQ_SYMBOL(f32_bias_gelu_row),
  .f32_bias_gelu_tanh_row = SQ_SYMBOL(f32_bias_gelu_tanh_row),
  .f32_residual_norm_row = SQ_SYMBOL(f32_residual_norm_row),
  .f32_softmax_row = SQ_SYMBOL(f32_softmax_row),
  .f32_gemm = SQ_SYMBOL(f32_gemm),
  .f32_attention = SQ_SYMBOL(f32_attention),
};
