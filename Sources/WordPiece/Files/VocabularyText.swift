extension Vocabulary {
  /// Reads a `vocab.txt`: one token a line, its id the line's number from zero on. A carriage return before the line
  /// feed is not part of the token.
  init(text: UnsafeRawBufferPointer, file: String) throws(TokenizerError) {
    let text = text.bindMemory(to: UInt8.self)
    var tokens: [String] = []
    var start = 0
    while start < text.count {
      let end = text[start...].firstIndex(of: UInt8(ascii: "\n")) ?? text.count
      var line = text[start..<end]
      if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
      guard let token = String(validating: line, as: UTF8.self) else {
        throw .invalid(file: file, place: "line \(tokens.count + 1)", reason: "not UTF-8; save the file as UTF-8")
      }
      tokens.append(token)
      start = end + 1
    }
    try self.init(tokens: tokens, added: [], name: file) { "line \($0 + 1)" }
  }
}
