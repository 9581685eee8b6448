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

#if defined(__linux__)
#include <sys/syscall.h>
#endif

/// Linux gives a process the tile registers, 8 KiB a thread, only when it asks (arch_prctl, ARCH_REQ_XCOMP_PERM for XTILEDATA).
static int may_use_tiles(void) {
#if defined(__linux__)
  const long request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return 0;
#endif
}

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
  features.amx_int8 = features.avx512_vnni && tiles && (d & 1u << 24) && (d & 1u << 25) && may_use_tiles();
  if (deepest >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
    features.avx_vnni = features.avx2_fma && (a & 1u << 4);
    features.avx512_bf16 = features.avx512 && (a & 1u << 5);
  }
  return features;
}

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

sq_cpu_features sq_cpu_features_read(void) {
  // As the kernel's <asm/hwcap.h> numbers them; older headers lack the last one.
  const unsigned long asimd = 1ul << 1, asimd_dotprod = 1ul << 20, i8mm = 1ul << 13;
  const unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
  sq_cpu_features features = {0};
  features.neon = (first & asimd) != 0;
  features.neon_dotprod = features.neon && (first & asimd_dotprod);
  features.neon_i8mm = features.neon && (second & i8mm);
  return features;
}

#elif defined(__aarch64__) && defined(__APPLE__)

#include <sys/sysctl.h>

static int has(const char *feature) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(feature, &value, &size, NULL, 0) == 0 && value != 0;
}

sq_cpu_features sq_cpu_features_read(void) {
  sq_cpu_features features = {0};
  features.neon = 1;
  features.neon_dotprod = has("hw.optional.arm.FEAT_DotProd");
  features.neon_i8mm = has("hw.optional.arm.FEAT_I8MM");
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
