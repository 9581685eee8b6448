// The kernels that one source serves for every instruction set. The including file defines SQ_ISA (the suffix of the symbols), the sizes
// of the register tiles and the files that multiply bytes (SQ_DOT4) and pairs of 16-bit integers (SQ_DOT2), and sets the target.

#include "CKernels.h"

#include "symbols.inc.h"
#include "vector16.inc.h"
#include "elementary.inc.h"
#include "rows.inc.h"
#include "training.inc.h"
#include "half.inc.h"
#include "fetch.inc.h"
#include "gemm_f32.inc.h"
#include "attention_rows.inc.h"
#include "attention_f32.inc.h"
#include SQ_DOT4
#include "gemm_int8.inc.h"
#include SQ_DOT2
#include "attention_s16.inc.h"

const sq_kernel_set SQ_JOIN(kernels, SQ_ISA) = {
  .f32_bias_row = SQ_SYMBOL(f32_bias_row),
  .f32_bias_gelu_row = SQ_SYMBOL(f32_bias_gelu_row),
  .f32_bias_gelu_tanh_row = SQ_SYMBOL(f32_bias_gelu_tanh_row),
  .f32_residual_norm_row = SQ_SYMBOL(f32_residual_norm_row),
  .f32_softmax_row = SQ_SYMBOL(f32_softmax_row),
  .f32_gemm = SQ_SYMBOL(f32_gemm),
  .f32u8_quantize_rows = SQ_SYMBOL(f32u8_quantize_rows),
  .f32u8_quantize_fixed_rows = SQ_SYMBOL(f32u8_quantize_fixed_rows),
  .u8s8f32_gemm = SQ_SYMBOL(u8s8f32_gemm),
  .f16f32_row = SQ_SYMBOL(f16f32_row),
  .s8f32_row = SQ_SYMBOL(s8f32_row),
  .f32_attention = SQ_SYMBOL(f32_attention),
  .s16_attention = SQ_SYMBOL(s16_attention),
  .f32_gelu_gradient_row = SQ_SYMBOL(f32_gelu_gradient_row),
  .f32_dropout_row = SQ_SYMBOL(f32_dropout_row),
};
