import CKernels

// The reference of every kernel: plain Swift, written to be read. The C kernels must give the same bits, so the order of additions
// is the same: what C does in a vector of 16 lanes stands here in a `SIMD16`, and products that are added are fused.

extension sq_kernel_set {
  static var reference: sq_kernel_set {
    var set = sq_kernel_set()
    set.f32_bias_row = { row, bias, n in
      guard let row, let bias else { return }
      for i in 0..<n { row[i] += bias[i] }
    }
    set.f32_bias_gelu_row = { row, bias, n in
      guard let row, let bias else { return }
      for i in 0..<n { row[i] = Reference.gelu(row[i] + bias[i]) }
    }
    set.f32_bias_gelu_tanh_row = { row, bias, n in
      guard let row, let bias else { return }
      for i in 0..<n { row[i] = Reference.geluTanh(row[i] + bias[i]) }
    }
    set.f32_residual_norm_row = { residual, x, bias, scale, shift, epsilon, n in
      guard let residual, let x, let scale, let shift else { return }
      Reference.residualNorm(residual, x, bias, scale, shift, epsilon, n)
    }
    set.f32_softmax_row = { row, n, scale in
      guard let row else { return 0 }
      return Reference.softmax(row, n, scale)
    }
    set.f32_gemm = { a, lda, m, k, panels, n, bias, epilogue, c, ldc, _ in
      guard let a, let panels, let c else { return }
      Reference.gemm(a, lda, m, k, panels, n, bias, epilogue, c, ldc)
    }
    set.f32u8_quantize_rows = { x, xStride, rows, n, paddedCount, u, stride, scales, sums in
      guard let x, let u, let scales, let sums else { return }
      for row in 0..<rows { Reference.quantize(x + row * xStride, n, paddedCount, u + row * stride, scales + row, sums + row) }
    }
    set.f32u8_quantize_fixed_rows = {
      x, xStride, rows, n, paddedCount, scale, zeroPoint, low, high, shift, u, stride, scales, sums in
      guard let x, let u, let scales, let sums else { return }
      for row in 0..<rows {
        scales[row] = scale
        Reference.quantize(x + row * xStride, n, paddedCount, zeroPoint, low...high, shift, u + row * stride, scales + row, sums + row)
      }
    }
    set.u8s8f32_gemm = { a, lda, rowScales, rowSums, m, k, panels, columns, n, epilogue, c, ldc, _ in
      guard let a, let rowScales, let rowSums, let panels, let columns, let c else { return }
      Reference.gemm(a, lda, rowScales, rowSums, m, k, panels, columns.pointee, n, epilogue, c, ldc)
    }
    set.f16f32_row = { x, n, y in
      guard let x, let y else { return }
      for i in 0..<n { y[i] = Reference.float(halfPrecision: x.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)) }
    }
    set.s8f32_row = { x, n, flip, zero, scale, y in
      guard let x, let y else { return }
      for i in 0..<n { y[i] = (Float(x[i] ^ flip) - zero) * scale }
    }
    set.f32_attention = { q, k, v, stride, n, attended, headSize, scale, out, outStride, _ in
      guard let q, let k, let v, let out else { return }
      Reference.attention(q, k, v, stride, n, attended, headSize, scale, out, outStride)
    }
    set.s16_attention = { q, k, v, stride, n, attended, headSize, scale, out, outStride, _ in
      guard let q, let k, let v, let out else { return }
      Reference.fixedPointAttention(q, k, v, stride, n, attended, headSize, scale, out, outStride)
    }
    set.f32_gelu_gradient_row = { d, u, n in
      guard let d, let u else { return }
      for i in 0..<n {
        d[i] *= Reference.geluSlope(u[i])
        u[i] = Reference.gelu(u[i])
      }
    }
    set.f32_dropout_row = { x, n, key, first, threshold, factor in
      guard let x else { return }
      for i in 0..<n { x[i] = Reference.dropoutBits(key, element: first + i) < threshold ? 0 : x[i] * factor }
    }
    return set
  }
}

/// What the kernels compute.
enum Reference {
  static let lanes = 16

  /// Added to a float of magnitude below 2²², 1.5 · 2²³ leaves the nearest whole number in the low bits.
  private static let rounder: Float = 0x1.8p+23

