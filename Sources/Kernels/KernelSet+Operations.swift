import CKernels

// The kernels by their Swift names. The initialiser has proved that no entry of the table is missing.

extension KernelSet {
  /// What a product does with a finished element.
  public enum Epilogue: Sendable {
    case none, bias, biasGELU, biasGELUTanh

    var code: sq_epilogue {
      switch self {
      case .none: SQ_EPILOGUE_NONE
      case .bias: SQ_EPILOGUE_BIAS
      case .biasGELU: SQ_EPILOGUE_BIAS_GELU
      case .biasGELUTanh: SQ_EPILOGUE_BIAS_GELU_TANH
      }
    }
  }

  /// Applies an epilogue to a row that another product left bare.
  public func finish(
    _ row: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>, count: Int, epilogue: Epilogue
  ) {
    switch epilogue {
    case .none: break
    case .bias: table.f32_bias_row.unsafelyUnwrapped(row, bias, count)
    case .biasGELU: table.f32_bias_gelu_row.unsafelyUnwrapped(row, bias, count)
    case .biasGELUTanh: table.f32_bias_gelu_tanh_row.unsafelyUnwrapped(row, bias, count)
    }
  }

  /// d = d · gelu′(u), then u = gelu(u), over `count` elements: the exact form.
  public func geluGradient(_ d: UnsafeMutablePointer<Float>, _ u: UnsafeMutablePointer<Float>, count: Int) {
    table.f32_gelu_gradient_row.unsafelyUnwrapped(d, u, count)
  }

  /// x = 0 where the element's 32 bits are below `threshold`, else x · factor. The bits follow from `key` and the element's number, which
  /// begins at `first`.
  public func dropout(_ x: UnsafeMutablePointer<Float>, count: Int, key: UInt64, first: Int, threshold: UInt32, factor: Float) {
    table.f32_dropout_row.unsafelyUnwrapped(x, count, key, first, threshold, factor)
  }

  /// residual = layerNorm(residual + x + bias) · scale + shift, over `count` elements.
  public func addAndNormalize(
    residual: UnsafeMutablePointer<Float>, x: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    scale: UnsafePointer<Float>, shift: UnsafePointer<Float>, epsilon: Float, count: Int
  ) {
    table.f32_residual_norm_row.unsafelyUnwrapped(residual, x, bias, scale, shift, epsilon, count)
  }

  /// row = exp((row − largest) · scale), for a scale above 0; returns the sum, by which the caller divides.
  public func softmax(_ row: UnsafeMutablePointer<Float>, count: Int, scale: Float = 1) -> Float {
    table.f32_softmax_row.unsafelyUnwrapped(row, count, scale)
  }

  /// `softmax` by the readable reference, which every set agrees with bit by bit.
  public static func referenceSoftmax(_ row: UnsafeMutablePointer<Float>, count: Int, scale: Float = 1) -> Float {
    Reference.softmax(row, count, scale)
  }

  /// c = epilogue(a · b) for some columns of b, of which the first must start a panel: a is `[m, k]` with `lda` floats from row to
  /// row, c `[m, n]` with `ldc`. `next`: the column of b whose panel this thread will probably multiply afterwards.
  public func multiply(
    m: Int, a: UnsafePointer<Float>, lda: Int, b: PackedFloatMatrix, columns: Range<Int>, next: Int? = nil,
    bias: UnsafePointer<Float>?, epilogue: Epilogue, c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    precondition(columns.lowerBound % PackedFloatMatrix.panelWidth == 0 && columns.upperBound <= b.n)
    table.f32_gemm.unsafelyUnwrapped(
      a, lda, m, b.k, b.panels.pointer + columns.lowerBound * b.k, columns.count, bias.map { $0 + columns.lowerBound },
      epilogue.code, c + columns.lowerBound, ldc, next.map { b.panels.pointer + $0 * b.k })
  }

  /// Quantises rows of activations, `stride` floats from row to row, from row `first` of `target` on. A row that holds what is not
  /// finite gets a scale that is not a number, and so does what is computed from it.
  func quantize(
    _ x: UnsafePointer<Float>, stride: Int, rows: Int, count: Int, paddedCount: Int,
    as quantization: PackedInt8Matrix.ActivationQuantization, to target: QuantizedRows, from first: Int
  ) {
    let (u, scales, sums) = (target.bytes + first * target.stride, target.scales + first, target.sums + first)
    switch quantization {
    case .dynamic:
      table.f32u8_quantize_rows.unsafelyUnwrapped(x, stride, rows, count, paddedCount, u, target.stride, scales, sums)
    case .fixed(let scale, let zeroPoint, let isSigned):
      let (low, high, shift): (Int32, Int32, Int32) = isSigned ? (-128, 127, 128) : (0, 255, 0)
      table.f32u8_quantize_fixed_rows.unsafelyUnwrapped(
        x, stride, rows, count, paddedCount, scale, zeroPoint, low, high, shift, u, target.stride, scales, sums)
    }
  }

