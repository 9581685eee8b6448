/// Sixty-four bits by which contents are told apart, for example those of two training sets. No protection against forgery.
public struct Digest: Sendable, Equatable, CustomStringConvertible {
  private var state: UInt64 = 0

  public init() {}

  public mutating func add(_ bytes: UnsafeRawBufferPointer) {
    add(UInt64(bytes.count))
    let whole = bytes.count & ~7
    for place in stride(from: 0, to: whole, by: 8) {
      add(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)))
    }
    add(bytes[whole...].reduce(0) { $0 << 8 | UInt64($1) })
  }

  public mutating func add(_ word: UInt64) {
    state = CounterGenerator.mix((state ^ word) &+ 0x9E37_79B9_7F4A_7C15)
  }

  /// Sixteen hexadecimal digits.
  public var description: String {
    let digits = String(state, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
