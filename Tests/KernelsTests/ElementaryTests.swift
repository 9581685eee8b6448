import Testing

@testable import Kernels

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The reference kernels against double precision. The bounds are the errors measured over these sweeps, rounded up.
struct ElementaryTests {
  /// Largest relative error of exp over its range.
  static let expError = 1e-7
  /// Largest absolute error of erf.
  static let erfError = 8e-8
  /// Largest error of GELU, relative to 1 + |x|.
  static let geluError = 1e-7

  @Test func exponential() {
    var worst = 0.0
    for x in stride(from: Float(-87), through: 88, by: 0.000_37) {
      let exact = exp(Double(x))
      worst = max(worst, abs(Double(Reference.exp(x)) - exact) / exact)
    }
    print("exp: largest relative error \(worst)")
    #expect(worst < Self.expError)
    #expect(Reference.exp(-87.5) == 0 && Reference.exp(-.infinity) == 0 && Reference.exp(0) == 1)
  }

  @Test func errorFunction() {
    var worst = 0.0
    for x in stride(from: Float(-6), through: 6, by: 0.000_031) {
      worst = max(worst, abs(Double(Reference.erf(x)) - erf(Double(x))))
    }
    print("erf: largest absolute error \(worst)")
    #expect(worst < Self.erfError)
  }

  @Test func gelu() {
    var (worst, worstTanh) = (0.0, 0.0)
    for x in stride(from: Float(-12), through: 12, by: 0.000_061) {
      let d = Double(x)
      let exact = d / 2 * (1 + erf(d / 2.0.squareRoot()))
      let tanhForm = d / 2 * (1 + tanh((2 / Double.pi).squareRoot() * (d + 0.044715 * d * d * d)))
      worst = max(worst, abs(Double(Reference.gelu(x)) - exact) / (1 + abs(d)))
      worstTanh = max(worstTanh, abs(Double(Reference.geluTanh(x)) - tanhForm) / (1 + abs(d)))
    }
    print("gelu: largest error \(worst), tanh form \(worstTanh)")
    #expect(worst < Self.geluError)
    #expect(worstTanh < Self.geluError)
  }

  @Test func normalizationOfExtremeRows() {
    var random = SplitMix64(seed: 6)
    for (offset, spread) in [(Float(0), Float(1)), (1000, 1), (0, 1e6), (0, 1e-4)] {
      let count = 768
      var row = random.floats(count, in: (offset - spread)...(offset + spread))
      let zeros = [Float](repeating: 0, count: count)
      let ones = [Float](repeating: 1, count: count)
      let exact: [Double] = {
        let mean = row.reduce(0.0) { $0 + Double($1) } / Double(count)
        let variance = row.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(count)
        return row.map { (Double($0) - mean) / (variance + 1e-12).squareRoot() }
      }()
      row.withUnsafeMutableBufferPointer {
        Reference.residualNorm($0.baseAddress!, zeros, nil, ones, zeros, 1e-12, count)
      }
      // The mean itself is known to half a unit in the last place of the largest element.
      let bound = 1e-6 + Double(abs(offset) / spread) * 2e-7
      let worst = zip(row, exact).map { abs(Double($0) - $1) }.max() ?? .infinity
      #expect(worst < bound, "offset \(offset), spread \(spread)")
    }
  }
}
