#include "KernelCases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

#define COUNT(array) (sizeof(array) / sizeof *(array))

// MARK: Numbers

/// Steele, Lea & Flood 2014.
static uint64_t next(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static uint64_t seed_of(size_t kernel, size_t index) { return kernel * 1000003 + index; }

/// `count` floats within ±reach; memory beside them is not the kernel's, so that a sanitiser sees what reads there.
static float *floats(uint64_t *state, size_t count, float reach) {
  float *const values = malloc((count ? count : 1) * sizeof *values);
  for (size_t i = 0; i < count; i++) values[i] = ((float)(next(state) >> 40) * 0x1p-23f - 1.0f) * reach;
  return values;
}

static uint8_t *bytes(uint64_t *state, size_t count) {
  uint8_t *const values = malloc(count ? count : 1);
  for (size_t i = 0; i < count; i++) values[i] = (uint8_t)(next(state) >> 56);
  return values;
}

static void put(sq_case_result *result, const void *data, size_t count) {
  if (result->count + count > result->capacity) {
    result->capacity = 2 * (result->count + count);
    result->bytes = realloc(result->bytes, result->capacity);
  }
  memcpy(result->bytes + result->count, data, count);
  result->count += count;
}

/// Takes the next digit of an index that counts through all combinations.
static size_t digit(size_t *index, size_t base) {
  const size_t d = *index % base;
  *index /= base;
  return d;
}

// MARK: Sizes, which straddle vectors, tiles and panels

static const size_t lengths[] = {1, 2, 7, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 384, 769};
static const size_t row_counts[] = {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 16, 17, 31, 33, 50};
static const size_t column_counts[] = {1, 15, 16, 17, 31, 32, 33, 64, 130};

// MARK: Kernels. Each function runs one case, and is false where the index has run out.

typedef void row_kernel(float *row, const float *bias, size_t n);

static int epilogue_row(row_kernel *kernel, size_t kernel_index, size_t index, sq_case_result *result) {
  static const float reaches[] = {1, 6, 120, 1e-40f};
  uint64_t state = seed_of(kernel_index, index);
  const size_t n = lengths[digit(&index, COUNT(lengths))];
  const float reach = reaches[digit(&index, COUNT(reaches))];
  if (index) return 0;
  snprintf(result->text, sizeof result->text, "%zu elements up to %g", n, (double)reach);
  float *const row = floats(&state, n, reach), *const bias = floats(&state, n, reach / 4);
  kernel(row, bias, n);
  put(result, row, n * sizeof *row);
  free(row);
  free(bias);
  return 1;
}

static int run_f32_bias_row(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  return epilogue_row(set->f32_bias_row, kernel, index, result);
}

static int run_f32_bias_gelu_row(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  return epilogue_row(set->f32_bias_gelu_row, kernel, index, result);
}

static int run_f32_bias_gelu_tanh_row(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  return epilogue_row(set->f32_bias_gelu_tanh_row, kernel, index, result);
}

static int run_f32_residual_norm_row(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  static const float reaches[] = {1, 1e4f, 1e-6f};
  uint64_t state = seed_of(kernel, index);
  const size_t n = lengths[digit(&index, COUNT(lengths))];
  const float reach = reaches[digit(&index, COUNT(reaches))];
  const size_t has_bias = digit(&index, 2);
  if (index) return 0;
  snprintf(result->text, sizeof result->text, "%zu elements up to %g, %s bias", n, (double)reach, has_bias ? "a" : "no");
  float *const residual = floats(&state, n, reach), *const x = floats(&state, n, reach);
  float *const bias = floats(&state, n, 1), *const scale = floats(&state, n, 1), *const shift = floats(&state, n, 1);
  set->f32_residual_norm_row(residual, x, has_bias ? bias : NULL, scale, shift, 1e-12f, n);
  put(result, residual, n * sizeof *residual);
  free(residual);
  free(x);
  free(bias);
  free(scale);
  free(shift);
  return 1;
}

static int run_f32_softmax_row(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  static const float reaches[] = {1, 30, 100, 1e30f};
  uint64_t state = seed_of(kernel, index);
  const size_t n = lengths[digit(&index, COUNT(lengths))];
  const float reach = reaches[digit(&index, COUNT(reaches))];
  if (index) return 0;
  snprintf(result->text, sizeof result->text, "%zu elements up to %g", n, (double)reach);
  float *const row = floats(&state, n, reach);
  const float sum = set->f32_softmax_row(row, n, reach < 100 ? 1 : 0.125f);
  put(result, row, n * sizeof *row);
  put(result, &sum, sizeof sum);
  free(row);
  return 1;
}

static int run_f32_gemm(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  // The last one is summed in two blocks.
  static const size_t depths[] = {1, 3, 16, 47, 801};
  uint64_t state = seed_of(kernel, index);
  const size_t rows = row_counts[digit(&index, COUNT(row_counts))], n = column_counts[digit(&index, COUNT(column_counts))];
  const size_t k = depths[digit(&index, COUNT(depths))], m = k > 100 && rows > 13 ? 13 : rows;
  const sq_epilogue epilogue = (sq_epilogue)digit(&index, 4);
  if (index) return 0;
  snprintf(result->text, sizeof result->text, "[%zu, %zu] . [%zu, %zu], epilogue %d", m, k, k, n, epilogue);
  const size_t lda = k + 3, ldc = n + 1, panels = (n + SQ_F32_PANEL - 1) / SQ_F32_PANEL;
  float *const a = floats(&state, m * lda, 1), *const b = floats(&state, panels * SQ_F32_PANEL * k, 1);
  float *const bias = floats(&state, n, 1), *const c = floats(&state, m * ldc, 1);
  // What stands beside the result must stay.
  set->f32_gemm(a, lda, m, k, b, n, epilogue == SQ_EPILOGUE_NONE ? NULL : bias, epilogue, c, ldc, index % 2 ? b : NULL);
  put(result, c, m * ldc * sizeof *c);
  free(a);
  free(b);
  free(bias);
  free(c);
  return 1;
}

static void put_quantized(sq_case_result *result, size_t rows, size_t stride, const uint8_t *u, const float *scales, const int32_t *sums) {
  put(result, u, rows * stride);
  put(result, sums, rows * sizeof *sums);
  // One not-a-number is as good as another.
  for (size_t row = 0; row < rows; row++) {
    const float scale = scales[row] == scales[row] ? scales[row] : -1;
    put(result, &scale, sizeof scale);
  }
}

static int run_f32u8_quantize_rows(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  static const float reaches[] = {1, 1e-3f, 1e30f, 1e-39f, 0};
  static const float last[] = {0, __builtin_inff(), -__builtin_inff(), __builtin_nanf("")};
  uint64_t state = seed_of(kernel, index);
  const size_t n = lengths[digit(&index, COUNT(lengths))];
  const float reach = reaches[digit(&index, COUNT(reaches))], extra = last[digit(&index, COUNT(last))];
  if (index) return 0;
  const size_t rows = next(&state) % 6 + 1, padded = (n + 3) / 4 * 4, stride = padded + 4, x_stride = n + rows % 2;
  snprintf(result->text, sizeof result->text, "%zu rows of %zu elements up to %g, the last %g", rows, n, (double)reach, (double)extra);
  float *const x = floats(&state, rows * x_stride, reach), scales[6];
  x[(rows - 1) * x_stride + n - 1] += extra;
  uint8_t *const u = bytes(&state, rows * stride);
  int32_t sums[6];
  set->f32u8_quantize_rows(x, x_stride, rows, n, padded, u, stride, scales, sums);
  put_quantized(result, rows, stride, u, scales, sums);
  free(x);
  free(u);
  return 1;
}

static int run_f32u8_quantize_fixed_rows(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  static const float reaches[] = {1, 7, 1e30f, 1e-39f};
  static const float last[] = {0, __builtin_inff(), __builtin_nanf("")};
  static const struct { float scale; int32_t zero_point, low, high, shift; } fixed[] = {
    {0.02f, 113, 0, 255, 0}, {0.03f, -7, -128, 127, 128}, {0.5f, 0, 0, 255, 0}, {1e-3f, 127, -128, 127, 128},
  };
  uint64_t state = seed_of(kernel, index);
  const size_t n = lengths[digit(&index, COUNT(lengths))];
  const float reach = reaches[digit(&index, COUNT(reaches))], extra = last[digit(&index, COUNT(last))];
  const size_t which = digit(&index, COUNT(fixed));
  if (index) return 0;
  const size_t rows = next(&state) % 6 + 1, padded = (n + 3) / 4 * 4, stride = padded + 4, x_stride = n + rows % 2;
  snprintf(result->text, sizeof result->text, "%zu rows of %zu elements up to %g, the last %g, scale %zu", rows, n, (double)reach,
           (double)extra, which);
  float *const x = floats(&state, rows * x_stride, reach);
  x[(rows - 1) * x_stride + n - 1] += extra;
  uint8_t *const u = bytes(&state, rows * stride);
  float scales[6];
  int32_t sums[6];
  set->f32u8_quantize_fixed_rows(x, x_stride, rows, n, padded, fixed[which].scale, fixed[which].zero_point, fixed[which].low, fixed[which].high,
                                 fixed[which].shift, u, stride, scales, sums);
  put_quantized(result, rows, stride, u, scales, sums);
  free(x);
  free(u);
  return 1;
}

static int run_u8s8f32_gemm(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  // The last one sums as far as integers get.
  static const size_t depths[] = {64, 128, 512};
  static const sq_epilogue epilogues[] = {SQ_EPILOGUE_BIAS, SQ_EPILOGUE_BIAS_GELU, SQ_EPILOGUE_BIAS_GELU_TANH};
  enum { RANDOM, LOWEST, HIGHEST, APART, FILLS };
  uint64_t state = seed_of(kernel, index);
  const size_t m = row_counts[digit(&index, COUNT(row_counts))], n = column_counts[digit(&index, COUNT(column_counts))];
  const size_t k = depths[digit(&index, COUNT(depths))], fill = digit(&index, FILLS);
  if (index) return 0;
  const sq_epilogue epilogue = epilogues[next(&state) % COUNT(epilogues)];
  const int32_t stored_zero = (int32_t[]){128, 0, 113, 255}[next(&state) % 4];
  const int has_zero_points = next(&state) % 2 == 0;
  snprintf(result->text, sizeof result->text, "[%zu, %zu] . [%zu, %zu], bytes %zu, zero %d%s, epilogue %d", m, k, k, n, fill,
           stored_zero, has_zero_points ? " and zero points" : "", epilogue);

  const size_t lda = k + 4, ldc = n + 1, panels = (n + SQ_S8_PANEL - 1) / SQ_S8_PANEL;
  uint8_t *const a = bytes(&state, m * lda);
  int8_t *const b = (int8_t *)bytes(&state, panels * SQ_S8_PANEL * k);
  if (fill != RANDOM) {
    memset(a, fill == LOWEST ? 0 : 255, m * lda);
    memset(b, fill == HIGHEST ? 127 : -128, panels * SQ_S8_PANEL * k);
  }
  float *const row_scales = floats(&state, m, 0.01f), *const scales = floats(&state, n, 0.01f);
  float *const bias = floats(&state, n, 1), *const c = floats(&state, m * ldc, 1);
  int32_t *const row_sums = malloc(m * sizeof *row_sums), *const sums = malloc(n * sizeof *sums);
  int32_t *const zero_points = malloc(n * sizeof *zero_points);
  for (size_t i = 0; i < m; i++) {
    row_sums[i] = 0;
    for (size_t depth = 0; depth < k; depth++) row_sums[i] += a[i * lda + depth] - stored_zero;
  }
  for (size_t j = 0; j < n; j++) {
    sums[j] = 0;
    for (size_t depth = 0; depth < k; depth++)
      sums[j] += b[j / SQ_S8_PANEL * SQ_S8_PANEL * k + (depth / 4 * SQ_S8_PANEL + j % SQ_S8_PANEL) * 4 + depth % 4];
    zero_points[j] = (int32_t)(next(&state) % 21) - 10;
  }
  const sq_int8_columns columns = {
    .scales = scales, .sums = sums, .stored_zero = stored_zero, .zero_points = has_zero_points ? zero_points : NULL,
    .bias = bias,
  };
  set->u8s8f32_gemm(a, lda, row_scales, row_sums, m, k, b, &columns, n, epilogue, c, ldc, m % 2 ? b : NULL);
  put(result, c, m * ldc * sizeof *c);
  free(a);
  free(b);
  free(row_scales);
  free(scales);
  free(bias);
  free(c);
  free(row_sums);
  free(sums);
  free(zero_points);
  return 1;
}

static int run_f16f32_row(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  // Every bit pattern there is, then every length; at odd addresses, as in a file.
  (void)kernel;
  const size_t patterns = 1 << 16, part = 1 << 12;
  const size_t first = index < patterns / part ? index * part : 0x3bf0;
  if (index >= patterns / part + COUNT(lengths)) return 0;
  const size_t n = index < patterns / part ? part : lengths[index - patterns / part];
  snprintf(result->text, sizeof result->text, "%zu halves from %04zx", n, first);
  uint8_t *const x = malloc(2 * n + 1);
  for (size_t i = 0; i < n; i++) {
    const uint16_t half = (uint16_t)(first + i);
    memcpy(x + 1 + 2 * i, &half, sizeof half);
  }
  float *const y = malloc(n * sizeof *y);
  set->f16f32_row(x + 1, n, y);
  put(result, y, n * sizeof *y);
  free(x);
  free(y);
  return 1;
}

static int run_s8f32_row(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  // Every byte there is; at odd addresses, as in a file.
  (void)kernel;
  const size_t n = lengths[digit(&index, COUNT(lengths))], is_unsigned = digit(&index, 2), has_zero = digit(&index, 2);
  if (index) return 0;
  snprintf(result->text, sizeof result->text, "%zu %s bytes%s", n, is_unsigned ? "unsigned" : "signed", has_zero ? ", zero point" : "");
  int8_t *const x = malloc(n + 1);
  for (size_t i = 0; i < n; i++) x[i + 1] = (int8_t)(i * 37 + n);
  float *const y = malloc(n * sizeof *y);
  set->s8f32_row(x + 1, n, is_unsigned ? INT8_MIN : 0, (has_zero ? 7.0f : 0.0f) - (is_unsigned ? 128.0f : 0.0f), 0.0173f, y);
  put(result, y, n * sizeof *y);
  free(x);
  free(y);
  return 1;
}

static int run_f32_attention(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  static const size_t counts[] = {1, 2, 5, 16, 23, 24, 25, 63, 64, 65, 130};
  static const size_t head_sizes[] = {1, 12, 16, 20, 32, 64, 80};
  uint64_t state = seed_of(kernel, index);
  const size_t n = counts[digit(&index, COUNT(counts))], head_size = head_sizes[digit(&index, COUNT(head_sizes))];
  // All tokens, then a third of them with padding behind.
  const size_t attended = digit(&index, 2) ? (n + 2) / 3 : n;
  if (index) return 0;
  snprintf(result->text, sizeof result->text, "%zu of %zu tokens, head of %zu", attended, n, head_size);
  const size_t stride = 3 * head_size + 5, out_stride = head_size + 1;
  float *const q = floats(&state, n * stride, 2), *const out = floats(&state, n * out_stride, 1);
  const size_t room = (sq_attention_scratch(n, head_size) * sizeof(float) + 63) / 64 * 64;
  float *const scratch = aligned_alloc(64, room);
  set->f32_attention(q, q + head_size, q + 2 * head_size, stride, n, attended, head_size, 0.25f, out, out_stride, scratch);
  put(result, out, n * out_stride * sizeof *out);
  free(q);
  free(out);
  free(scratch);
  return 1;
}

static int run_s16_attention(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  static const size_t counts[] = {1, 2, 5, 16, 23, 24, 25, 63, 64, 65, 130};
  static const size_t head_sizes[] = {1, 12, 16, 20, 32, 64, 80};
  // The last ones are not finite, at the end of keys, values or queries.
  enum { USUAL, TINY, SMALL, LARGE, BEYOND, ZERO, KEY, VALUE, QUERY, FILLS };
  static const float reaches[FILLS] = {2, 1e-40f, 1e-16f, 1e18f, 1e25f, 0, 1, 1, 1};
  uint64_t state = seed_of(kernel, index);
  const size_t n = counts[digit(&index, COUNT(counts))], head_size = head_sizes[digit(&index, COUNT(head_sizes))];
  // All tokens, then a third of them with padding behind.
  const size_t attended = digit(&index, 2) ? (n + 2) / 3 : n;
  const size_t fill = digit(&index, FILLS);
  if (index) return 0;
  snprintf(result->text, sizeof result->text, "%zu of %zu tokens, head of %zu, filled in way %zu", attended, n, head_size, fill);
  const size_t stride = 3 * head_size + 5, out_stride = head_size + 1;
  float *const q = floats(&state, n * stride, reaches[fill]), *const out = floats(&state, n * out_stride, 1);
  if (fill == KEY) q[(attended - 1) * stride + 2 * head_size - 1] = __builtin_inff();
  if (fill == VALUE) q[(attended - 1) * stride + 3 * head_size - 1] = __builtin_nanf("");
  if (fill == QUERY) q[(n - 1) * stride + head_size - 1] = -__builtin_inff();
  const size_t room = (sq_s16_attention_scratch(n, head_size) + 63) / 64 * 64;
  void *const scratch = aligned_alloc(64, room);
  set->s16_attention(q, q + head_size, q + 2 * head_size, stride, n, attended, head_size, 0.25f, out, out_stride, scratch);
  // Which bits a NaN has is the processor's business.
  for (size_t i = 0; i < n * out_stride; i++) if (out[i] != out[i]) out[i] = __builtin_nanf("");
  put(result, out, n * out_stride * sizeof *out);
  free(q);
  free(out);
  free(scratch);
  return 1;
}

static int run_f32_gelu_gradient_row(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  static const float reaches[] = {1, 6, 120, 1e-40f};
  uint64_t state = seed_of(kernel, index);
  const size_t n = lengths[digit(&index, COUNT(lengths))];
  const float reach = reaches[digit(&index, COUNT(reaches))];
  if (index) return 0;
  snprintf(result->text, sizeof result->text, "%zu elements up to %g", n, (double)reach);
  float *const d = floats(&state, n, 1), *const u = floats(&state, n, reach);
  set->f32_gelu_gradient_row(d, u, n);
  put(result, d, n * sizeof *d);
  put(result, u, n * sizeof *u);
  free(d);
  free(u);
  return 1;
}

static int run_f32_dropout_row(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  static const size_t firsts[] = {0, 1, 2, 385, 0x7fffffff};
  static const uint32_t thresholds[] = {1, 0x1999999a, 0x80000000, 0xe0000000};
  uint64_t state = seed_of(kernel, index);
  const size_t n = lengths[digit(&index, COUNT(lengths))], first = firsts[digit(&index, COUNT(firsts))];
  const uint32_t threshold = thresholds[digit(&index, COUNT(thresholds))];
  if (index) return 0;
  snprintf(result->text, sizeof result->text, "%zu elements from %zu, threshold %08x", n, first, threshold);
  float *const x = floats(&state, n, 1);
  set->f32_dropout_row(x, n, next(&state), first, threshold, 1.25f);
  put(result, x, n * sizeof *x);
  free(x);
  return 1;
}

// MARK: The table. A kernel without cases does not compile.

typedef int case_function(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result);

static case_function *const functions[] = {
#define SQ_CASE_FUNCTION(name, returned, parameters) run_##name,
  SQ_KERNELS(SQ_CASE_FUNCTION)
#undef SQ_CASE_FUNCTION
};

int sq_case_run(size_t kernel, size_t index, const sq_kernel_set *set, sq_case_result *result) {
  result->count = 0;
  return functions[kernel](kernel, index, set, result);
}

void sq_case_result_free(sq_case_result *result) {
  free(result->bytes);
  *result = (sq_case_result){0};
}

int sq_set_has_kernel(const sq_kernel_set *set, size_t kernel) {
  switch (kernel) {
#define SQ_CASE_POSITION(name, returned, parameters) position_##name,
    enum { SQ_KERNELS(SQ_CASE_POSITION) };
#undef SQ_CASE_POSITION
#define SQ_CASE_PRESENCE(name, returned, parameters) case position_##name: return set->name != NULL;
    SQ_KERNELS(SQ_CASE_PRESENCE)
#undef SQ_CASE_PRESENCE
  }
  return 0;
}

uint64_t sq_case_hash(const sq_case_result *result, uint64_t hash) {
  for (size_t i = 0; i < result->count; i++) hash = (hash ^ result->bytes[i]) * 0x100000001b3u;
  return hash;
}
