// AVX2 with the 256-bit VNNI: the products of integers alone are its own; 6 × 16 sums take 12 of the 16 registers.

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)

#include "CKernels.h"

#define SQ_ISA avxvnni
#define SQ_LOOKUP_HALVES
#define SQ_INT8_ROWS 6
#define SQ_INT8_VECTORS 1
#define SQ_VNNI
#define SQ_PAIR_SUMS 6
#define SQ_PAIR_VECTORS 1
#include "symbols.inc.h"
#include "vector16.inc.h"
#include "elementary.inc.h"
#include "fetch.inc.h"
#include "dot4_avxvnni.inc.h"
#include "gemm_int8.inc.h"
#include "dot2_avx2.inc.h"
#include "attention_rows.inc.h"
#include "attention_s16.inc.h"

const sq_kernel_set sq_kernels_avxvnni = {
  .u8s8f32_gemm = SQ_SYMBOL(u8s8f32_gemm), .s16_attention = SQ_SYMBOL(s16_attention)};

#pragma clang attribute pop
#endif
