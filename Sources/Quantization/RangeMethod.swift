#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// How the range of an activation is chosen from what calibration saw. What lies outside is clipped, for finer steps inside.
public enum RangeMethod: Sendable, Hashable {
  /// From the least to the greatest value.
  case minmax
  /// The range that holds this share of the values, in percent, with as many left out below as above.
  case percentile(Double)
  /// The range whose 256 levels lose the least information (Kullback-Leibler divergence; Migacz 2017, "8-bit inference with TensorRT").
  case entropy
  /// The range with the least mean square error.
  case mse
}

extension RangeMethod: LosslessStringConvertible {
  /// `minmax`, `percentile:99.99`, `entropy` or `mse`.
  public init?(_ description: String) {
    switch description {
    case "minmax": self = .minmax
    case "entropy": self = .entropy
    case "mse": self = .mse
    default:
      let parts = description.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, parts[0] == "percentile", let share = Double(parts[1]), share > 50, share <= 100 else { return nil }
      self = .percentile(share)
    }
  }

  public var description: String {
    switch self {
    case .minmax: "minmax"
    case .percentile(let share): "percentile:\(share)"
    case .entropy: "entropy"
    case .mse: "mse"
    }
  }
}

extension ActivationHistogram {
  /// The quantisation that `method` chooses. Cost: for `entropy` and `mse` some hundred passes over the bins.
  public func quantization(by method: RangeMethod) -> AffineQuantization {
    switch method {
    case .minmax:
      return AffineQuantization(least: least, greatest: greatest)
    case .percentile(let share):
      let range = self.range(holding: share)
      return AffineQuantization(least: range.least, greatest: range.greatest)
    case .entropy:
      return best { divergence(roundedTo: $0) }
    case .mse:
      return best { power(roundedTo: $0).noise }
    }
  }

  private func range(holding share: Double) -> (least: Float, greatest: Float) {
    let beyond = (1 - share / 100) / 2 * Double(count)
    var low = occupied.lowerBound, high = occupied.upperBound
    var below = 0.0, above = 0.0
    while low < high, below + Double(bins[low]) <= beyond {
      below += Double(bins[low])
      low += 1
    }
    while high > low, above + Double(bins[high - 1]) <= beyond {
      above += Double(bins[high - 1])
      high -= 1
    }
    let width = binWidth
    // A bin's outer edge, but nothing beyond what was seen.
    return (max(least, Float(low) * width - reach), min(greatest, Float(high) * width - reach))
  }

  /// Both ends are drawn in, each for itself, in steps of a fifteenth, down to a twentieth of what was seen.
  private func best(_ cost: (AffineQuantization) -> Double) -> AffineQuantization {
    let shares: [Float] = (0..<44).map { Float(pow(0.935, Double($0))) }
    var best = AffineQuantization(least: least, greatest: greatest)
    var lowest = cost(best)
    func consider(_ low: Float, _ high: Float) -> Bool {
      let candidate = AffineQuantization(least: least * low, greatest: greatest * high)
      let cost = cost(candidate)
      guard cost < lowest else { return false }
      (best, lowest) = (candidate, cost)
      return true
    }
    // One end after the other, until neither helps: the cost has one valley along each.
    var low: Float = 1, high: Float = 1
    for _ in 0..<4 {
      var isBetter = false
      for share in shares where consider(share, high) { (low, isBetter) = (share, true) }
      for share in shares where consider(low, share) { (high, isBetter) = (share, true) }
      if !isBetter { break }
    }
    return best
  }

  /// Σ p · log(p / q): p is what was seen with the clipped values moved to the ends, q what is left of its inside when each level's share
  /// is spread evenly over the level's bins.
  private func divergence(roundedTo quantization: AffineQuantization) -> Double {
    guard count > 0 else { return 0 }
    let low = Float(-quantization.zeroPoint) * quantization.scale
    let high = Float(255 - quantization.zeroPoint) * quantization.scale
    var clippedBelow = 0.0, clippedAbove = 0.0, inside = 0.0
    var first = -1, last = -1
    var sums = [Double](repeating: 0, count: AffineQuantization.levels)
    var members = [Double](repeating: 0, count: AffineQuantization.levels)
    func level(_ value: Float) -> Int { Int(quantization.rounded(value) / quantization.scale + Float(quantization.zeroPoint) + 0.5) }
    for bin in occupied where bins[bin] > 0 {
      let (value, weight) = (center(bin), Double(bins[bin]))
      if value < low - quantization.scale / 2 {
        clippedBelow += weight
      } else if value > high + quantization.scale / 2 {
        clippedAbove += weight
      } else {
        if first < 0 { first = bin }
        last = bin
        inside += weight
        sums[level(value)] += weight
        members[level(value)] += 1
      }
    }
    guard first >= 0, inside > 0 else { return .infinity }
    var divergence = 0.0
    for bin in first...last where bins[bin] > 0 {
      let place = level(center(bin))
      let clipped = (bin == first ? clippedBelow : 0) + (bin == last ? clippedAbove : 0)
      let p = (Double(bins[bin]) + clipped) / Double(count)
      let q = sums[place] / members[place] / inside
      divergence += p * log(p / q)
    }
    return divergence
  }
}