  /// c = epilogue(a · b + bias) for some columns of b, of which the first must start a panel. `next`: the column of b whose panel this
  /// thread will probably multiply afterwards.
  func multiply(
    rows: Range<Int>, a: QuantizedRows, b: PackedInt8Matrix, columns: Range<Int>, next: Int? = nil, bias: UnsafePointer<Float>,
    epilogue: Epilogue, c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    precondition(columns.lowerBound % PackedInt8Matrix.panelWidth == 0 && columns.upperBound <= b.n)
    let first = columns.lowerBound
    var parameters = sq_int8_columns(
      scales: b.scales.pointer + first, sums: b.sums.pointer + first, stored_zero: b.activation.storedZero,
      zero_points: b.zeroPoints.map { $0.pointer + first }, bias: bias + first)
    table.u8s8f32_gemm.unsafelyUnwrapped(
      a.bytes + rows.lowerBound * a.stride, a.stride, a.scales + rows.lowerBound, a.sums + rows.lowerBound, rows.count,
      b.paddedK, b.panels.pointer + first * b.paddedK, &parameters, columns.count, epilogue.code,
      c + rows.lowerBound * ldc + first, ldc, next.map { b.panels.pointer + $0 * b.paddedK })
  }

  /// y = x, IEEE 754 binary16 at any address, by the set that this process computes with. (Where there is none, that is reported when a
  /// backend is made.)
  public static func convert(halfPrecision x: UnsafeRawPointer, count: Int, to y: UnsafeMutablePointer<Float>) {
    let convert = (try? chosen())?.table.f16f32_row ?? sq_kernels_portable.f16f32_row
    convert?(x, count, y)
  }

  /// y = (x − zero) · scale for bytes, signed or not, by the same set.
  public static func convert(
    bytes x: UnsafePointer<Int8>, areUnsigned: Bool, count: Int, zero: Float, scale: Float, to y: UnsafeMutablePointer<Float>
  ) {
    let convert = (try? chosen())?.table.s8f32_row ?? sq_kernels_portable.s8f32_row
    convert?(x, count, areUnsigned ? .min : 0, areUnsigned ? zero - 128 : zero, scale, y)
  }

  /// Begins to bring memory that is needed soon into the cache.
  public static func fetch(_ memory: UnsafeRawPointer, byteCount: Int) { sq_fetch(memory, byteCount) }

  /// In which numbers attention computes its products.
  public enum AttentionArithmetic: String, Sendable, CaseIterable {
    case float32
    /// 16-bit integers, summed exactly: for models whose linear layers are int8. Where more tokens are attended to than the sums have room for
    /// (`SQ_S16_TOKENS`), float32 after all.
    case fixedPoint = "fixed-point"
  }

  /// Attention of one head over one sequence: out = softmax(q · kᵀ · scale) · v, each `[count, headSize]`, with `stride` floats between
  /// the rows of q, k and v and `outStride` between those of out. All rows attend to the first `attended` ones (by default all),
  /// which get the same bits whatever stands behind them.
  public func attention(
    q: UnsafePointer<Float>, k: UnsafePointer<Float>, v: UnsafePointer<Float>, stride: Int, count: Int,
    attended: Int? = nil, headSize: Int, scale: Float, in arithmetic: AttentionArithmetic = .float32,
    out: UnsafeMutablePointer<Float>, outStride: Int, scratch: UnsafeMutablePointer<Float>
  ) {
    let attended = attended ?? count
    precondition((1...count).contains(attended))
    switch arithmetic {
    case .fixedPoint where attended > Int(SQ_S16_TOKENS), .float32:
      table.f32_attention.unsafelyUnwrapped(q, k, v, stride, count, attended, headSize, scale, out, outStride, scratch)
    case .fixedPoint:
      table.s16_attention.unsafelyUnwrapped(q, k, v, stride, count, attended, headSize, scale, out, outStride, scratch)
    }
  }

  /// How many floats of scratch `attention` needs in either arithmetic, aligned to 64 bytes.
  public static func attentionScratchCount(count: Int, headSize: Int) -> Int {
    max(sq_attention_scratch(count, headSize), sq_s16_attention_scratch(count, headSize) / MemoryLayout<Float>.size)
  }
}
