import Files

/// Typed access to the members of one JSON object, with errors that name the file and the field.
struct Fields {
  let file: String
  /// The path of the object in its document, empty for the document itself.
  let path: String
  private let value: JSONValue

  init(_ value: JSONValue, file: String, path: String = "") throws(TokenizerError) {
    guard case .object = value else {
      throw .invalid(
        file: file, place: path.isEmpty ? "document" : "field '\(path)'",
        reason: "an object expected, not \(value.kind)")
    }
    self.file = file
    self.path = path
    self.value = value
  }

  /// Reads the document in a file's bytes.
  init(parsing bytes: UnsafeRawBufferPointer, file: String) throws(TokenizerError) {
    let bytes = bytes.bindMemory(to: UInt8.self)
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw .invalid(file: file, place: "text", reason: "not UTF-8; save it as UTF-8")
    }
    let value: JSONValue
    do {
      value = try JSONValue(parsing: bytes)
    } catch {
      throw .invalid(
        file: file, place: "byte \(error.offset)", reason: "not JSON: \(error.reason); fetch the file again")
    }
    try self.init(value, file: file)
  }

  func place(_ key: String) -> String {
    "field '\(child(key))'"
  }

  private func child(_ key: String) -> String {
    path.isEmpty ? key : "\(path).\(key)"
  }

  private func mistyped(_ key: String, _ expected: String, _ value: JSONValue) -> TokenizerError {
    .invalid(file: file, place: place(key), reason: "\(expected) expected, not \(value.kind)")
  }

  /// Whether the object has a member, null or not.
  func has(_ key: String) -> Bool { value[key] != nil }

  /// A member that is neither missing nor null.
  private func present(_ key: String) -> JSONValue? {
    guard let member = value[key] else { return nil }
    if case .null = member { return nil }
    return member
  }

  func bool(_ key: String) throws(TokenizerError) -> Bool? {
    guard let member = present(key) else { return nil }
    guard case .bool(let result) = member else { throw mistyped(key, "true, false or null", member) }
    return result
  }

  func string(_ key: String) throws(TokenizerError) -> String? {
    guard let member = present(key) else { return nil }
    guard case .string(let result) = member else { throw mistyped(key, "a string", member) }
    return result
  }

  func number(_ key: String) throws(TokenizerError) -> Double? {
    guard let member = present(key) else { return nil }
    guard case .number(let result) = member else { throw mistyped(key, "a number", member) }
    return result
  }

  /// A special token: its text, or an object that holds it as `content`.
  func token(_ key: String) throws(TokenizerError) -> String? {
    guard let member = present(key) else { return nil }
    switch member {
    case .string(let result): return result
    case .object: return try object(key)?.string("content")
    default: throw mistyped(key, "a token", member)
    }
  }

  func object(_ key: String) throws(TokenizerError) -> Fields? {
    guard let member = present(key) else { return nil }
    return try Fields(member, file: file, path: child(key))
  }

  func objects(_ key: String) throws(TokenizerError) -> [Fields] {
    guard let member = present(key) else { return [] }
    guard case .array(let elements) = member else { throw mistyped(key, "an array", member) }
    var result: [Fields] = []
    for (index, element) in elements.enumerated() {
      result.append(try Fields(element, file: file, path: child("\(key)[\(index)]")))
    }
    return result
  }

  /// The object's members with a whole number each.
  func ids() throws(TokenizerError) -> [(key: String, id: Int)] {
    guard case .object(let members) = value else { return [] }
    var result: [(key: String, id: Int)] = []
    result.reserveCapacity(members.count)
    for (key, member) in members {
      guard case .number(let number) = member, let id = Int(exactly: number), id >= 0 else {
        throw .invalid(file: file, place: place(key), reason: "a token's id expected, not \(member.kind)")
      }
      result.append((key, id))
    }
    return result
  }
}
