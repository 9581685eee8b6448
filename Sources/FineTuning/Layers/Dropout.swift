import Kernels

/// Random words that are computed from a key and an index, in any order (the output function of SplitMix64, Steele et al. 2014).
enum CounterGenerator {
  @inline(__always)
  static func word(key: UInt64, index: UInt64) -> UInt64 { mix(key &+ (index &+ 1) &* 0x9E37_79B9_7F4A_7C15) }

  @inline(__always)
  static func mix(_ x: UInt64) -> UInt64 {
    var z = x
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}

/// Dropout (Srivastava et al. 2014): each element is set to 0 with a probability p, or else multiplied by 1 / (1 − p).
///
/// Whether an element falls is a function of the seed, the step, the place in the network, the sequence's number in the step and the
/// element's place in the sequence: of nothing that depends on threads, on how a step is cut into batches, or on order. So nothing is
/// stored: the backward pass computes the mask again.
struct Dropout {
  /// Places in the network where elements fall.
  enum Site: UInt64 {
    case embeddings = 1
    case attention, feedForward, head
  }

  private let kernels: KernelSet
  private let key: UInt64
  /// An element falls where its 32 random bits are below this.
  private let threshold: UInt32
  private let factor: Float

  /// `nil` for a probability of 0.
  init?(probability: Float, seed: UInt64, step: Int, site: Site, layer: Int, kernels: KernelSet) {
    guard probability > 0 else { return nil }
    precondition(probability < 1)
    self.kernels = kernels
    var key = CounterGenerator.mix(seed &+ 0x9E37_79B9_7F4A_7C15)
    for part in [UInt64(step), site.rawValue, UInt64(layer)] { key = CounterGenerator.mix(key ^ part &* 0xD1B5_4A32_D192_ED03) }
    self.key = key
    threshold = UInt32(Double(probability) * 0x1p32)
    factor = 1 / (1 - probability)
  }

  /// x = x · mask, for elements `first ..< first + count` of a sequence. The gradient is treated in the same way.
  func apply(_ x: UnsafeMutablePointer<Float>, count: Int, sequence: Int, first: Int) {
    kernels.dropout(
      x, count: count, key: CounterGenerator.mix(key ^ UInt64(sequence) &* 0xA24B_AED4_963E_E407), first: first, threshold: threshold,
      factor: factor)
  }

  /// The same over whole rows of a batch.
  func apply(_ x: Matrix, batch: TrainingBatch, computer: Computer) {
    computer.forEachRow(x.rows, cost: x.columns * 4) { row in
      let sequence = batch.sequence(ofRow: row)
      apply(
        x[row], count: x.columns, sequence: batch.numbers[sequence],
        first: (row - batch.tokens.sequenceStarts[sequence]) * x.columns)
    }
  }
}
