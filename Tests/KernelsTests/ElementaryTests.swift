import SeededRandom
import Testing

@testable import Kernels

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The reference kernels against double precision. The bounds are the errors measured over these sweeps, rounded up.
struct ElementaryTests {
  /// Largest relative error of 2ʸ over its range.
  static let exp2Error = 1.7e-7
  /// Largest relative error of 2ʸ with y in fixed point, where it is not below 2⁻¹⁰⁰.
  static let fixedExp2Error = 2.2e-7
  /// Largest error of GELU, relative to 1 + |x|.
  static let geluError = 8.5e-8
  /// That of its tanh form.
  static let tanhFormError = 1e-7
  /// Largest error of GELU's derivative, which lies between −0.13 and 1.13.
  static let slopeError = 1.6e-7

  /// Largest error of erf.
  static let errorFunctionError = 2e-7

  @Test func powersOfTwo() {
    var worst = 0.0
    for y in stride(from: Float(-126), through: 126, by: 0.000_53) {
      let exact = exp2(Double(y))
      worst = max(worst, abs(Double(Reference.exp2(y)) - exact) / exact)
    }
    print("exp2: largest relative error \(worst)")
    #expect(worst < Self.exp2Error)
    #expect(Reference.exp2(0) == 1 && Reference.exp2(-126) == 0x1p-126 && Reference.exp2(10) == 1024)
  }

  @Test func powersOfTwoOfFixedPoint() {
    var worst = 0.0
    for y in stride(from: Float(-100), through: 0, by: 0.000_31) {
      let exact = exp2(Double(y))
      worst = max(worst, abs(Double(Reference.fixedExp2(y * Reference.fixedExp2Unit)) - exact) / exact)
    }
    print("exp2 of fixed point: largest relative error \(worst)")
    #expect(worst < Self.fixedExp2Error)
    // What is further below is as good as nothing, whatever it is.
    for y: Float in [-101, -1e6, -.infinity] { #expect(Reference.fixedExp2(y * Reference.fixedExp2Unit) == Reference.fixedExp2(-100 * 0x1p23)) }
  }

  @Test func gelu() {
    var (worst, worstTanh, worstSlope) = (0.0, 0.0, 0.0)
    for x in stride(from: Float(-12), through: 12, by: 0.000_061) {
      let d = Double(x)
      let exact = d / 2 * (1 + erf(d / 2.0.squareRoot()))
      let tanhForm = d / 2 * (1 + tanh((2 / Double.pi).squareRoot() * (d + 0.044715 * d * d * d)))
      worst = max(worst, abs(Double(Reference.gelu(x)) - exact) / (1 + abs(d)))
      worstTanh = max(worstTanh, abs(Double(Reference.geluTanh(x)) - tanhForm) / (1 + abs(d)))
      let slope = (1 + erf(d / 2.0.squareRoot())) / 2 + d * exp(-d * d / 2) / (2 * Double.pi).squareRoot()
      worstSlope = max(worstSlope, abs(Double(Reference.geluSlope(x)) - slope))
    }
    print("gelu: largest error \(worst), tanh form \(worstTanh), derivative \(worstSlope)")
    #expect(worstSlope < Self.slopeError)
    #expect(worst < Self.geluError)
    #expect(worstTanh < Self.tanhFormError)
    // What is not a number stays so, and far out nothing is left of the tail.
    #expect(Reference.gelu(.nan).isNaN && Reference.geluTanh(.nan).isNaN)
    #expect(Reference.gelu(100) == 100 && Reference.gelu(-100) == 0 && Reference.gelu(-.infinity) == 0)
  }

  @Test func errorFunction() {
    var worst = 0.0
    for x in stride(from: Float(-7), through: 7, by: 0.000_061) {
      worst = max(worst, abs(Double(ErrorFunction.erf(x)) - erf(Double(x))))
    }
    print("erf: largest error \(worst)")
    #expect(worst < Self.errorFunctionError)
    #expect(ErrorFunction.erf(.infinity) == 1 && ErrorFunction.erf(-.infinity) == -1 && ErrorFunction.erf(.nan).isNaN)
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
