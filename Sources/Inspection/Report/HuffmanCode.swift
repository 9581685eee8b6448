/// A prefix code for bytes (Huffman 1952), canonical: the lengths of its words tell all of it, as in DEFLATE (RFC 1951, 3.2.2).
///
/// Words are written from their highest bit on, into bytes from the highest bit on.
struct HuffmanCode {
  static let longestWord = 15

  /// The length of each symbol's word in bits; 0 for symbols that do not occur.
  let lengths: [Int]
  private let words: [UInt32]

  /// - Parameter frequencies: how often each symbol occurs; one at least does.
  init(frequencies: [Int]) {
    var weights = frequencies
    var lengths = Self.lengths(weights)
    // Flatter weights make shorter words.
    while (lengths.max() ?? 0) > Self.longestWord {
      weights = weights.map { $0 == 0 ? 0 : $0 / 2 + 1 }
      lengths = Self.lengths(weights)
    }
    self.lengths = lengths
    var words = [UInt32](repeating: 0, count: lengths.count)
    var next: UInt32 = 0
    for length in 1...Self.longestWord {
      for symbol in lengths.indices where lengths[symbol] == length {
        words[symbol] = next
        next += 1
      }
      next <<= 1
    }
    self.words = words
  }

  /// How many bits a text with these frequencies takes.
  func bitCount(frequencies: [Int]) -> Int { zip(frequencies, lengths).reduce(0) { $0 + $1.0 * $1.1 } }

  func encode(_ symbols: some Sequence<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    var (pending, count): (UInt32, Int) = (0, 0)
    for symbol in symbols {
      pending = pending << UInt32(lengths[Int(symbol)]) | words[Int(symbol)]
      count += lengths[Int(symbol)]
      while count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: pending >> UInt32(count)))
      }
      // At most seven bits are left: no word of fifteen pushes one out.
      pending &= (1 << UInt32(count)) - 1
    }
    if count > 0 { bytes.append(UInt8(truncatingIfNeeded: pending << UInt32(8 - count))) }
    return bytes
  }

  private static func lengths(_ weights: [Int]) -> [Int] {
    struct Tree {
      var weight: Int
      var symbols: [Int]
    }
    var lengths = [Int](repeating: 0, count: weights.count)
    var trees = weights.indices.filter { weights[$0] > 0 }.map { Tree(weight: weights[$0], symbols: [$0]) }
    // A lone symbol takes a bit.
    if trees.count == 1 { lengths[trees[0].symbols[0]] = 1 }
    while trees.count > 1 {
      trees.sort { $0.weight > $1.weight }
      let (a, b) = (trees.removeLast(), trees.removeLast())
      for symbol in a.symbols + b.symbols { lengths[symbol] += 1 }
      trees.append(Tree(weight: a.weight + b.weight, symbols: a.symbols + b.symbols))
    }
    return lengths
  }
}
