/// Test cases of every kernel, by one generator: the same numbers in the Swift tests and in the driver that runs under an emulator.
#ifndef KERNEL_CASES_H
#define KERNEL_CASES_H

#include "CKernels.h"

/// What a kernel made of a case.
typedef struct {
  /// The case in words.
  char text[96];
  uint8_t *bytes;
  size_t count, capacity;
} sq_case_result;

/// Runs case `index` of the kernel that stands at `kernel` in SQ_KERNELS, in the way of `set`, which must have it. False where there are no
/// so many cases. `result` starts zeroed and may be used again.
int sq_case_run(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result);

void sq_case_result_free(sq_case_result *result);

/// Whether a set has a kernel of its own.
int sq_set_has_kernel(const sq_kernel_set *set, size_t kernel);

/// FNV-1a of a result's bytes, going on from `hash`; begin with SQ_HASH_START.
uint64_t sq_case_hash(const sq_case_result *result, uint64_t hash);
#define SQ_HASH_START 0xcbf29ce484222325u

#endif
