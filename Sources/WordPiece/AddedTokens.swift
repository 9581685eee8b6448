#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The tokens that are found in a text as they are written, before anything is done to it: `[SEP]`, `[MASK]` and their
/// like. The leftmost wins, of those at one place the longest.
struct AddedTokens: Sendable {
  struct Token: Sendable {
    var bytes: [UInt8]
    var id: Int32
  }

  /// Longest first.
  private let tokens: [Token]

  /// Whether some token begins with a byte.
  private let begins: [Bool]

  /// The byte with which all tokens begin, if there is just one.
  private let onlyFirst: UInt8?

  /// The tokens must not be empty.
  init(_ tokens: [Token]) {
    self.tokens = tokens.sorted { $0.bytes.count > $1.bytes.count }
    var begins = [Bool](repeating: false, count: 256)
    for first in tokens.compactMap(\.bytes.first) { begins[Int(first)] = true }
    self.begins = begins
    onlyFirst = begins.count(where: \.self) == 1 ? tokens.first?.bytes.first : nil
  }

  /// The next token in a text from a position on, and where it stands.
  func next(in text: UnsafeBufferPointer<UInt8>, from start: Int) -> (id: Int32, range: Range<Int>)? {
    guard let base = text.baseAddress, !tokens.isEmpty else { return nil }
    var position = start
    while position < text.count {
      if let onlyFirst {
        guard let found = memchr(base + position, Int32(onlyFirst), text.count - position) else { return nil }
        position = UnsafeRawPointer(base).distance(to: UnsafeRawPointer(found))
      } else if !begins[Int(text[position])] {
        position += 1
        continue
      }
      for token in tokens where token.bytes.count <= text.count - position {
        if memcmp(base + position, token.bytes, token.bytes.count) == 0 {
          return (token.id, position..<position + token.bytes.count)
        }
      }
      position += 1
    }
    return nil
  }
}
