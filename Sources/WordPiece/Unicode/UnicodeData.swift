/// What normalisation and splitting ask about a Unicode scalar: the ranges of UnicodeTables, unpacked for quick access.
struct UnicodeData: Sendable {
  // What a scalar is, one bit each; make_unicode_tables.py has the same list.

  /// Cleaning drops it: control, format and private-use characters, U+0000 and U+FFFD.
  static let removed: UInt8 = 1 << 0
  /// White space that cleaning makes a plain space.
  static let space: UInt8 = 1 << 1
  /// A CJK ideograph, a word by itself.
  static let chinese: UInt8 = 1 << 2
  /// Punctuation, a word by itself.
  static let punctuation: UInt8 = 1 << 3
  /// A nonspacing mark, which accent stripping drops.
  static let mark: UInt8 = 1 << 4
  /// Has a canonical decomposition.
  static let decomposes: UInt8 = 1 << 5
  /// Has another lower case.
  static let lowercases: UInt8 = 1 << 6
  /// Has a combining class other than zero.
  static let combines: UInt8 = 1 << 7

  /// Unpacked once, on first use.
  static let shared = UnicodeData()

  private static let blockSize = 128
  private static let limit = 0x110000
  private static let hangul: ClosedRange<UInt32> = 0xAC00...0xD7A3

  /// For each block of scalars where its properties begin in `properties`.
  private let blocks: [UInt32]
  private let properties: [UInt8]

  private init() {
    let runs = UnicodeTables.runs
    var blocks: [UInt32] = []
    var properties: [UInt8] = []
    var uniform: [UInt8: UInt32] = [:]
    blocks.reserveCapacity(Self.limit / Self.blockSize)
    var run = 0
    for first in stride(from: 0, to: Self.limit, by: Self.blockSize) {
      let end = first + Self.blockSize
      while run + 1 < runs.count, Int(runs[run + 1] >> 8) <= first { run += 1 }
      let begin = UInt32(properties.count)
      // Most blocks lie within one run and share a block with the others of its kind.
      guard run + 1 < runs.count, Int(runs[run + 1] >> 8) < end else {
        let value = UInt8(truncatingIfNeeded: runs[run])
        if let block = uniform[value] {
          blocks.append(block)
        } else {
          uniform[value] = begin
          blocks.append(begin)
          properties += repeatElement(value, count: Self.blockSize)
        }
        continue
      }
      blocks.append(begin)
      for scalar in first..<end {
        while run + 1 < runs.count, Int(runs[run + 1] >> 8) <= scalar { run += 1 }
        properties.append(UInt8(truncatingIfNeeded: runs[run]))
      }
    }
    self.blocks = blocks
    self.properties = properties
  }

  /// The properties of a scalar.
  @inline(__always)
  func properties(of scalar: UInt32) -> UInt8 {
    properties[Int(blocks[Int(scalar) / Self.blockSize]) + Int(scalar) % Self.blockSize]
  }

  /// Gives the parts of a scalar's full canonical decomposition, for one that `decomposes`.
  func decompose(_ scalar: UInt32, _ body: (UInt32) -> Void) {
    if Self.hangul.contains(scalar) {
      // The Unicode Standard, section 3.12: 21 vowels and 28 trailing consonants (the first of them none).
      let index = scalar - Self.hangul.lowerBound
      body(0x1100 + index / (21 * 28))
      body(0x1161 + index / 28 % 21)
      if index % 28 > 0 { body(0x11A7 + index % 28) }
      return
    }
    let keys = UnicodeTables.decompositionKeys
    let found = Self.lastIndex(count: keys.count) { keys[$0] <= scalar }
    guard let found, keys[found] == scalar else { return body(scalar) }
    let begin = found == 0 ? 0 : Int(UnicodeTables.decompositionEnds[found - 1])
    for index in begin..<Int(UnicodeTables.decompositionEnds[found]) {
      body(UnicodeTables.decompositionScalars[index])
    }
  }

  /// Gives the lower case of a scalar, for one that `lowercases`: one scalar, rarely two.
  func lowercase(_ scalar: UInt32, _ body: (UInt32) -> Void) {
    let expansions = UnicodeTables.lowercaseExpansions
    for row in stride(from: 0, to: expansions.count, by: 3) where expansions[row] == scalar {
      body(expansions[row + 1])
      body(expansions[row + 2])
      return
    }
    let steps = UnicodeTables.lowercaseSteps
    let value = Int32(bitPattern: scalar)
    let found = Self.lastIndex(count: steps.count / 4) { steps[$0 * 4] <= value }
    guard let row = found.map({ $0 * 4 }), value <= steps[row + 1], (value - steps[row]) % steps[row + 2] == 0 else {
      return body(scalar)
    }
    body(UInt32(bitPattern: value + steps[row + 3]))
  }

  /// The canonical combining class of a scalar, for one that `combines`.
  func combiningClass(_ scalar: UInt32) -> UInt8 {
    let classes = UnicodeTables.combiningClasses
    let found = Self.lastIndex(count: classes.count / 3) { classes[$0 * 3] <= scalar }
    guard let row = found.map({ $0 * 3 }), scalar <= classes[row + 1] else { return 0 }
    return UInt8(truncatingIfNeeded: classes[row + 2])
  }

  /// The last of `count` ascending rows for which `precedes` holds.
  @inline(__always)
  private static func lastIndex(count: Int, _ precedes: (Int) -> Bool) -> Int? {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if precedes(middle) { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? nil : low - 1
  }
}
