/// The hot loops. Everything else (memory, threads, choice of kernels) is Swift.
///
/// A kernel's symbol is `sq_<types>_<operation>[_<tile>]_<isa>`. SQ_KERNELS is the one list of kernels: the tables of each
/// instruction set, the dispatch, the tests and the benchmarks all read it.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stddef.h>
#include <stdint.h>

/// Columns of a packed float32 matrix are kept in panels of this many; each panel is [k][SQ_F32_PANEL], the last one padded with zeros.
#define SQ_F32_PANEL 32

/// What a GEMM does with a finished element before it stores it.
typedef enum {
  SQ_EPILOGUE_NONE = 0,
  SQ_EPILOGUE_BIAS = 1,
  SQ_EPILOGUE_BIAS_GELU = 2,
  SQ_EPILOGUE_BIAS_GELU_TANH = 3,
} sq_epilogue;

/// What each column of an int8 product needs to become real numbers again. With stored activations u (u8, standing for (u − Z) · row
/// scale) and weights w (s8, standing for (w − zero point) · column scale):
///   Σ (u − Z)(w − z) = Σ u·w − Z · Σ w − z · Σ (u − Z).
typedef struct {
  /// The weights' scales.
  const float *scales;
  /// Σ w
  const int32_t *sums;
  /// Z
  int32_t stored_zero;
  /// z; NULL where all are zero.
  const int32_t *zero_points;
  const float *bias;
} sq_int8_columns;

/// Columns of a packed int8 matrix are kept in panels of this many; each panel is [k / 4][SQ_S8_PANEL][4], padded with zeros.
#define SQ_S8_PANEL 64

/// k of an int8 product is padded to a multiple of this many.
#define SQ_S8_DEPTH 64

/// s16_attention attends to at most so many tokens.
#define SQ_S16_TOKENS 32768

/// s16_attention keeps its keys in panels of this many tokens, [pairs of elements][SQ_S16_PANEL] words each.
#define SQ_S16_PANEL 64

/// Attention takes this many queries at a time.
#define SQ_QUERY_BLOCK 24

/// `n` rounded up to whole blocks.
static inline size_t sq_padded(size_t n, size_t block) { return (n + block - 1) / block * block; }

/// f32_gemm sums as many of `k` depths at a time: so many of a panel stay in the second-level cache together with as many of some rows.
static inline size_t sq_f32_depths(size_t k) {
  const size_t most = 768, blocks = (k + most - 1) / most;
  return blocks < 2 ? k : sq_padded((k + blocks - 1) / blocks, 8);
}

/// The list of kernels: X(name, return type, parameters).
///
/// f32_bias_row: row += bias.
/// f32_bias_gelu_row: row = gelu(row + bias), exact (erf). f32_bias_gelu_tanh_row: the tanh form.
/// f32_residual_norm_row: residual = layerNorm(residual + (x + bias)) · scale + shift; `bias` may be NULL.
/// f32_softmax_row: row = exp((row − max) · scale), scale > 0; returns the sum, by which the caller divides.
/// f32_gemm: c[m][n] = a[m][k] · b, with b in panels; `c` has room for n columns only. `next`: the panel to be multiplied after these, which
///   is fetched into the cache meanwhile, or NULL; it changes no result.
/// f32u8_quantize_rows: symmetric, a row's scale = its largest magnitude / 127, u = x / scale + 128, its sum = Σ (u − 128). Rows of x lie
///   `x_stride` floats apart, those of u `stride` bytes; bytes from n up to padded_n are 128. A row with an element that is not finite has a
///   scale that is not a number, bytes of 0 and the sum 0.
/// f32u8_quantize_fixed_rows: the same by one scale, u = round(x / scale) + zero_point, saturated to low…high, plus `shift` (128 where the
///   integers are signed); a row's sum = Σ (u − shift − zero_point) (ONNX QuantizeLinear-13), bytes behind it stand for zero.
/// u8s8f32_gemm: c[m][n] = epilogue((a[m][k] · b) · row scale · column scale + bias), the int32 sums exact; `lda` is in bytes and k a
///   multiple of SQ_S8_DEPTH. `next` as in f32_gemm.
/// f16f32_row: y = x, IEEE 754 binary16 at any address; a signalling not-a-number becomes a quiet one.
/// s8f32_row: y = (x ^ flip − zero) · scale; a flip of 0x80 makes unsigned bytes signed, 128 less.
/// f32_attention: out = softmax(q · kᵀ · scale) · v for one head of one sequence of n tokens, which attend to the first `attended` of
///   them (the rest is padding); `stride` parts two tokens' rows of q, k and v, `out_stride` those of out; `scratch` holds
///   sq_attention_scratch(n, head size) floats, aligned to 64 bytes.
/// s16_attention: the same in fixed point, for models whose linear layers are int8: queries, keys, values and probabilities become 16-bit
///   integers, whose products are summed exactly. Needs sq_s16_attention_scratch(n, head size) bytes. A row whose query is not finite, and
///   every row where a key or value is not, is not a number.
/// f32_gelu_gradient_row: d = d · gelu′(u), then u = gelu(u), exact (erf).
/// f32_dropout_row: x = 0 where the element's bits are below `threshold`, else x · factor. The row's elements are numbered from `first` on;
///   the bits of elements 2i and 2i + 1 are the halves of SplitMix64's word i + 1 from `key`, the lower one first.
#define SQ_KERNELS(X)                                                                                              \
  X(f32_bias_row, void, (float *row, const float *bias, size_t n))                                                 \
  X(f32_bias_gelu_row, void, (float *row, const float *bias, size_t n))                                            \
  X(f32_bias_gelu_tanh_row, void, (float *row, const float *bias, size_t n))                                       \
  X(f32_residual_norm_row, void,                                                                                   \
    (float *residual, const float *x, const float *bias, const float *scale, const float *shift, float epsilon,    \
     size_t n))                                                                                                    \
  X(f32_softmax_row, float, (float *row, size_t n, float scale))                                                   \
  X(f32_gemm, void,                                                                                                \
    (const float *a, size_t lda, size_t m, size_t k, const float *panels, size_t n, const float *bias,             \
     sq_epilogue epilogue, float *c, size_t ldc, const float *next))                                               \
  X(f32u8_quantize_rows, void,                                                                                     \
    (const float *x, size_t x_stride, size_t rows, size_t n, size_t padded_n, uint8_t *u, size_t stride,           \
     float *scales, int32_t *sums))                                                                                \
  X(f32u8_quantize_fixed_rows, void,                                                                               \
    (const float *x, size_t x_stride, size_t rows, size_t n, size_t padded_n, float scale, int32_t zero_point,     \
     int32_t low, int32_t high, int32_t shift, uint8_t *u, size_t stride, float *scales, int32_t *sums))           \
  X(u8s8f32_gemm, void,                                                                                            \
    (const uint8_t *a, size_t lda, const float *row_scales, const int32_t *row_sums, size_t m, size_t k,           \
     const int8_t *panels, const sq_int8_columns *columns, size_t n, sq_epilogue epilogue, float *c, size_t ldc,   \
     const int8_t *next))                                                                                          \
  X(f16f32_row, void, (const void *x, size_t n, float *y))                                                         \
  X(s8f32_row, void, (const int8_t *x, size_t n, int8_t flip, float zero, float scale, float *y))                  \
  X(f32_attention, void,                                                                                           \
    (const float *q, const float *k, const float *v, size_t stride, size_t n, size_t attended, size_t head_size,   \
     float scale, float *out, size_t out_stride, float *scratch))                                                  \
  X(s16_attention, void,                                                                                           \
    (const float *q, const float *k, const float *v, size_t stride, size_t n, size_t attended, size_t head_size,   \
     float scale, float *out, size_t out_stride, void *scratch))                                                   \
  X(f32_gelu_gradient_row, void, (float *d, float *u, size_t n))                                                   \
  X(f32_dropout_row, void, (float *x, size_t n, uint64_t key, size_t first, uint32_t threshold, float factor))

