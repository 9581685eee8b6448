/// A JSON document (RFC 8259). Strings keep their scalars exactly and objects keep every member in order: a decoder
/// into dictionaries would merge tokens that Swift holds for canonically equivalent.
package enum JSONValue {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([(key: String, value: JSONValue)])

  /// A member of an object, by the exact scalars of its key; the last one if there are several.
  package subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.key.utf8.elementsEqual(key.utf8) }?.value
  }

  /// What the value is, for messages.
  package var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }

  /// A text as a JSON string, its quotes with it.
  package static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\" + String(scalar)
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  /// Where a document is broken, and how.
  package struct ParseError: Error {
    package var offset: Int
    package var reason: String
  }

  /// Reads a document of valid UTF-8.
  package init(parsing bytes: UnsafeBufferPointer<UInt8>) throws(ParseError) {
    var parser = JSONParser(bytes: bytes)
    self = try parser.document()
  }
}

/// A recursive-descent parser of bounded depth.
private struct JSONParser {
  /// More nesting than any file of a model has, and far from the end of the stack.
  private static let maxDepth = 64

  let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0
  private var depth = 0

  init(bytes: UnsafeBufferPointer<UInt8>) {
    self.bytes = bytes
  }

  mutating func document() throws(JSONValue.ParseError) -> JSONValue {
    let result = try value()
    guard next() == nil else { throw error("more text after the document") }
    return result
  }

  private func error(_ reason: String) -> JSONValue.ParseError {
    JSONValue.ParseError(offset: position, reason: reason)
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// The next byte that is not white space, still to be read.
  private mutating func next() -> UInt8? {
    while let byte = peek, byte == 0x20 || (0x09...0x0A).contains(byte) || byte == 0x0D { position += 1 }
    return peek
  }

  /// Reads a byte if it comes next after white space.
  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard let byte = next(), UInt32(byte) == character.value else { return false }
    position += 1
    return true
  }

  private mutating func value() throws(JSONValue.ParseError) -> JSONValue {
    switch next().map({ Unicode.Scalar($0) }) {
    case "{": return try nested { parser throws(JSONValue.ParseError) in try parser.object() }
    case "[": return try nested { parser throws(JSONValue.ParseError) in try parser.array() }
    case "\"": return .string(try string())
    case "t": return try word("true", .bool(true))
    case "f": return try word("false", .bool(false))
    case "n": return try word("null", .null)
    case .some: return .number(try number())
    case nil: throw error("the document ends where a value should be")
    }
  }

  private mutating func nested(
    _ body: (inout JSONParser) throws(JSONValue.ParseError) -> JSONValue
  ) throws(JSONValue.ParseError) -> JSONValue {
    depth += 1
    guard depth <= Self.maxDepth else { throw error("more than \(Self.maxDepth) levels of nesting") }
    position += 1
    let result = try body(&self)
    depth -= 1
    return result
  }

  private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONValue.ParseError) -> JSONValue {
    let matches = word.withUTF8Buffer { bytes[position...].starts(with: $0) }
    guard matches else { throw error("not a value") }
    position += word.utf8CodeUnitCount
    return value
  }

  private mutating func array() throws(JSONValue.ParseError) -> JSONValue {
    var elements: [JSONValue] = []
    if take("]") { return .array(elements) }
    while true {
      elements.append(try value())
      if take("]") { return .array(elements) }
      guard take(",") else { throw error("',' or ']' expected") }
    }
  }

  private mutating func object() throws(JSONValue.ParseError) -> JSONValue {
    var members: [(key: String, value: JSONValue)] = []
    if take("}") { return .object(members) }
    while true {
      guard next() == UInt8(ascii: "\"") else { throw error("a member's name expected") }
      let key = try string()
      guard take(":") else { throw error("':' expected") }
      members.append((key, try value()))
      if take("}") { return .object(members) }
      guard take(",") else { throw error("',' or '}' expected") }
    }
  }

  private mutating func number() throws(JSONValue.ParseError) -> Double {
    let start = position
    while let byte = peek, (0x30...0x39).contains(byte) || "+-.eE".utf8.contains(byte) { position += 1 }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let result = Double(text), result.isFinite else {
      position = start
      throw error("not a value")
    }
    return result
  }

  private mutating func string() throws(JSONValue.ParseError) -> String {
    position += 1
    var text: [UInt8] = []
    var start = position
    while let byte = peek {
      switch byte {
      case UInt8(ascii: "\""):
        defer { position += 1 }
        if text.isEmpty { return String(decoding: bytes[start..<position], as: UTF8.self) }
        return String(decoding: text + bytes[start..<position], as: UTF8.self)
      case UInt8(ascii: "\\"):
        text += bytes[start..<position]
        position += 1
        text += UTF8.encode(try escaped()).map(Array.init) ?? []
        start = position
      case 0..<0x20:
        throw error("a control character in a string")
      default:
        position += 1
      }
    }
    throw error("the document ends within a string")
  }

  private mutating func escaped() throws(JSONValue.ParseError) -> Unicode.Scalar {
    guard let byte = peek else { throw error("the document ends within a string") }
    position += 1
    switch Unicode.Scalar(byte) {
    case "\"", "\\", "/": return Unicode.Scalar(byte)
    case "b": return "\u{8}"
    case "f": return "\u{C}"
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "u":
      var value = try hexadecimal()
      if (0xD800..<0xDC00).contains(value) {
        guard peek == UInt8(ascii: "\\") else { throw error("half of a surrogate pair") }
        position += 1
        guard peek == UInt8(ascii: "u") else { throw error("half of a surrogate pair") }
        position += 1
        let low = try hexadecimal()
        guard (0xDC00..<0xE000).contains(low) else { throw error("half of a surrogate pair") }
        value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(value) else { throw error("half of a surrogate pair") }
      return scalar
    default: throw error("an unknown escape")
    }
  }

  private mutating func hexadecimal() throws(JSONValue.ParseError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw error("four hexadecimal digits expected")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