  /// 2ʸ for −126 ≤ y ≤ 126: y = n + r with |r| ≤ 1/2, and 2ʳ by a polynomial of degree 5.
  static func exp2(_ y: Float) -> Float {
    let shifted = y + rounder
    let r = y - (shifted - rounder)
    var p: Float = 0x1.5bb9e4p-10
    for coefficient: Float in [0x1.3ceab4p-7, 0x1.c6b754p-5, 0x1.ebf9bcp-3, 0x1.62e42ap-1, 1] {
      p = coefficient.addingProduct(p, r)
    }
    return Float(bitPattern: p.bitPattern &+ shifted.bitPattern << 23)
  }

  /// In what units `fixedExp2` takes exponents: as a float's lowest bit is to its exponent.
  static let fixedExp2Unit: Float = 0x1p23

  /// 2^(x / fixedExp2Unit) for x ≤ 0; below 2⁻¹⁰⁰ all are alike. x = 2²³ · (n + m) with a fraction m, and 2ᵐ by a polynomial of
  /// degree 5 in 1 + m.
  static func fixedExp2(_ x: Float) -> Float {
    let bits = Int32(x > -100 * fixedExp2Unit ? x : -100 * fixedExp2Unit)
    let fraction = Float(bitPattern: UInt32(bits & 0x7f_ffff) | 0x3f80_0000)
    var p: Float = 0x1.ec3208p-10
    for coefficient: Float in [-0x1.a1e6f4p-12, 0x1.3c93dcp-5, 0x1.b9b120p-4, 0x1.6a3ed6p-2, 0x1.fe3eaap-2] {
      p = coefficient.addingProduct(p, fraction)
    }
    return Float(bitPattern: p.bitPattern &+ UInt32(bitPattern: bits & ~0x7f_ffff))
  }

  private static let log2E: Float = 0x1.715476p+0

  /// 2^(x · factor), where that is above 2⁻¹²⁶.
  private static func exponential(_ x: Float, _ factor: Float) -> Float {
    let y = x * factor
    return exp2(-126 > y ? -126 : y)
  }

  /// Φ(−t) = 2^−P(t) for 0 ≤ t ≤ 8, with Φ the normal distribution function. Φ(−8) is below 10⁻¹⁵.
  static func normalTail(_ t: Float) -> Float {
    var p: Float = 0x1.a5d72ap-22
    for coefficient: Float in [
      -0x1.05c610p-17, 0x1.0e2a5cp-14, -0x1.06d9acp-12, -0x1.883d98p-15, 0x1.ca8dd4p-8, -0x1.adddfap-5, -0x1.d63b16p-2,
      -0x1.26aedap+0, -1,
    ] { p = coefficient.addingProduct(p, t) }
    return exp2(p)
  }

  /// x · Φ(x) = max(x, 0) − u · Φ(−u), with u = |x|: what is subtracted is, in each of sixteen parts of 0…5.5, a polynomial in the distance from a
  /// point of the part.
  static func gelu(_ x: Float) -> Float {
    let u = x.magnitude < geluEnds[15] ? x.magnitude : geluEnds[15]
    let part = geluEnds.prefix(15).count { $0 <= u }
    let distance = u - geluPoints[part]
    var p: Float = 0
    for coefficients in geluCoefficients { p = coefficients[part].addingProduct(p, distance) }
    return (0 > x ? 0 : x) - p
  }

