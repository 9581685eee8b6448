#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A flat hash table from the bytes of a piece to its id, made for the greedy longest match: one pass over a word gives
/// the hashes of all its prefixes.
struct PieceTable: Sendable {
  /// What an empty piece hashes to (FNV-1a, 64 bits).
  static let seed: UInt64 = 0xCBF2_9CE4_8422_2325

  /// The hash of a piece that is one byte longer.
  @inline(__always)
  static func extend(_ hash: UInt64, _ byte: UInt8) -> UInt64 {
    (hash ^ UInt64(byte)) &* 0x100_0000_01B3
  }

  /// Where the search for a piece begins. Multiplied once more (by the golden ratio), because the last bytes of a short
  /// piece have not reached the upper bits of FNV-1a and neighbours would crowd together.
  @inline(__always)
  fileprivate static func slotIndex(_ hash: UInt64, shift: UInt64) -> Int {
    Int(truncatingIfNeeded: (hash &* 0x9E37_79B9_7F4A_7C15) >> shift)
  }

  /// A place in the table, free where `id` is negative. The piece's bytes are `count` of `bytes` from `start` on.
  fileprivate struct Slot: Sendable {
    var tag: UInt32
    var id: Int32
    var start: UInt32
    var count: UInt32
  }

  private let bytes: [UInt8]
  private var slots: [Slot]
  private let shift: UInt64

  /// The length of the longest piece, in bytes.
  private(set) var longest = 0

  /// A table with room for a number of pieces, each of them a part of `bytes`.
  init(bytes: [UInt8], capacity: Int) {
    var bits = 4
    while 1 << bits < 2 * capacity { bits += 1 }
    self.bytes = bytes
    slots = Array(repeating: Slot(tag: 0, id: -1, start: 0, count: 0), count: 1 << bits)
    shift = UInt64(64 - bits)
  }

  /// Adds the piece that lies at `range` of the table's bytes. Changes nothing and gives the id of an equal piece if
  /// the table has one.
  mutating func insert(_ range: Range<Int>, id: Int32) -> Int32? {
    let (hash, existing) = bytes.withUnsafeBufferPointer { bytes in
      let piece = UnsafeBufferPointer(rebasing: bytes[range])
      let hash = piece.reduce(Self.seed, Self.extend)
      let existing = withView { view in
        piece.baseAddress.flatMap { view.find(hash, $0, piece.count) }
      }
      return (hash, existing)
    }
    if let existing { return existing }
    var index = Self.slotIndex(hash, shift: shift)
    while slots[index].id >= 0 { index = (index + 1) & (slots.count - 1) }
    slots[index] = Slot(
      tag: UInt32(truncatingIfNeeded: hash), id: id, start: UInt32(range.lowerBound), count: UInt32(range.count))
    longest = max(longest, range.count)
    return nil
  }

  /// The id of a piece, or nil.
  func id(of piece: UnsafeBufferPointer<UInt8>) -> Int32? {
    guard let base = piece.baseAddress, !piece.isEmpty else { return nil }
    let hash = piece.reduce(Self.seed, Self.extend)
    return withView { $0.find(hash, base, piece.count) }
  }

  /// The table through pointers, for the loop over a text's words.
  struct View {
    fileprivate let slots: UnsafePointer<Slot>
    private let bytes: UnsafePointer<UInt8>
    private let mask: Int
    private let shift: UInt64
    let longest: Int

    fileprivate init(_ table: borrowing PieceTable, slots: UnsafePointer<Slot>, bytes: UnsafePointer<UInt8>) {
      self.slots = slots
      self.bytes = bytes
      mask = table.slots.count - 1
      shift = table.shift
      longest = table.longest
    }

    /// The id of the piece of `count` bytes whose hash is given, or nil.
    @inline(__always)
    func find(_ hash: UInt64, _ piece: UnsafePointer<UInt8>, _ count: Int) -> Int32? {
      var index = PieceTable.slotIndex(hash, shift: shift)
      while true {
        let slot = slots[index]
        if slot.id < 0 { return nil }
        if slot.tag == UInt32(truncatingIfNeeded: hash), Int(slot.count) == count,
          memcmp(bytes + Int(slot.start), piece, count) == 0
        {
          return slot.id
        }
        index = (index + 1) & mask
      }
    }
  }

  /// Gives the table through pointers that are valid during the call.
  @inline(__always)
  func withView<Result>(_ body: (View) -> Result) -> Result {
    slots.withUnsafeBufferPointer { slots in
      bytes.withUnsafeBufferPointer { bytes in
        // Neither is empty: a table has 16 slots at least, and a vocabulary is refused when it has no bytes.
        guard let slotBase = slots.baseAddress, let byteBase = bytes.baseAddress else {
          preconditionFailure("a piece table without bytes")
        }
        return body(View(self, slots: slotBase, bytes: byteBase))
      }
    }
  }
}
