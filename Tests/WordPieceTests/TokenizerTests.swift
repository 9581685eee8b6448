import Testing
import WordPiece

/// A small vocabulary, with what `tokenizers` 0.22.2 makes of each text.
@Suite struct TokenizerTests {
  static let tokens = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world", "un", "##aff", "##able", "cafe", "caf\u{E9}", "##s",
    "!", "中", "a", "##b",
  ]

  struct Example: Sendable {
    var text: String
    var ids: [Int32]
    var bytes: [[Int]]
    var words: [Int32]
  }

  private func tokenizer(_ change: (inout Tokenizer.Options) -> Void = { _ in }) throws -> Tokenizer {
    var options = Tokenizer.Options()
    change(&options)
    return try Tokenizer(vocabulary: Vocabulary(tokens: Self.tokens), options: options)
  }

  private func expect(_ tokenizer: Tokenizer, _ example: Example) {
    let encoding = tokenizer.encode(example.text)
    #expect(encoding.ids == example.ids, "\(example.text)")
    #expect(encoding.offsets.map { [$0.lowerBound, $0.upperBound] } == example.bytes, "\(example.text)")
    #expect(encoding.words == example.words, "\(example.text)")
  }

  @Test(arguments: [
    Example(text: "Hello  world!", ids: [5, 6, 13], bytes: [[0, 5], [7, 12], [12, 13]], words: [0, 1, 2]),
    Example(
      text: "unaffable caf\u{E9}s", ids: [7, 8, 9, 10, 12], bytes: [[0, 2], [2, 5], [5, 9], [10, 15], [15, 16]],
      words: [0, 0, 0, 1, 1]),
    Example(
      text: "a中b\0 a\u{AD}b", ids: [15, 14, 1, 15, 16], bytes: [[0, 1], [1, 4], [4, 5], [7, 8], [10, 11]],
      words: [0, 1, 2, 3, 3]),
    Example(
      text: "x[SEP]hello [mask]", ids: [1, 3, 5, 1, 1, 1],
      bytes: [[0, 1], [1, 6], [6, 11], [12, 13], [13, 17], [17, 18]], words: [0, 1, 2, 3, 4, 5]),
    Example(text: "", ids: [], bytes: [], words: []),
    Example(text: "\u{301} \u{200D}", ids: [], bytes: [], words: []),
    Example(text: "cafe\u{301}!", ids: [10, 13], bytes: [[0, 4], [6, 7]], words: [0, 1]),
    Example(text: "ab\r\nhello", ids: [15, 16, 5], bytes: [[0, 1], [1, 2], [4, 9]], words: [0, 0, 1]),
  ])
  func uncased(_ example: Example) throws {
    try expect(tokenizer(), example)
  }

  @Test(arguments: [
    Example(text: "Hello  world!", ids: [1, 6, 13], bytes: [[0, 5], [7, 12], [12, 13]], words: [0, 1, 2]),
    Example(
      text: "unaffable caf\u{E9}s", ids: [7, 8, 9, 11, 12], bytes: [[0, 2], [2, 5], [5, 9], [10, 15], [15, 16]],
      words: [0, 0, 0, 1, 1]),
    Example(text: "\u{301} \u{200D}", ids: [1], bytes: [[0, 2]], words: [0]),
    Example(text: "cafe\u{301}!", ids: [1, 13], bytes: [[0, 6], [6, 7]], words: [0, 1]),
  ])
  func cased(_ example: Example) throws {
    try expect(tokenizer { $0.lowercase = false }, example)
  }

  @Test func longWordsAreUnknown() throws {
    let long = "a" + String(repeating: "b", count: 100)
    for (text, ids) in [(long.dropLast(), [15] + [Int32](repeating: 16, count: 99)), (long[...], [1])] {
      #expect(try tokenizer().encode(String(text)).ids == ids)
    }
    let short = try tokenizer { $0.maxWordCharacters = 2 }
    #expect(short.encode("ab abb a\u{E9} ab\u{E9}").ids == [15, 16, 1, 1, 1])
    for limit in [0, -1, Int.max] {
      #expect(throws: TokenizerError.self) { try tokenizer { $0.maxWordCharacters = limit } }
    }
  }

  @Test func anotherPrefix() throws {
    var options = Tokenizer.Options()
    options.continuingPrefix = "@"
    let vocabulary = try Vocabulary(tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "@do", "##do"])
    #expect(try Tokenizer(vocabulary: vocabulary, options: options).encode("undo").ids == [4, 5])
  }

  @Test(arguments: ["unk_token", "cls_token", "sep_token", "pad_token"])
  func missingSpecialTokens(_ option: String) {
    var options = Tokenizer.Options()
    switch option {
    case "unk_token": options.unknownToken = "<x>"
    case "cls_token": options.classificationToken = "<x>"
    case "sep_token": options.separatorToken = "<x>"
    default: options.paddingToken = "<x>"
    }
    #expect(throws: TokenizerError.missingToken(file: "small", option: option, token: "<x>")) {
      try Tokenizer(vocabulary: Vocabulary(tokens: Self.tokens, name: "small"), options: options)
    }
  }

  /// Reordering a run of marks sorts it, however long and however adverse.
  @Test func longRunsOfMarks() throws {
    let text = "a" + String(repeating: "\u{345}\u{334}", count: 50_000)
    #expect(try tokenizer().encode(text).ids == [15])
  }
}