  private static let geluEnds: [Float] = [0.375, 0.4375, 0.5, 0.625, 0.75, 0.875, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5.5]
  private static let geluPoints: [Float] = [
    0, 0.40625, 0.46875, 0.5625, 0.6875, 0.8125, 0.9375, 1.125, 1.375, 1.625, 1.875, 2.25, 2.75, 3.25, 3.75, 5.5,
  ]
  /// Highest power first.
  private static let geluCoefficients: [[Float]] = [
    [
      -0x1.3a7b46p-7, -0x1.4a3206p-6, -0x1.6574d8p-6, -0x1.7def68p-6, -0x1.80b39ep-6, -0x1.633df2p-6, -0x1.2b7628p-6,
      -0x1.7222c4p-7, -0x1.780df4p-10, 0x1.7d189p-8, 0x1.233a06p-7, 0x1.d419dp-8, 0x1.c42dc6p-10, -0x1.70f24ap-11,
      -0x1.5ffca6p-11, -0x1.2a182ep-14,
    ],
    [
      0x1.1e14c6p-4, 0x1.680b6p-5, 0x1.3235bap-5, 0x1.b62886p-6, 0x1.89a124p-7, -0x1.1f7576p-9, -0x1.e348d8p-7, -0x1.d4979p-6,
      -0x1.2a50e8p-5, -0x1.107cd6p-5, -0x1.8322ap-6, -0x1.0112c4p-7, 0x1.88245ap-9, 0x1.ca4588p-9, 0x1.91a5ecp-10,
      -0x1.565128p-13,
    ],
    [
      -0x1.01169ep-11, 0x1.86b154p-4, 0x1.b06276p-4, 0x1.e1bb8ap-4, 0x1.04b82p-3, 0x1.09a2d8p-3, 0x1.00c0a8p-3, 0x1.bcf148p-4,
      0x1.32ed5ap-4, 0x1.415336p-5, 0x1.5531d2p-7, -0x1.9e5fc6p-7, -0x1.e6a11p-7, -0x1.d8c4c2p-8, -0x1.22a762p-9, -0x1.4bc28cp-13,
    ],
    [
      -0x1.987de2p-2, -0x1.591e82p-2, -0x1.45cd4ep-2, -0x1.2591bap-2, -0x1.ec9e5ep-3, -0x1.8978acp-3, -0x1.271ef6p-3,
      -0x1.3eaa9p-4, -0x1.15cf1cp-7, 0x1.178d72p-5, 0x1.ab0642p-5, 0x1.8e2c64p-5, 0x1.9e6d6ap-6, 0x1.1cab3cp-7, 0x1.16b16ep-9,
      -0x1.f2e4cp-15,
    ],
    [
      0.5, 0x1.8b5bccp-3, 0x1.3773e6p-3, 0x1.866c9ep-4, 0x1.e0b2f8p-6, -0x1.95b268p-6, -0x1.116ed2p-4, -0x1.baa428p-4,
      -0x1.0752eep-3, -0x1.efcb36p-4, -0x1.93c66ep-4, -0x1.e4e1e2p-5, -0x1.68e60ap-6, -0x1.8a5abp-8, -0x1.43700cp-10,
      -0x1.240728p-17,
    ],
    [
      0, 0x1.1cc6cap-3, 0x1.32d6d6p-3, 0x1.4a7eap-3, 0x1.5a3458p-3, 0x1.5a883p-3, 0x1.4e8fb6p-3, 0x1.2c32d6p-3, 0x1.dc462ep-4,
      0x1.5aa72ap-4, 0x1.d2e35cp-5, 0x1.c2a48ap-6, 0x1.0c8316p-7, 0x1.eb9b3cp-10, 0x1.5bac1p-12, 0,
    ],
  ]

  /// GELU's derivative Φ(x) + x · φ(x), with φ(x) = exp(−x² / 2) / √(2π).
  static func geluSlope(_ x: Float) -> Float {
    let t = x.magnitude < 8 ? x.magnitude : 8
    let below = normalTail(t)
    let density = exp2(t * t * (-log2E / 2)) * 0x1.988454p-2
    return (x < 0 ? below : 1 - below).addingProduct(x, density)
  }

  /// The 32 bits that decide whether an element falls (the output function of SplitMix64, Steele et al. 2014).
  static func dropoutBits(_ key: UInt64, element: Int) -> UInt32 {
    var z = key &+ (UInt64(element / 2) &+ 1) &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    z ^= z >> 31
    return UInt32(truncatingIfNeeded: element % 2 == 0 ? z : z >> 32)
  }

  /// x / (1 + exp(−2u)) with u = √(2/π) · (x + 0.044715 x³)
  static func geluTanh(_ x: Float) -> Float {
    let y = x.addingProduct(x * x * x, 0x1.6e4e26p-5) * -0x1.26aec2p+1
    let below = y < 126 ? y : 126
    return x / (1 + exp2(below > -126 ? below : -126))
  }

