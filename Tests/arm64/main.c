// Runs every kernel of every set that this processor supports on the cases of Tests/KernelCases and compares bits: with the portable
// C set, and with what the Swift reference made of the same cases (a file of hashes, which the Swift tests write).
//
//   kernel-driver <set that must be the best here> [reference-hashes.txt]

#include "KernelCases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const char *name;
  const sq_kernel_set *kernels;
  int runs_here;
} set_t;

/// The hash that the file has for a kernel; false where it has none.
static int reference_hash(FILE *file, const char *kernel, uint64_t *hash, size_t *cases) {
  char name[64];
  unsigned long long value;
  rewind(file);
  while (fscanf(file, "%63s %zu %llx", name, cases, &value) == 3)
    if (strcmp(name, kernel) == 0) {
      *hash = value;
      return 1;
    }
  return 0;
}

int main(int count, char **arguments) {
  if (count < 2) {
    fprintf(stderr, "usage: kernel-driver <best set> [reference-hashes.txt]\n");
    return 2;
  }
  FILE *const file = count > 2 ? fopen(arguments[2], "r") : NULL;
  if (count > 2 && !file) {
    fprintf(stderr, "kernel-driver: %s cannot be read; run the Swift tests first, they write it\n", arguments[2]);
    return 2;
  }

  const sq_cpu_features features = sq_cpu_features_read();
  const set_t sets[] = {
    {"portable", &sq_kernels_portable, 1},
    {"neon", &sq_kernels_neon, features.neon},
    {"neon-dotprod", &sq_kernels_neondotprod, features.neon_dotprod},
    {"neon-i8mm", &sq_kernels_neoni8mm, features.neon_i8mm},
  };
  const size_t set_count = sizeof sets / sizeof *sets;
  const char *best = "";
  for (size_t i = 0; i < set_count; i++)
    if (sets[i].runs_here) best = sets[i].name;
  if (strcmp(best, arguments[1]) != 0) {
    fprintf(stderr, "kernel-driver: detection picks %s here, not %s\n", best, arguments[1]);
    return 1;
  }

  printf("%-26s %6s", "kernel", "cases");
  for (size_t i = 0; i < set_count; i++) printf(" %13s", sets[i].name);
  printf("  (detected: %s)\n", best);
  size_t failures = 0;
  sq_case_result expected = {0}, found = {0};
  for (size_t kernel = 0; kernel < sq_kernel_count(); kernel++) {
    uint64_t hash = SQ_HASH_START, from_swift = 0;
    size_t cases = 0, swift_cases = 0, wrong[8] = {0};
    for (; sq_case_run(kernel, cases, &sq_kernels_portable, &expected); cases++) {
      hash = sq_case_hash(&expected, hash);
      for (size_t i = 1; i < set_count; i++) {
        if (!sets[i].runs_here || !sq_set_has_kernel(sets[i].kernels, kernel)) continue;
        sq_case_run(kernel, cases, sets[i].kernels, &found);
        if (found.count == expected.count && memcmp(found.bytes, expected.bytes, found.count) == 0) continue;
        if (wrong[i]++ < 3)
          fprintf(stderr, "%s of %s: %s: other bits than portable\n", sq_kernel_name(kernel), sets[i].name, expected.text);
      }
    }
    printf("%-26s %6zu", sq_kernel_name(kernel), cases);
    if (cases == 0) failures++;
    const char *portable = "C only";
    if (file) {
      const int agrees =
          reference_hash(file, sq_kernel_name(kernel), &from_swift, &swift_cases) && from_swift == hash && swift_cases == cases;
      portable = agrees ? "= Swift" : "NOT Swift";
      if (!agrees) failures++;
    }
    printf(" %13s", portable);
    for (size_t i = 1; i < set_count; i++) {
      failures += wrong[i];
      printf(" %13s", !sets[i].runs_here ? "cannot run"
                      : !sq_set_has_kernel(sets[i].kernels, kernel) ? "set below"
                      : wrong[i] ? "WRONG" : "same bits");
    }
    printf("\n");
  }
  sq_case_result_free(&expected);
  sq_case_result_free(&found);
  if (file) fclose(file);
  if (failures) fprintf(stderr, "kernel-driver: %zu failures\n", failures);
  return failures ? 1 : 0;
}
