// AVX-512 with VNNI: the products of integers alone are its own; 6 × 64 sums of a tile take 24 of the 32 registers, and two vectors of the int8
// tile before are finished in the rest.

#if defined(__x86_64__)
#pragma clang attribute push(                                                                                \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"))), \
    apply_to = function)

#include "CKernels.h"

#define SQ_ISA avx512vnni
#define SQ_MASKED_MOVES
#define SQ_ABREAST 3
#define SQ_INT8_ROWS 6
#define SQ_INT8_VECTORS 4
#define SQ_INT8_LATE 2
#define SQ_VNNI
#define SQ_PAIR_SUMS 24
#define SQ_PAIR_VECTORS 4
#include "symbols.inc.h"
#include "vector16.inc.h"
#include "elementary.inc.h"
#include "fetch.inc.h"
#include "dot4_avx512vnni.inc.h"
#include "gemm_int8.inc.h"
#include "dot2_avx512.inc.h"
#include "attention_rows.inc.h"
#include "attention_s16.inc.h"

const sq_kernel_set sq_kernels_avx512vnni = {
  .u8s8f32_gemm = SQ_SYMBOL(u8s8f32_gemm), .s16_attention = SQ_SYMBOL(s16_attention)};

#pragma clang attribute pop
#endif
