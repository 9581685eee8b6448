import Files
import WordPiece

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A tokeniser with the files that make it, so that a new folder gets the same one.
public struct TokenizerFiles: Sendable {
  public let tokenizer: Tokenizer
  /// The files' bytes by their names.
  let contents: [String: Data]

  /// What a hub folder holds of a tokeniser.
  static let names = ["vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]

  /// Reads a folder with `tokenizer.json` or `vocab.txt`.
  ///
  /// Where the folder lacks `vocab.txt` or `tokenizer_config.json`, which transformers looks for, they are made of what the tokeniser
  /// knows.
  ///
  /// - Throws: `TokenizerError` where the tokeniser cannot be read.
  public init(folder: URL) throws {
    tokenizer = try Tokenizer(folder: folder)
    var contents: [String: Data] = [:]
    for name in Self.names {
      let file = folder.appending(path: name)
      guard FileManager.default.fileExists(atPath: file.path) else { continue }
      let mapping = try FileMapping(path: file.path)
      contents[name] = withExtendedLifetime(mapping) { Data(mapping.bytes) }
    }
    if contents["vocab.txt"] == nil { contents["vocab.txt"] = Self.vocabularyText(tokenizer.vocabulary) }
    if contents["tokenizer_config.json"] == nil { contents["tokenizer_config.json"] = Data(Self.configuration(tokenizer.options).utf8) }
    self.contents = contents
  }

  /// A line a token; `nil` where a token holds a line break.
  private static func vocabularyText(_ vocabulary: Vocabulary) -> Data? {
    var text = Data()
    for id in 0..<Int32(vocabulary.count) {
      let token = vocabulary.token(id).utf8
      if token.contains(UInt8(ascii: "\n")) || token.last == UInt8(ascii: "\r") { return nil }
      text.append(contentsOf: token)
      text.append(UInt8(ascii: "\n"))
    }
    return text
  }

  private static func configuration(_ options: Tokenizer.Options) -> String {
    var members = [
      "\"do_lower_case\": \(options.lowercase)", "\"strip_accents\": \(options.stripAccents.map(String.init) ?? "null")",
      "\"tokenize_chinese_chars\": \(options.handleChineseCharacters)", "\"tokenizer_class\": \"DistilBertTokenizer\"",
    ]
    if let length = options.modelMaxLength { members.append("\"model_max_length\": \(length)") }
    for (key, token) in [
      ("unk_token", options.unknownToken), ("cls_token", options.classificationToken), ("sep_token", options.separatorToken),
      ("pad_token", options.paddingToken), ("mask_token", options.maskToken),
    ] {
      members.append("\"\(key)\": \(JSONValue.quoted(token))")
    }
    return "{" + members.joined(separator: ", ") + "}\n"
  }
}
