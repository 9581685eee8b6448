/// Reads JSON (RFC 8259) front to back from a stream of bytes, holding no more of it than the value asked for.
///
/// Nesting is bounded; strings must be UTF-8; an escaped surrogate without its partner becomes U+FFFD.
struct JSONScanner {
  enum Kind {
    case object, array, string, number, literal
  }

  private static let deepest = 64

  let stream: ByteStream
  /// For each open object or array, whether it has had no member yet.
  private var fresh: [Bool] = []

  init(_ stream: ByteStream) {
    self.stream = stream
  }

  var offset: Int { stream.offset }

  /// What the next value is; nil at the end of the stream.
  func kind() throws(JSONFailure) -> Kind? {
    guard let byte = try afterSpace() else { return nil }
    switch byte {
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "\""): return .string
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
    case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): return .literal
    default: throw unexpected(byte, "a value")
    }
  }

  mutating func beginObject() throws(JSONFailure) { try begin("{", "an object") }

  mutating func beginArray() throws(JSONFailure) { try begin("[", "an array") }

  /// The next member's name, its value being next; nil where the object ends.
  mutating func nextKey() throws(JSONFailure) -> String? {
    guard try nextMember(closing: "}") else { return nil }
    let key = try string()
    guard try afterSpace() == UInt8(ascii: ":") else { throw unexpected(try stream.peek(), "a colon") }
    _ = try stream.next()
    return key
  }

  /// Whether the array has another element, which is next.
  mutating func nextElement() throws(JSONFailure) -> Bool { try nextMember(closing: "]") }

  func string() throws(JSONFailure) -> String {
    guard try afterSpace() == UInt8(ascii: "\"") else { throw unexpected(try stream.peek(), "a string") }
    let start = offset
    _ = try stream.next()
    var bytes: [UInt8] = []
    while try stream.append(to: &bytes, until: { $0 == 0x22 || $0 == 0x5C || $0 < 0x20 }) {
      switch try stream.next() {
      case UInt8(ascii: "\""):
        guard let text = String(validating: bytes, as: UTF8.self) else {
          throw JSONFailure(offset: start, reason: "a string is not UTF-8")
        }
        return text
      case UInt8(ascii: "\\"): try unescape(into: &bytes)
      default: throw JSONFailure(offset: offset - 1, reason: "a control character in a string")
      }
    }
    throw JSONFailure(offset: start, reason: "a string has no end")
  }

  func integer() throws(JSONFailure) -> Int {
    let start = offset
    let text = try number()
    guard let value = Int(text) else {
      throw JSONFailure(offset: start, reason: "\(text.prefix(40)) is not an integer")
    }
    return value
  }

  /// A string, or an integer in its digits.
  func identifier() throws(JSONFailure) -> String {
    try kind() == .number ? String(integer()) : string()
  }

  func double() throws(JSONFailure) -> Double {
    let start = offset
    let text = try number()
    guard let value = Double(text) else { throw JSONFailure(offset: start, reason: "\(text.prefix(40)) is no number") }
    return value
  }

  /// `true` or `false`; nil for `null`.
  func boolean() throws(JSONFailure) -> Bool? {
    let start = offset
    var bytes: [UInt8] = []
    _ = try afterSpace()
    while let byte = try stream.peek(), (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte), bytes.count < 6 {
      bytes.append(byte)
      _ = try stream.next()
    }
    switch String(decoding: bytes, as: UTF8.self) {
    case "true": return true
    case "false": return false
    case "null": return nil
    default: throw JSONFailure(offset: start, reason: "true, false or null is expected")
    }
  }

  mutating func skip() throws(JSONFailure) {
    let outside = fresh.count
    repeat {
      // The innermost open value is either at a member or at its end.
      if fresh.count > outside, let isObject = opened.last {
        if isObject {
          if try nextKey() == nil { continue }
        } else if try !nextElement() {
          continue
        }
      }
      switch try kind() {
      case .object: try beginObject()
      case .array: try beginArray()
      case .string: _ = try string()
      case .number: _ = try number()
      case .literal: _ = try boolean()
      case nil: throw unexpected(nil, "a value")
      }
    } while fresh.count > outside
  }

  /// Whether each open value is an object.
  private var opened: [Bool] = []

  private mutating func begin(_ bracket: Unicode.Scalar, _ what: String) throws(JSONFailure) {
    guard try afterSpace() == UInt8(ascii: bracket) else { throw unexpected(try stream.peek(), what) }
    guard fresh.count < Self.deepest else {
      throw JSONFailure(offset: offset, reason: "nested more than \(Self.deepest) deep")
    }
    _ = try stream.next()
    fresh.append(true)
    opened.append(bracket == "{")
  }

  private mutating func nextMember(closing bracket: Unicode.Scalar) throws(JSONFailure) -> Bool {
    let byte = try afterSpace()
    guard let isFirst = fresh.popLast() else { return false }
    if byte == UInt8(ascii: bracket) {
      _ = try stream.next()
      opened.removeLast()
      return false
    }
    if !isFirst {
      guard byte == UInt8(ascii: ",") else { throw unexpected(byte, "a comma or “\(bracket)”") }
      _ = try stream.next()
    }
    fresh.append(false)
    return true
  }

  private func afterSpace() throws(JSONFailure) -> UInt8? {
    while let byte = try stream.peek() {
      guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
      _ = try stream.next()
    }
    return nil
  }

  private func number() throws(JSONFailure) -> String {
    _ = try afterSpace()
    let start = offset
    var bytes: [UInt8] = []
    while let byte = try stream.peek() {
      guard
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
          || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".") || byte | 0x20 == UInt8(ascii: "e")
      else { break }
      guard bytes.count < 400 else { throw JSONFailure(offset: start, reason: "a number is too long") }
      bytes.append(byte)
      _ = try stream.next()
    }
    guard let first = bytes.first, first != UInt8(ascii: "+"), first != UInt8(ascii: ".") else {
      throw unexpected(try stream.peek(), "a number")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func unescape(into bytes: inout [UInt8]) throws(JSONFailure) {
    let place = offset - 1
    switch try stream.next() {
    case UInt8(ascii: "\""): bytes.append(0x22)
    case UInt8(ascii: "\\"): bytes.append(0x5C)
    case UInt8(ascii: "/"): bytes.append(0x2F)
    case UInt8(ascii: "b"): bytes.append(0x08)
    case UInt8(ascii: "f"): bytes.append(0x0C)
    case UInt8(ascii: "n"): bytes.append(0x0A)
    case UInt8(ascii: "r"): bytes.append(0x0D)
    case UInt8(ascii: "t"): bytes.append(0x09)
    case UInt8(ascii: "u"):
      var unit = try hexadecimal(place)
      // High surrogates one after another: all but the last have no partner.
      while (0xD800..<0xDC00).contains(unit) {
        guard try stream.peek() == UInt8(ascii: "\\") else { break }
        _ = try stream.next()
        guard try stream.peek() == UInt8(ascii: "u") else {
          append(unit, to: &bytes)
          return try unescape(into: &bytes)
        }
        _ = try stream.next()
        let low = try hexadecimal(place)
        if (0xDC00..<0xE000).contains(low) {
          append(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00), to: &bytes)
          return
        }
        append(unit, to: &bytes)
        unit = low
      }
      append(unit, to: &bytes)
    default: throw JSONFailure(offset: place, reason: "an unknown escape in a string")
    }
  }

  private func hexadecimal(_ place: Int) throws(JSONFailure) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = try stream.next(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw JSONFailure(offset: place, reason: "an escape lacks its four hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
    }
    return value
  }

  private func append(_ unit: UInt32, to bytes: inout [UInt8]) {
    bytes += UTF8.encode(Unicode.Scalar(unit) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter
  }

  private func unexpected(_ byte: UInt8?, _ expected: String) -> JSONFailure {
    guard let byte else { return JSONFailure(offset: offset, reason: "the file ends where \(expected) is expected") }
    let found = (0x21..<0x7F).contains(byte) ? "“\(Unicode.Scalar(byte))”" : "byte \(byte)"
    return JSONFailure(offset: offset, reason: "\(found) where \(expected) is expected")
  }
}
