import ArgumentParser
import WordPiece

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `spanqa tokenize`
struct TokenizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Shows a text as the model's tokens.",
    discussion: "Offsets count Unicode scalars of the text, which is what Python calls characters.")

  @OptionGroup var model: ModelOption

  @Flag(help: "Print one JSON object with ids, tokens and offsets.")
  var json = false

  @Option(help: ArgumentHelp("Read one JSON string a line (- for standard input), print one JSON object a line.", valueName: "file|-"))
  var jsonl: String?

  @Flag(help: "Include the special tokens that stand around a text.")
  var special = false

  @Argument(help: "The text.")
  var text: String?

  func validate() throws {
    if (text == nil) == (jsonl == nil) { throw ValidationError("give either a text or --jsonl") }
  }

  func run() throws {
    let tokenizer = try model.tokenizer()
    if let jsonl {
      try TextInput.forEachLine(of: jsonl) { line, number in
        guard let text = try? JSONDecoder().decode(String.self, from: Data(line)) else {
          throw InputError.notJSON(jsonl, line: number, expected: "a JSON string; write one text in double quotes a line")
        }
        try Output.write(encode(text, with: tokenizer).json.text)
      }
    } else if let text {
      let tokens = encode(text, with: tokenizer)
      if json {
        try Output.write(tokens.json.text)
      } else {
        for row in tokens.rows {
          try Output.write("\(row.id)\t\(row.token)\t\(row.offsets.lowerBound)..<\(row.offsets.upperBound)")
        }
      }
    }
  }

  private func encode(_ text: String, with tokenizer: Tokenizer) -> TokenTable {
    let encoding = tokenizer.encode(text)
    let offsets = ScalarOffsets(text)
    var table = TokenTable()
    func append(_ id: Int32, _ range: Range<Int>) {
      table.rows.append((id, tokenizer.vocabulary.token(id), range))
    }
    if special { append(tokenizer.classificationID, 0..<0) }
    for (id, range) in zip(encoding.ids, encoding.offsets) {
      append(id, offsets.scalarOffset(utf8: range.lowerBound)..<offsets.scalarOffset(utf8: range.upperBound))
    }
    if special { append(tokenizer.separatorID, 0..<0) }
    return table
  }
}

private struct TokenTable {
  var rows: [(id: Int32, token: String, offsets: Range<Int>)] = []

  var json: JSON {
    .object([
      ("ids", .array(rows.map { .integer(Int($0.id)) })),
      ("tokens", .array(rows.map { .string($0.token) })),
      ("offsets", .array(rows.map { .array([.integer($0.offsets.lowerBound), .integer($0.offsets.upperBound)]) })),
    ])
  }
}
