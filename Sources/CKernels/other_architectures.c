// The sets of the architectures that this is not compiled for: without kernels, so that Swift need not tell architectures apart.

#include "CKernels.h"

#if !defined(__x86_64__)
const sq_kernel_set sq_kernels_avx2 = {0};
const sq_kernel_set sq_kernels_avxvnni = {0};
const sq_kernel_set sq_kernels_avx512 = {0};
const sq_kernel_set sq_kernels_avx512vnni = {0};
const sq_kernel_set sq_kernels_amx = {0};
#endif

#if !defined(__aarch64__)
const sq_kernel_set sq_kernels_neon = {0};
const sq_kernel_set sq_kernels_neondotprod = {0};
const sq_kernel_set sq_kernels_neoni8mm = {0};
#endif