  /// Sum of 16 lanes, in halves.
  static func sum(_ lanes: SIMD16<Float>) -> Float {
    let eight = lanes.lowHalf + lanes.highHalf
    let four = eight.lowHalf + eight.highHalf
    let two = four.lowHalf + four.highHalf
    return two.x + two.y
  }

  /// Sums over a row: of every 64th element one, added in halves.
  private struct RowSums {
    private var sums = [SIMD16<Float>](repeating: SIMD16(), count: 4)

    subscript(element: Int) -> Float {
      get { sums[element / lanes % sums.count][element % lanes] }
      set { sums[element / lanes % sums.count][element % lanes] = newValue }
    }

    var total: Float { sum((sums[0] + sums[1]) + (sums[2] + sums[3])) }
  }

  static func residualNorm(
    _ residual: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ bias: UnsafePointer<Float>?,
    _ scale: UnsafePointer<Float>, _ shift: UnsafePointer<Float>, _ epsilon: Float, _ n: Int
  ) {
    var sums = RowSums()
    for i in 0..<n {
      residual[i] += bias.map { x[i] + $0[i] } ?? x[i]
      sums[i] += residual[i]
    }
    let mean = sums.total / Float(n)
    var squares = RowSums()
    for i in 0..<n {
      let d = residual[i] - mean
      squares[i].addProduct(d, d)
    }
    let factor = 1 / (squares.total / Float(n) + epsilon).squareRoot()
    for i in 0..<n {
      residual[i] = shift[i].addingProduct((residual[i] - mean) * factor, scale[i])
    }
  }

  /// row = exp((row − largest) · scale), as a power of two; returns the sum.
  static func softmax(_ row: UnsafeMutablePointer<Float>, _ n: Int, _ scale: Float) -> Float {
    let factor = scale * log2E
    let largest = UnsafeBufferPointer(start: row, count: n).reduce(-Float.infinity) { $1 > $0 ? $1 : $0 }
    var sums = SIMD16<Float>()
    for i in 0..<n {
      row[i] = exponential(row[i] - largest, factor)
      sums[i % lanes] += row[i]
    }
    return sum(sums)
  }

  static func gemm(
    _ a: UnsafePointer<Float>, _ lda: Int, _ m: Int, _ k: Int, _ panels: UnsafePointer<Float>, _ n: Int,
    _ bias: UnsafePointer<Float>?, _ epilogue: sq_epilogue, _ c: UnsafeMutablePointer<Float>, _ ldc: Int
  ) {
    for row in 0..<m {
      for column in 0..<n {
        let (panel, place) = column.quotientAndRemainder(dividingBy: PackedFloatMatrix.panelWidth)
        let b = panels + panel * PackedFloatMatrix.panelWidth * k + place
        var sum: Float = 0
        for depth in 0..<k {
          sum.addProduct(a[row * lda + depth], b[depth * PackedFloatMatrix.panelWidth])
        }
        let shift = bias?[column] ?? 0
        c[row * ldc + column] =
          switch epilogue {
          case SQ_EPILOGUE_BIAS: sum + shift
          case SQ_EPILOGUE_BIAS_GELU: gelu(sum + shift)
          case SQ_EPILOGUE_BIAS_GELU_TANH: geluTanh(sum + shift)
          default: sum
          }
      }
    }
  }

  /// u = x / scale + 128 with scale = largest magnitude / 127.
  static func quantize(
    _ x: UnsafePointer<Float>, _ n: Int, _ paddedCount: Int, _ u: UnsafeMutablePointer<UInt8>,
    _ scale: UnsafeMutablePointer<Float>, _ sum: UnsafeMutablePointer<Int32>
  ) {
    let row = UnsafeBufferPointer(start: x, count: n)
    guard row.allSatisfy(\.isFinite) else { return quantizeNoRow(paddedCount, u, scale, sum) }
    let largest = row.reduce(0) { max($0, $1.magnitude) }
    scale.pointee = largest / 127
    // A row of subnormals has no reciprocal in range; it counts as zeros.
    let factor = scale.pointee < 0x1p-126 ? 0 : 127 / largest
    sum.pointee = 0
    for i in 0..<n {
      let q = Int32((x[i] * factor).rounded(.toNearestOrEven))
      sum.pointee += q
      u[i] = UInt8(q + 128)
    }
    for i in n..<paddedCount { u[i] = 128 }
  }

