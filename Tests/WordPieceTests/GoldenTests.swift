import Testing
import WordPiece

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Ids, offsets and words against Hugging Face's `tokenizers`; Goldens/make_tokenizer_goldens.py says how the goldens
/// are made, and prints the other side of a difference.
@Suite struct GoldenTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens")
  static let repository = URL(filePath: #filePath).appending(path: "../../..").standardized
  static let shared = repository.appending(path: "../shared").standardized
  static let hasShared = FileManager.default.fileExists(atPath: shared.appending(path: "data").path)

  @Test(arguments: [
    ("uncased", true, nil, true), ("cased", false, nil, true), ("keep-accents", true, false, true),
    ("strip-accents", false, true, false),
  ] as [(String, Bool, Bool?, Bool)])
  func generatedStringsInScalars(_ name: String, _ lowercase: Bool, _ stripAccents: Bool?, _ chinese: Bool) throws {
    let tokenizer = try tokenizer(GeneratedStrings.scalarVocabulary(), lowercase, stripAccents, chinese: chinese)
    try expectGolden("generated-scalars-\(name)", tokenizer, atLeast: 20_000, generatedString())
  }

  @Test(arguments: [("uncased", true), ("cased", false)])
  func everyScalar(_ name: String, _ lowercase: Bool) throws {
    let tokenizer = try tokenizer(GeneratedStrings.scalarVocabulary(), lowercase, nil)
    try expectGolden(
      "every-scalar-\(name)", tokenizer, atLeast: GeneratedStrings.scalarStringCount, GeneratedStrings.scalarString)
  }

  @Test(.enabled(if: hasShared, "needs ../shared"), arguments: [("uncased", true), ("cased", false)])
  func generatedStrings(_ name: String, _ lowercase: Bool) throws {
    let tokenizer = try tokenizer(sharedVocabulary(name), lowercase, nil)
    try expectGolden("generated-\(name)", tokenizer, atLeast: 20_000, generatedString())
  }

  @Test(.enabled(if: hasShared, "needs ../shared"), arguments: [("uncased", true), ("cased", false)])
  func questionsAndContextsOfSQuAD(_ name: String, _ lowercase: Bool) throws {
    let tokenizer = try tokenizer(sharedVocabulary(name), lowercase, nil)
    let file = Self.shared.appending(path: "data/squad/dev-v1.1.json")
    let texts = try JSONDecoder().decode(Dataset.self, from: Data(contentsOf: file)).data
      .flatMap(\.paragraphs).flatMap { [$0.context] + $0.qas.map(\.question) }
    try expectGolden("squad-\(name)", tokenizer, atLeast: texts.count) { texts[$0] }
  }

  private struct Dataset: Decodable {
    struct Article: Decodable { var paragraphs: [Paragraph] }
    struct Paragraph: Decodable {
      var context: String
      var qas: [Question]
    }
    struct Question: Decodable { var question: String }
    var data: [Article]
  }

  private func generatedString() throws -> (Int) -> String {
    try GeneratedStrings(recipes: Self.folder.appending(path: "recipes.json")).string
  }

  private func sharedVocabulary(_ name: String) throws -> [String] {
    let text = try Data(contentsOf: Self.shared.appending(path: "data/vocab/bert-base-\(name)-vocab.txt"))
    return text.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
  }

  private func tokenizer(
    _ tokens: [String], _ lowercase: Bool, _ stripAccents: Bool?, chinese: Bool = true
  ) throws -> Tokenizer {
    var options = Tokenizer.Options()
    options.lowercase = lowercase
    options.stripAccents = stripAccents
    options.handleChineseCharacters = chinese
    return try Tokenizer(vocabulary: Vocabulary(tokens: tokens), options: options)
  }

  /// Compares what becomes of each string with the hashes of a golden; prints the first few that differ.
  private func expectGolden(
    _ name: String, _ tokenizer: Tokenizer, atLeast minimum: Int, _ string: (Int) -> String
  ) throws {
    let data = try Data(contentsOf: Self.folder.appending(path: "\(name).hashes"))
    let count = data.count / 4
    var differences = 0
    for index in 0..<count {
      let text = string(index)
      let encoding = tokenizer.encode(text)
      let golden = (0..<4).reduce(UInt32(0)) { $0 | UInt32(data[data.startIndex + 4 * index + $1]) << (8 * UInt32($1)) }
      if hash(encoding, ScalarOffsets(text)) == golden { continue }
      differences += 1
      if differences <= 5 {
        let escaped = text.unicodeScalars.map { $0.escaped(asASCII: true) }.joined()
        print("\(name) \(index): \"\(escaped)\" became ids \(encoding.ids), bytes \(encoding.offsets)")
      }
    }
    print("WordPiece golden \(name): \(count) strings compared, \(differences) differ")
    #expect(count >= minimum && count > 0)
    #expect(differences == 0)
  }

  private func hash(_ encoding: Encoding, _ scalars: ScalarOffsets) -> UInt32 {
    var value: UInt64 = 0xCBF2_9CE4_8422_2325
    for index in 0..<encoding.count {
      let range = encoding.offsets[index]
      let (start, end) = (scalars.scalarOffset(utf8: range.lowerBound), scalars.scalarOffset(utf8: range.upperBound))
      for part in [Int(encoding.ids[index]), start, end, Int(encoding.words[index])] {
        value = (value ^ UInt64(UInt32(part))) &* 0x100_0000_01B3
      }
    }
    return UInt32(truncatingIfNeeded: value ^ value >> 32)
  }
}
