/// Converts between UTF-8 byte offsets and Unicode scalar offsets (what Python calls characters) of one text.
///
/// Made once for a text in one pass; takes 12 bytes for each 64 bytes of a text that is not all ASCII, and nothing for
/// one that is.
public struct ScalarOffsets: Sendable {
  /// The text's length in UTF-8 bytes.
  private let byteCount: Int

  /// One bit for each byte of the text, set where a scalar begins; empty when the text is ASCII.
  private var starts: [UInt64] = []

  /// For each word of `starts`, the scalars that begin before it.
  private var ranks: [UInt32] = []

  public init(_ text: String) {
    var text = text
    (byteCount, starts) = text.withUTF8 { bytes in
      guard bytes.contains(where: { $0 >= 0x80 }) else { return (bytes.count, []) }
      var starts = [UInt64](repeating: 0, count: bytes.count / 64 + 1)
      for (index, byte) in bytes.enumerated() where byte & 0xC0 != 0x80 {
        starts[index / 64] |= 1 << UInt64(index % 64)
      }
      return (bytes.count, starts)
    }
    ranks.reserveCapacity(starts.count)
    var rank: UInt32 = 0
    for word in starts {
      ranks.append(rank)
      rank += UInt32(word.nonzeroBitCount)
    }
  }

  /// The scalars that begin before a byte offset: constant time. An offset outside the text is taken for its nearest
  /// end.
  public func scalarOffset(utf8 offset: Int) -> Int {
    let offset = min(max(offset, 0), byteCount)
    if starts.isEmpty { return offset }
    let below = starts[offset / 64] & ((1 << UInt64(offset % 64)) &- 1)
    return Int(ranks[offset / 64]) + below.nonzeroBitCount
  }

  /// The byte at which a scalar begins: logarithmic time. An offset outside the text is taken for its nearest end.
  public func utf8Offset(scalar offset: Int) -> Int {
    let offset = max(offset, 0)
    if starts.isEmpty { return min(offset, byteCount) }
    // The last word with no more than `offset` scalars before it holds the scalar, if there is one.
    var low = 0
    var high = ranks.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if Int(ranks[middle]) <= offset { low = middle } else { high = middle }
    }
    var word = starts[low]
    let toSkip = offset - Int(ranks[low])
    if toSkip >= word.nonzeroBitCount { return byteCount }
    for _ in 0..<toSkip { word &= word &- 1 }
    return low * 64 + word.trailingZeroBitCount
  }
}
