import Testing
import WordPiece

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Reading model folders, good and bad.
@Suite struct FilesTests {
  static let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
  static let text = (special + ["hello", "##s"]).joined(separator: "\n") + "\n"

  /// Makes a folder of the files, gives it to a body and removes it.
  private func withFolder<Result>(_ files: [String: [UInt8]], _ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "spanqa-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, bytes) in files { try Data(bytes).write(to: folder.appending(path: name)) }
    return try body(folder)
  }

  private func json(
    vocabulary: String = ###""[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"hello":4,"##s":5"###,
    normalizer: String = #"{"type":"BertNormalizer","lowercase":false}"#, type: String = "WordPiece",
    preTokenizer: String = "BertPreTokenizer", added: String = ""
  ) -> String {
    """
    {"added_tokens": [\(added)], "normalizer": \(normalizer), "pre_tokenizer": {"type": "\(preTokenizer)"},
     "model": {"type": "\(type)", "vocab": {\(vocabulary)}}}
    """
  }

  @Test func textWithoutConfigurationIsUncased() throws {
    try withFolder(["vocab.txt": Array(Self.text.utf8)]) { folder in
      let tokenizer = try Tokenizer(folder: folder)
      #expect(tokenizer.vocabulary.count == 6)
      #expect(tokenizer.encode("HELLOs").ids == [4, 5])
      #expect(
        [tokenizer.paddingID, tokenizer.unknownID, tokenizer.classificationID, tokenizer.separatorID] == [0, 1, 2, 3])
    }
  }

  @Test func configurationDecides() throws {
    let configuration = #"{"do_lower_case": false, "model_max_length": 512, "unk_token": {"content": "hello"}}"#
    let files = [
      "vocab.txt": Array(Self.text.replacing("\n", with: "\r\n").utf8),
      "tokenizer_config.json": Array(configuration.utf8),
    ]
    try withFolder(files) { folder in
      let tokenizer = try Tokenizer(folder: folder)
      #expect(tokenizer.options.modelMaxLength == 512)
      #expect(tokenizer.unknownID == 4)
      #expect(tokenizer.encode("HELLO").ids == [4])
    }
  }

  @Test func jsonGoesBeforeTextAndConfigurationBeforeJSON() throws {
    let added = #"{"id": 6, "content": "<new>", "special": true, "normalized": false}"#
    var files = ["tokenizer.json": Array(json(added: added).utf8), "vocab.txt": [UInt8]()]
    try withFolder(files) { folder in
      let tokenizer = try Tokenizer(folder: folder)
      #expect(tokenizer.encode("HELLO hello<new>hellos").ids == [1, 4, 6, 4, 5])
      #expect(tokenizer.vocabulary.token(6) == "<new>")
      #expect(tokenizer.vocabulary.id(of: "<new>") == 6)
    }
    files["tokenizer_config.json"] = Array(#"{"do_lower_case": true, "model_max_length": 1e30}"#.utf8)
    try withFolder(files) { folder in
      let tokenizer = try Tokenizer(folder: folder)
      #expect(tokenizer.encode("HELLO").ids == [4])
      #expect(tokenizer.options.modelMaxLength == nil)
    }
  }

  @Test func tokensThatSwiftHoldsEqualStayApart() throws {
    let vocabulary = #""[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"\u00e9":4,"e\u0301":5,"\ud83d\ude00":6"#
    try withFolder(["tokenizer.json": Array(json(vocabulary: vocabulary).utf8)]) { folder in
      let tokenizer = try Tokenizer(folder: folder)
      #expect(tokenizer.encode("\u{E9} e\u{301} 😀").ids == [4, 5, 6])
      #expect(tokenizer.vocabulary.id(of: "e\u{301}") == 5)
    }
  }

  @Test func bytesOfAnEmbeddedModel() throws {
    let configuration = Array(#"{"do_lower_case": true}"#.utf8)
    let tokenizer = try Array(Self.text.utf8).withUnsafeBytes { text in
      try configuration.withUnsafeBytes { configuration in
        try Tokenizer(vocabulary: text, configuration: configuration, name: "embedded")
      }
    }
    #expect(tokenizer.encode("Hellos").ids == [4, 5])
  }

  @Test(.enabled(if: GoldenTests.hasShared, "needs ../shared"))
  func bothFilesOfAModelSayTheSame() throws {
    let model = GoldenTests.shared.appending(path: "models/spanqa-mini")
    let fromJSON = try Tokenizer(folder: model)
    let text = try Data(contentsOf: model.appending(path: "vocab.txt"))
    try withFolder(["vocab.txt": Array(text)]) { folder in
      let fromText = try Tokenizer(folder: folder)
      #expect(fromText.vocabulary.count == fromJSON.vocabulary.count)
      let same = (0..<Int32(fromJSON.vocabulary.count)).allSatisfy {
        fromText.vocabulary.token($0).utf8.elementsEqual(fromJSON.vocabulary.token($0).utf8)
      }
      #expect(same)
    }
  }

  /// Each file, and what the error must say.
  @Test func badFilesAreNamed() throws {
    let text = Self.text
    let cases: [(file: String, bytes: [UInt8], says: String)] = [
      ("vocab.txt", [], "vocab.txt: invalid: tokens: the vocabulary is empty"),
      ("vocab.txt", Array((text + "\nx\n").utf8), "line 7: the token is empty"),
      ("vocab.txt", Array((text + "hello\n").utf8), "line 7: the token 'hello' repeats that of line 5"),
      ("vocab.txt", Array(text.utf8) + [0xFF, 0x0A], "line 7: not UTF-8"),
      ("vocab.txt", Array((text + String(repeating: "x", count: 10_000)).utf8), "line 7: the token has 10000 bytes"),
      ("vocab.txt", Array("[UNK]\n[CLS]\n[PAD]\n".utf8), "the vocabulary lacks sep_token '[SEP]'"),
      ("tokenizer.json", Array("[]".utf8), "document: an object expected, not an array"),
      ("tokenizer.json", Array("{\"model\": ".utf8), "byte 10: not JSON"),
      ("tokenizer.json", Array(String(repeating: "[", count: 100_000).utf8), "levels of nesting"),
      ("tokenizer.json", [0x22, 0xC0, 0x22], "text: not UTF-8"),
      ("tokenizer.json", Array(json(type: "BPE").utf8), "field 'model.type': BPE where only WordPiece"),
      ("tokenizer.json", Array(json(normalizer: "null").utf8), "field 'normalizer.type'"),
      ("tokenizer.json", Array(json(normalizer: #"{"type":"NFC"}"#).utf8), "field 'normalizer.type': NFC"),
      (
        "tokenizer.json", Array(json(normalizer: #"{"type":"BertNormalizer","lowercase":1}"#).utf8),
        "field 'normalizer.lowercase': true, false or null expected, not a number"
      ),
      (
        "tokenizer.json", Array(json(normalizer: #"{"type":"BertNormalizer","clean_text":false}"#).utf8),
        "field 'normalizer.clean_text'"
      ),
      ("tokenizer.json", Array(json(preTokenizer: "Metaspace").utf8), "field 'pre_tokenizer.type': Metaspace"),
      ("tokenizer.json", Array(json(vocabulary: #""a":0,"b":2"#).utf8), "field 'model.vocab.b': the id 2 leaves a gap"),
      ("tokenizer.json", Array(json(vocabulary: #""a":0,"b":0"#).utf8), "the id 0 is given twice"),
      ("tokenizer.json", Array(json(vocabulary: #""a":0,"a":1"#).utf8), "the token 'a' repeats"),
      ("tokenizer.json", Array(json(vocabulary: #""a":-1"#).utf8), "field 'model.vocab.a': a token's id expected"),
      ("tokenizer.json", Array(json(vocabulary: #""a":1e300"#).utf8), "field 'model.vocab.a': a token's id expected"),
      (
        "tokenizer.json", Array(json(added: #"{"id": 4, "content": "other"}"#).utf8),
        "field 'added_tokens[0].id': 4 is 'hello' in the vocabulary"
      ),
      (
        "tokenizer.json", Array(json(added: #"{"id": 9, "content": "<new>"}"#).utf8), "the id 9 leaves a gap"
      ),
      (
        "tokenizer.json", Array(json(added: #"{"id": 6, "content": "<new>", "lstrip": true}"#).utf8),
        "field 'added_tokens[0].lstrip'"
      ),
      ("tokenizer_config.json", Array(#"{"do_lower_case": "yes"}"#.utf8), "field 'do_lower_case': true, false or null"),
      ("tokenizer_config.json", Array(#"{"cls_token": 7}"#.utf8), "field 'cls_token': a token expected, not a number"),
      ("tokenizer_config.json", Array(#"{"model_max_length": -5}"#.utf8), "field 'model_max_length': must be 1"),
      ("notes.txt", [], "holds neither tokenizer.json nor vocab.txt"),
    ]
    for (file, bytes, says) in cases {
      var files = [file: bytes]
      if file == "tokenizer_config.json" { files["vocab.txt"] = Array(text.utf8) }
      try withFolder(files) { folder in
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(folder: folder) }
        let description = error.map(String.init(describing:)) ?? ""
        #expect(description.contains(says) && !description.contains("\n"), "\(description)")
      }
    }
  }

  @Test func aFolderInAFilesPlace() throws {
    try withFolder([:]) { folder in
      try FileManager.default.createDirectory(
        at: folder.appending(path: "vocab.txt"), withIntermediateDirectories: true)
      #expect(throws: TokenizerError.self) { try Tokenizer(folder: folder) }
    }
  }
}
