/// How often which values were seen, in bounded memory: equal bins over [−reach, reach], whose reach doubles as larger values come.
public struct ActivationHistogram: Sendable {
  /// Enough that 256 levels over a twentieth of the reach are still finer than the bins.
  static let binCount = 8192

  private(set) var bins = [UInt64](repeating: 0, count: binCount)
  /// A power of two; every value lies within.
  private(set) var reach: Float = 0x1p-20
  /// The least and the greatest value exactly; both 0 at first, which every range has to hold.
  public private(set) var least: Float = 0
  public private(set) var greatest: Float = 0
  public private(set) var count: UInt64 = 0

  public init() {}

  /// Adds values; those that are not finite are left out.
  public mutating func add(_ values: UnsafeBufferPointer<Float>) {
    var low = least, high = greatest
    for value in values where value.isFinite {
      low = value < low ? value : low
      high = value > high ? value : high
    }
    (least, greatest) = (low, high)
    widen(to: max(-low, high))
    let factor = Float(Self.binCount / 2) / reach
    bins.withUnsafeMutableBufferPointer { bins in
      for value in values where value.isFinite {
        // Greater than −1 and at most the bin count: the reach itself belongs to the last bin.
        let place = Int(value * factor + Float(Self.binCount / 2))
        bins[max(0, min(Self.binCount - 1, place))] += 1
        count += 1
      }
    }
  }

  private mutating func widen(to magnitude: Float) {
    while reach < magnitude {
      let quarter = Self.binCount / 4
      var wider = [UInt64](repeating: 0, count: Self.binCount)
      for index in bins.indices { wider[quarter + index / 2] += bins[index] }
      bins = wider
      reach *= 2
    }
  }

  var binWidth: Float { 2 * reach / Float(Self.binCount) }

  /// The value in the middle of a bin.
  func center(_ bin: Int) -> Float { (Float(bin) + 0.5) * binWidth - reach }

  /// The bins that hold something.
  var occupied: Range<Int> {
    guard let first = bins.firstIndex(where: { $0 > 0 }), let last = bins.lastIndex(where: { $0 > 0 }) else { return 0..<0 }
    return first..<last + 1
  }

  /// The mean square of the values, and that of what rounding them to `quantization` takes away, to the bins' precision.
  func power(roundedTo quantization: AffineQuantization) -> (signal: Double, noise: Double) {
    guard count > 0 else { return (0, 0) }
    var signal = 0.0, noise = 0.0
    for bin in occupied where bins[bin] > 0 {
      let (value, weight) = (center(bin), Double(bins[bin]))
      let error = Double(quantization.rounded(value) - value)
      signal += weight * Double(value) * Double(value)
      noise += weight * error * error
    }
    return (signal / Double(count), noise / Double(count))
  }
}

/// real = (integer − zeroPoint) · scale with integers from 0 to 255 (ONNX QuantizeLinear-13, uint8).
public struct AffineQuantization: Sendable, Equatable {
  public let scale: Float
  public let zeroPoint: Int32

  public static let levels = 256

  /// The finest one that holds `least`, `greatest` and 0, which falls on an integer exactly.
  public init(least: Float, greatest: Float) {
    let (low, high) = (min(least, 0), max(greatest, 0))
    let span = (high - low) / Float(Self.levels - 1)
    // Nothing but zeros was seen: any scale serves.
    scale = span >= .leastNormalMagnitude ? span : 1
    zeroPoint = Int32(max(0, min(255, (-low / scale).rounded(.toNearestOrEven))))
  }

  /// What is left of a value.
  public func rounded(_ value: Float) -> Float {
    // 1.5 · 2²³ added and taken away leaves the nearest whole number, ties to even, of what is below 2²².
    let bounded = max(-1024, min(1024, value / scale))
    let whole = (bounded + 0x1.8p23) - 0x1.8p23
    return max(Float(-zeroPoint), min(Float(255 - zeroPoint), whole)) * scale
  }
}
