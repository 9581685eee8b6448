import Encoder

/// What was seen of each channel of a layer's input.
public struct ChannelStatistics: Sendable {
  public private(set) var least: [Float] = []
  public private(set) var greatest: [Float] = []
  private var squares: [Double] = []
  private var rows = 0

  public init() {}

  /// The mean of the squares of a channel's values.
  public func meanSquare(_ channel: Int) -> Double { rows > 0 ? squares[channel] / Double(rows) : 0 }

  /// The largest magnitude of each channel.
  public var reach: [Float] { zip(least, greatest).map { max($0.magnitude, $1.magnitude) } }

  /// What is seen after neurons were split: each copy has its part of the value.
  func splitting(_ neurons: [DistilBERT.Neuron]) -> ChannelStatistics {
    func pick(_ values: [Float]) -> [Float] { neurons.map { neuron in neuron.source.map { values[$0] / Float(neuron.copies) } ?? 0 } }
    var result = self
    result.least = pick(least)
    result.greatest = pick(greatest)
    result.squares = neurons.map { neuron in neuron.source.map { squares[$0] / Double(neuron.copies * neuron.copies) } ?? 0 }
    return result
  }

  /// Adds rows of `width` values each; a value that is not finite counts as 0.
  public mutating func add(_ values: UnsafeBufferPointer<Float>, width: Int) {
    if least.isEmpty {
      least = [Float](repeating: .infinity, count: width)
      greatest = [Float](repeating: -.infinity, count: width)
      squares = [Double](repeating: 0, count: width)
    }
    precondition(width == least.count && values.count % width == 0)
    var sums = [Float](repeating: 0, count: width)
    for start in stride(from: 0, to: values.count, by: width) {
      for channel in 0..<width {
        let value = values[start + channel]
        let known = value.isFinite ? value : 0
        least[channel] = min(least[channel], known)
        greatest[channel] = max(greatest[channel], known)
        sums[channel] += known * known
      }
    }
    for channel in 0..<width { squares[channel] += Double(sums[channel]) }
    rows += values.count / width
  }
}
