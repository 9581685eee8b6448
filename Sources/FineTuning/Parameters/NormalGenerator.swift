#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Numbers of the standard normal distribution (Box & Muller 1958), the same for the same seed.
struct NormalGenerator {
  private let key: UInt64
  private var index: UInt64 = 0

  init(seed: UInt64) { key = CounterGenerator.mix(seed ^ 0x6E6F_726D_616C) }

  mutating func next() -> Float {
    let (a, b) = (CounterGenerator.word(key: key, index: index), CounterGenerator.word(key: key, index: index + 1))
    index += 2
    // In (0, 1], so that the logarithm is finite.
    let radius = (-2 * log((Double(a >> 11) + 1) * 0x1p-53)).squareRoot()
    return Float(radius * cos(2 * Double.pi * Double(b >> 11) * 0x1p-53))
  }
}
