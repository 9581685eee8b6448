import Testing

@testable import Quantization

@Suite struct RangeTests {
  /// Many small values and a few large ones, all above −1.
  private static let values: [Float] = {
    var random = RandomNumbers(seed: 5)
    return random.floats(40_000, reach: 1) + random.floats(8, reach: 1).map { $0.magnitude * 30 + 3 }
  }()

  private static func histogram(of values: [Float] = values, parts: Int = 1) -> ActivationHistogram {
    var histogram = ActivationHistogram()
    values.withUnsafeBufferPointer { all in
      let size = (all.count + parts - 1) / parts
      for start in stride(from: 0, to: all.count, by: size) {
        histogram.add(UnsafeBufferPointer(rebasing: all[start..<min(start + size, all.count)]))
      }
    }
    return histogram
  }

  private static func error(_ quantization: AffineQuantization) -> Double {
    values.reduce(0) { sum, value in
      let error = Double(quantization.rounded(value) - value)
      return sum + error * error
    } / Double(values.count)
  }

  @Test func countsSurviveTheReachesGrowth() {
    // Largest last: every part makes the histogram wider.
    let sorted = Self.values.sorted { $0.magnitude < $1.magnitude }
    let histogram = Self.histogram(of: sorted, parts: 50)
    #expect(histogram.count == UInt64(sorted.count))
    #expect(histogram.bins.reduce(0, +) == histogram.count)
    #expect(histogram.least == Self.values.min() && histogram.greatest == Self.values.max())
    #expect(histogram.reach >= histogram.greatest && histogram.reach < 2 * histogram.greatest)
  }

  @Test func theHistogramsErrorIsTheValues() {
    let histogram = Self.histogram()
    for method in [RangeMethod.minmax, .mse, .percentile(99.9)] {
      let chosen = histogram.quantization(by: method)
      let (exact, estimate) = (Self.error(chosen), histogram.power(roundedTo: chosen).noise)
      #expect(abs(exact - estimate) < 0.1 * exact, "\(method): \(exact), not \(estimate)")
    }
  }

  @Test func everyMethodHoldsZeroAndStaysInside() {
    let histogram = Self.histogram()
    for method in [RangeMethod.minmax, .percentile(99.99), .percentile(90), .entropy, .mse] {
      let chosen = histogram.quantization(by: method)
      #expect(chosen.rounded(0) == 0)
      #expect((0...255).contains(chosen.zeroPoint))
      #expect(chosen.scale * 255 <= (histogram.greatest - histogram.least) * 1.0001)
    }
  }

  @Test func minmaxHoldsEverything() {
    let chosen = Self.histogram().quantization(by: .minmax)
    for value in Self.values { #expect(abs(chosen.rounded(value) - value) <= chosen.scale * 1.001) }
  }

  @Test func percentileLeavesItsShareOut() {
    let chosen = Self.histogram().quantization(by: .percentile(99))
    let (low, high) = (Float(-chosen.zeroPoint) * chosen.scale, Float(255 - chosen.zeroPoint) * chosen.scale)
    let outside = Self.values.count { $0 < low - chosen.scale || $0 > high + chosen.scale }
    #expect(outside <= Self.values.count / 100)
    #expect(high < 2, "the few large values are among those left out")
  }

  @Test func meanSquareErrorIsTheLeast() {
    let histogram = Self.histogram()
    let best = histogram.power(roundedTo: histogram.quantization(by: .mse)).noise
    for method in [RangeMethod.minmax, .percentile(99.9), .percentile(99), .entropy] {
      #expect(best <= histogram.power(roundedTo: histogram.quantization(by: method)).noise * 1.05)
    }
  }

  @Test func nothingSeenIsNoReasonToFail() {
    for method in [RangeMethod.minmax, .percentile(99), .entropy, .mse] {
      let chosen = ActivationHistogram().quantization(by: method)
      #expect(chosen == AffineQuantization(least: 0, greatest: 0) && chosen.scale == 1)
    }
  }

  @Test func methodsAreSpelled() {
    for text in ["minmax", "percentile:99.99", "entropy", "mse"] { #expect(RangeMethod(text)?.description == text) }
    for text in ["", "percentile", "percentile:", "percentile:x", "percentile:101", "percentile:10", "kl"] {
      #expect(RangeMethod(text) == nil)
    }
  }
}
