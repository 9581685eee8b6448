// What Swift cannot ask the processor and the system itself.

#define _GNU_SOURCE
#include "CKernels.h"

#include <sched.h>
#include <unistd.h>

int sq_usable_processors(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

#if defined(__x86_64__)

#include <cpuid.h>

static uint64_t enabled_registers(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

sq_cpu_features sq_cpu_features_read(void) {
  sq_cpu_features features = {0};
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return features;
  const int fma = (c & bit_FMA) != 0, f16c = (c & bit_F16C) != 0;

  // XCR0: 1 SSE, 2 AVX, 5–7 AVX-512, 17–18 AMX tiles. A processor's feature counts only where the system saves its registers.
  const uint64_t registers = enabled_registers();
  const int ymm = (registers & 0x6) == 0x6, zmm = ymm && (registers & 0xe0) == 0xe0;
  const int tiles = (registers & 0x60000) == 0x60000;

  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return features;
  const unsigned deepest = a;
  features.avx2_fma = ymm && fma && f16c && (b & bit_AVX2);
  const unsigned avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
  features.avx512 = features.avx2_fma && zmm && (b & avx512) == avx512;
  features.avx512_vnni = features.avx512 && (c & bit_AVX512VNNI);
  features.amx_int8 = features.avx512 && tiles && (d & 1u << 24) && (d & 1u << 25);
  if (deepest >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
    features.avx_vnni = features.avx2_fma && (a & 1u << 4);
    features.avx512_bf16 = features.avx512 && (a & 1u << 5);
  }
  return features;
}

#else

sq_cpu_features sq_cpu_features_read(void) { return (sq_cpu_features){0}; }

#endif

static const char *const kernel_names[] = {
#define SQ_NAME_STRING(name, result, parameters) #name,
  SQ_KERNELS(SQ_NAME_STRING)
#undef SQ_NAME_STRING
};

size_t sq_kernel_count(void) { return sizeof kernel_names / sizeof *kernel_names; }
const char *sq_kernel_name(size_t i) { return kernel_names[i]; }