  /// A row that holds what is not finite.
  private static func quantizeNoRow(
    _ paddedCount: Int, _ u: UnsafeMutablePointer<UInt8>, _ scale: UnsafeMutablePointer<Float>, _ sum: UnsafeMutablePointer<Int32>
  ) {
    u.update(repeating: 0, count: paddedCount)
    (scale.pointee, sum.pointee) = (.nan, 0)
  }

  /// u = round(x / scale) + zeroPoint within `range`, plus `shift`.
  static func quantize(
    _ x: UnsafePointer<Float>, _ n: Int, _ paddedCount: Int, _ zeroPoint: Int32, _ range: ClosedRange<Int32>, _ shift: Int32,
    _ u: UnsafeMutablePointer<UInt8>, _ scale: UnsafeMutablePointer<Float>, _ sum: UnsafeMutablePointer<Int32>
  ) {
    guard UnsafeBufferPointer(start: x, count: n).allSatisfy(\.isFinite) else { return quantizeNoRow(paddedCount, u, scale, sum) }
    sum.pointee = 0
    for i in 0..<n {
      let real = min(max(x[i] / scale.pointee, -1024), 1024)
      let q = min(max(Int32(real.rounded(.toNearestOrEven)) + zeroPoint, range.lowerBound), range.upperBound)
      sum.pointee += q - zeroPoint
      u[i] = UInt8(q + shift)
    }
    for i in n..<paddedCount { u[i] = UInt8(shift + zeroPoint) }
  }

  static func gemm(
    _ a: UnsafePointer<UInt8>, _ lda: Int, _ rowScales: UnsafePointer<Float>, _ rowSums: UnsafePointer<Int32>, _ m: Int,
    _ k: Int, _ panels: UnsafePointer<Int8>, _ columns: sq_int8_columns, _ n: Int, _ epilogue: sq_epilogue,
    _ c: UnsafeMutablePointer<Float>, _ ldc: Int
  ) {
    let width = PackedInt8Matrix.panelWidth
    for row in 0..<m {
      for column in 0..<n {
        let b = panels + column / width * width * k
        var sum: Int32 = 0
        for depth in 0..<k {
          let weight = b[(depth / 4 * width + column % width) * 4 + depth % 4]
          sum += Int32(a[row * lda + depth]) * Int32(weight)
        }
        let exact = sum - columns.stored_zero * columns.sums[column] - (columns.zero_points?[column] ?? 0) * rowSums[row]
        let y = columns.bias[column].addingProduct(Float(exact), columns.scales[column] * rowScales[row])
        c[row * ldc + column] =
          switch epilogue {
          case SQ_EPILOGUE_BIAS_GELU: gelu(y)
          case SQ_EPILOGUE_BIAS_GELU_TANH: geluTanh(y)
          default: y
          }
      }
    }
  }

