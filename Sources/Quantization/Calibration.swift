import Encoder
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What the inputs of a model's linear layers look like when it works in float32.
///
/// Hand `observer` to a `CPUBackend` and run real questions through an `Encoder` on it.
public final class Calibration: Sendable {
  private let inputs = Mutex<[String: LayerInput]>([:])

  /// What was seen of one layer's input.
  public struct LayerInput: Sendable {
    public fileprivate(set) var histogram = ActivationHistogram()
    public fileprivate(set) var channels = ChannelStatistics()
    /// Sums of squares: of the values, and of what quantising each row by its own largest magnitude takes away.
    fileprivate var signal = 0.0
    fileprivate var rowNoise = 0.0

    /// The signal-to-noise ratio in decibels of a quantisation with a scale a row.
    public var rowwiseDecibels: Double { decibelRatio(signal: signal, noise: rowNoise) }

    /// The same of a fixed quantisation, to the histogram's precision.
    public func decibels(_ quantization: AffineQuantization) -> Double {
      let power = histogram.power(roundedTo: quantization)
      return decibelRatio(signal: power.signal, noise: power.noise)
    }

    fileprivate mutating func add(_ rows: UnsafeBufferPointer<Float>, width: Int) {
      histogram.add(rows)
      channels.add(rows, width: width)
      for start in stride(from: 0, to: rows.count, by: width) {
        let row = UnsafeBufferPointer(rebasing: rows[start..<start + width])
        var largest: Float = 0
        for value in row { largest = max(largest, value.magnitude) }
        guard largest.isFinite, largest > 127 * Float.leastNormalMagnitude else { continue }
        let (scale, factor) = (largest / 127, 127 / largest)
        var signal: Float = 0, noise: Float = 0
        for value in row {
          let whole = (value * factor + 0x1.8p23) - 0x1.8p23
          let error = whole * scale - value
          signal += value * value
          noise += error * error
        }
        self.signal += Double(signal)
        rowNoise += Double(noise)
      }
    }
  }

  public init() {}

  /// Takes note of what it is shown. Layers that share an input share what is noted.
  public var observer: CPUBackend.LinearObserver {
    { [self] layers, rows, width in
      guard let name = layers.first, width > 0 else { return }
      inputs.withLock { $0[name, default: LayerInput()].add(rows, width: width) }
    }
  }

  /// What was seen of the input of the first of some layers that share it; `nil` if nothing was.
  public func input(of layer: String) -> LayerInput? { inputs.withLock { $0[layer] } }
}

/// 10 · log₁₀ of signal over noise; infinite where there is no noise.
func decibelRatio(signal: Double, noise: Double) -> Double {
  noise > 0 ? 10 * log10(signal / noise) : .infinity
}
