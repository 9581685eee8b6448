/// How many texts have how many tokens.
public struct LengthHistogram: Sendable, Equatable {
  /// The texts with a number of tokens in a range.
  public struct Bin: Sendable, Equatable {
    public var lengths: ClosedRange<Int>
    public var count: Int
  }

  public private(set) var count = 0
  public private(set) var total = 0
  public private(set) var least: Int?
  public private(set) var most: Int?
  /// By the number of bits in the length: bin b has the lengths of b bits, bin 0 the length 0.
  private var counts = [Int](repeating: 0, count: Int.bitWidth)

  public init() {}

  public var mean: Double { count == 0 ? 0 : Double(total) / Double(count) }

  /// The bins from the least length to the most; each is twice as wide as the one before it.
  public var bins: [Bin] {
    guard let least, let most else { return [] }
    return (Self.bin(least)...Self.bin(most)).map { bin in
      Bin(lengths: bin == 0 ? 0...0 : (1 << (bin - 1))...((1 << (bin - 1)) - 1 + (1 << (bin - 1))), count: counts[bin])
    }
  }

  mutating func add(_ length: Int) {
    precondition(length >= 0)
    count += 1
    total += length
    least = min(least ?? length, length)
    most = max(most ?? length, length)
    counts[Self.bin(length)] += 1
  }

  private static func bin(_ length: Int) -> Int { Int.bitWidth - length.leadingZeroBitCount }
}