  /// The value of an IEEE 754 binary16 bit pattern. (`Float16` is not available on every Swift platform.)
  static func float(halfPrecision bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10) & 0x1f
    let fraction = UInt32(bits & 0x3ff)
    switch exponent {
    case 0:
      // Zero and subnormals: fraction × 2⁻²⁴ is exact in float32.
      let magnitude = Float(fraction) * 0x1p-24
      return Float(bitPattern: magnitude.bitPattern | sign)
    case 0x1f:
      let quiet: UInt32 = fraction == 0 ? 0 : 0x40_0000
      return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13 | quiet)
    default:
      return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }

  static func attention(
    _ q: UnsafePointer<Float>, _ k: UnsafePointer<Float>, _ v: UnsafePointer<Float>, _ stride: Int, _ n: Int,
    _ attended: Int, _ headSize: Int, _ scale: Float, _ out: UnsafeMutablePointer<Float>, _ outStride: Int
  ) {
    var scores = [Float](repeating: 0, count: attended)
    for query in 0..<n {
      for key in 0..<attended {
        var dot: Float = 0
        for i in 0..<headSize { dot.addProduct(q[query * stride + i], k[key * stride + i]) }
        scores[key] = dot
      }
      let total = scores.withUnsafeMutableBufferPointer { buffer in
        buffer.baseAddress.map { softmax($0, attended, scale) } ?? 0
      }
      let factor = 1 / total
      for i in 0..<headSize {
        var mix: Float = 0
        for key in 0..<attended { mix.addProduct(scores[key], v[key * stride + i]) }
        out[query * outStride + i] = mix * factor
      }
    }
  }

  /// What integers stand for and how they are made: x = integer · scale.
  private struct FixedScale {
    let scale: Float
    private let factor: Float

    /// By which `largest` becomes `limit`. Where it is so small that its square has no precise number, all count as zeros; what is not
    /// finite gives the scale NaN.
    init(_ largest: Float, limit: Float) {
      scale = largest.isFinite ? largest / limit : .nan
      factor = !largest.isFinite || largest < 0x1p-50 ? 0 : limit / largest
    }

    func integer(_ x: Float) -> Int32 { Reference.rounded(x, factor) }
  }

  /// The length of a vector.
  private static func length(_ x: UnsafePointer<Float>, _ n: Int) -> Float {
    var squares = SIMD16<Float>()
    for i in 0..<n { squares[i % lanes].addProduct(x[i], x[i]) }
    return sum(squares).squareRoot()
  }

  /// The whole number nearest to x · factor, rounded once.
  private static func rounded(_ x: Float, _ factor: Float) -> Int32 {
    Int32(Int16(truncatingIfNeeded: Int32(bitPattern: rounder.addingProduct(x, factor).bitPattern)))
  }

  static func fixedPointAttention(
    _ q: UnsafePointer<Float>, _ k: UnsafePointer<Float>, _ v: UnsafePointer<Float>, _ stride: Int, _ n: Int,
    _ attended: Int, _ headSize: Int, _ scale: Float, _ out: UnsafeMutablePointer<Float>, _ outStride: Int
  ) {
    // Everything fits 32 bits: a score, which is no larger than the product of two lengths; a sum of values, though rounding makes each
    // probability up to half a unit larger.
    let longest: Float = 32000
    let lengths = (0..<attended).map { length(k + $0 * stride, headSize) }
    let values = (0..<attended).lazy.flatMap { key in (0..<headSize).lazy.map { v[key * stride + $0].magnitude } }
    let keyScale = FixedScale(lengths.allSatisfy(\.isFinite) ? lengths.reduce(0, max) : .nan, limit: longest)
    let valueScale = FixedScale(values.allSatisfy(\.isFinite) ? values.reduce(0, max) : .nan, limit: Float(Int16.max))
    let exponentScale = keyScale.scale * (scale * log2E)

    var scores = [Float](repeating: 0, count: attended)
    for query in 0..<n {
      let own = FixedScale(length(q + query * stride, headSize), limit: longest)
      let exponent = own.scale * exponentScale
      guard exponent.isFinite else {
        for i in 0..<headSize { out[query * outStride + i] = .nan }
        continue
      }
      for key in 0..<attended {
        scores[key] = Float((0..<headSize).reduce(Int32(0)) { sum, i in
          sum + own.integer(q[query * stride + i]) * keyScale.integer(k[key * stride + i])
        })
      }
      let largest = scores.reduce(-.infinity, max)
      // A unit of a score that counts for more is lost in the rounding of queries and keys.
      let unit = min(exponent, 0x1p-6) * fixedExp2Unit
      let shift = -(largest * unit)
      var sums = SIMD16<Float>()
      for key in 0..<attended {
        scores[key] = fixedExp2(shift.addingProduct(scores[key], unit))
        sums[key % lanes] += scores[key]
      }
      let total = sum(sums)
      // The largest exponential is nearly 1: `shift` is rounded.
      let share = min((65536 - Float(attended)) / total, 32767 / fixedExp2(shift.addingProduct(largest, unit)))
      let factor = 1 / (share * total) * valueScale.scale
      for i in 0..<headSize {
        let mix = (0..<attended).reduce(Int32(0)) { sum, key in
          sum + rounded(scores[key], share) * valueScale.integer(v[key * stride + i])
        }
        out[query * outStride + i] = Float(mix) * factor
      }
    }
  }
}
