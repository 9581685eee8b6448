import Files

/// A JSON value to be printed: objects keep the order in which their members are written.
enum JSON {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  /// Printed with the digits that a `Float` needs, not those of the `Double` beside it.
  case float(Float)
  case string(String)
  case array([JSON])
  case object([(String, JSON)])

  /// Compact text on one line.
  var text: String {
    var text = ""
    write(to: &text)
    return text
  }

  private func write(to text: inout String) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    // JSON has no word for what is not finite.
    case .number(let value): text += value.isFinite ? "\(value)" : "null"
    case .float(let value): text += value.isFinite ? "\(value)" : "null"
    case .string(let value): text += JSONValue.quoted(value)
    case .array(let values):
      text += "["
      for (index, value) in values.enumerated() {
        if index > 0 { text += ", " }
        value.write(to: &text)
      }
      text += "]"
    case .object(let members):
      text += "{"
      for (index, (name, value)) in members.enumerated() {
        if index > 0 { text += ", " }
        text += JSONValue.quoted(name)
        text += ": "
        value.write(to: &text)
      }
      text += "}"
    }
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
  init(stringLiteral value: String) { self = .string(value) }
  init(integerLiteral value: Int) { self = .integer(value) }
  init(booleanLiteral value: Bool) { self = .bool(value) }
}