/// A set of kernels for one instruction set. NULL: this set has none of its own; the next set down serves.
typedef struct {
#define SQ_MEMBER(name, result, parameters) result(*name) parameters;
  SQ_KERNELS(SQ_MEMBER)
#undef SQ_MEMBER
} sq_kernel_set;

/// Those of another architecture than the one compiled for are empty.
extern const sq_kernel_set sq_kernels_portable;
extern const sq_kernel_set sq_kernels_avx2;
extern const sq_kernel_set sq_kernels_avxvnni;
extern const sq_kernel_set sq_kernels_avx512;
extern const sq_kernel_set sq_kernels_avx512vnni;
extern const sq_kernel_set sq_kernels_amx;
extern const sq_kernel_set sq_kernels_neon;
extern const sq_kernel_set sq_kernels_neondotprod;
extern const sq_kernel_set sq_kernels_neoni8mm;

/// The number of kernels in a set, and the name of the i-th as it stands in SQ_KERNELS.
size_t sq_kernel_count(void);
const char *sq_kernel_name(size_t i);

/// How many floats of scratch f32_attention needs.
static inline size_t sq_attention_scratch(size_t n, size_t head_size) {
  const size_t padded_n = sq_padded(n, SQ_F32_PANEL);
  return padded_n * head_size + SQ_QUERY_BLOCK * padded_n + n * sq_padded(head_size, 16);
}

/// What s16_attention keeps in its scratch, one after the other, in words of 32 bits.
typedef struct {
  size_t keys, values, queries, scores;
} sq_s16_attention_layout;

static inline sq_s16_attention_layout sq_s16_attention_layout_of(size_t attended, size_t head_size) {
  const size_t pairs = (head_size + 1) / 2, padded_head = sq_padded(head_size, 16);
  return (sq_s16_attention_layout){
    .keys = sq_padded(attended, SQ_S16_PANEL) * pairs,
    .values = (attended + 1) / 2 * padded_head,
    .queries = SQ_QUERY_BLOCK * sq_padded(pairs, 16),
    .scores = SQ_QUERY_BLOCK * sq_padded(attended, 16),
  };
}

/// How many bytes of scratch s16_attention needs.
static inline size_t sq_s16_attention_scratch(size_t n, size_t head_size) {
  const sq_s16_attention_layout layout = sq_s16_attention_layout_of(n, head_size);
  return (layout.keys + layout.values + layout.queries + layout.scores) * sizeof(int32_t);
}

/// The processor's features that kernel sets ask for, with the operating system's support for the registers.
typedef struct {
  int avx2_fma, avx512, avx512_vnni, avx_vnni, avx512_bf16, amx_int8;
  int neon, neon_dotprod, neon_i8mm;
} sq_cpu_features;

sq_cpu_features sq_cpu_features_read(void);

/// How many processors the system lets this process run on (its affinity mask).
int sq_usable_processors(void);

/// Tells the processor that this thread waits in a loop.
static inline void sq_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Begins to bring memory into the second-level cache.
static inline void sq_fetch(const void *memory, size_t bytes) {
  for (const char *line = (const char *)memory, *const end = line + bytes; line < end; line += 64) __builtin_prefetch(line, 0, 2);
}

#endif
