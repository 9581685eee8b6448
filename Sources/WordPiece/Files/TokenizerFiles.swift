extension Tokenizer.Options {
  /// More scalars in a word than any model's limit; the matcher's buffers are this long.
  static let maxMaxWordCharacters = 10_000

  /// Takes over what a `tokenizer_config.json` says; what it leaves out stays as it is.
  mutating func apply(configuration fields: Fields) throws(TokenizerError) {
    if let value = try fields.bool("do_lower_case") { lowercase = value }
    if fields.has("strip_accents") { stripAccents = try fields.bool("strip_accents") }
    if let value = try fields.bool("tokenize_chinese_chars") { handleChineseCharacters = value }
    if let value = try fields.token("unk_token") { unknownToken = value }
    if let value = try fields.token("cls_token") { classificationToken = value }
    if let value = try fields.token("sep_token") { separatorToken = value }
    if let value = try fields.token("pad_token") { paddingToken = value }
    if let value = try fields.token("mask_token") { maskToken = value }
    if let value = try fields.number("model_max_length") {
      guard value >= 1 else {
        throw .invalid(file: fields.file, place: fields.place("model_max_length"), reason: "must be 1 or more")
      }
      // Configurations without a limit hold a number such as 1e30.
      modelMaxLength = value <= Double(Int32.max) ? Int(value) : nil
    }
  }

  /// Takes over what the normaliser, the pre-tokeniser and the model of a `tokenizer.json` say, and refuses what is not
  /// BERT's.
  mutating func apply(tokenizer fields: Fields) throws(TokenizerError) {
    func require(
      _ key: String, in object: Fields?, at place: String, toBe expected: String
    ) throws(TokenizerError) {
      let found = try object?.string(key)
      guard found == expected else {
        throw .unsupported(
          file: fields.file, place: "field '\(place)'",
          reason: "\(found ?? "nothing") where only \(expected) is understood; use a model with a BERT tokeniser")
      }
    }
    let model = try fields.object("model")
    try require("type", in: model, at: "model.type", toBe: "WordPiece")
    let normalizer = try fields.object("normalizer")
    try require("type", in: normalizer, at: "normalizer.type", toBe: "BertNormalizer")
    let preTokenizer = try fields.object("pre_tokenizer")
    try require("type", in: preTokenizer, at: "pre_tokenizer.type", toBe: "BertPreTokenizer")

    if let normalizer {
      if try normalizer.bool("clean_text") == false {
        throw .unsupported(
          file: fields.file, place: normalizer.place("clean_text"),
          reason: "false; text is always cleaned, set it to true")
      }
      if let value = try normalizer.bool("lowercase") { lowercase = value }
      if let value = try normalizer.bool("handle_chinese_chars") { handleChineseCharacters = value }
      stripAccents = try normalizer.bool("strip_accents")
    }
    if let model {
      if let value = try model.string("unk_token") { unknownToken = value }
      if let value = try model.string("continuing_subword_prefix") { continuingPrefix = value }
      if let value = try model.number("max_input_chars_per_word") {
        guard let count = Int(exactly: value), (1...Self.maxMaxWordCharacters).contains(count) else {
          throw .invalid(
            file: fields.file, place: model.place("max_input_chars_per_word"),
            reason: "must be a whole number from 1 to \(Self.maxMaxWordCharacters)")
        }
        maxWordCharacters = count
      }
    }
  }
}

extension Vocabulary {
  /// Takes the vocabulary of a `tokenizer.json`, with the added tokens whose ids follow the model's. Gives the texts of
  /// all added tokens too.
  static func reading(tokenizer fields: Fields) throws(TokenizerError) -> (Vocabulary, added: [String]) {
    guard let members = try fields.object("model")?.object("vocab") else {
      throw .invalid(file: fields.file, place: "field 'model.vocab'", reason: "missing; fetch the file again")
    }
    var tokens: [String?] = []
    func put(_ token: String, _ id: Int, limit: Int, _ place: String) throws(TokenizerError) {
      guard id < limit else {
        throw .invalid(
          file: fields.file, place: place, reason: "the id \(id) leaves a gap: ids must be 0 to \(limit - 1)")
      }
      if id >= tokens.count { tokens += repeatElement(nil, count: id + 1 - tokens.count) }
      guard tokens[id] == nil else {
        throw .invalid(file: fields.file, place: place, reason: "the id \(id) is given twice; remove one of the tokens")
      }
      tokens[id] = token
    }
    // Ids below the number of members, none twice: then every id has its token.
    let ids = try members.ids()
    for (token, id) in ids { try put(token, id, limit: ids.count, members.place(token)) }

    var added: [String] = []
    var following: [(token: String, id: Int, place: String)] = []
    for token in try fields.objects("added_tokens") {
      guard let content = try token.string("content"), !content.isEmpty else {
        throw .invalid(file: fields.file, place: token.place("content"), reason: "missing or empty; remove the token")
      }
      for option in ["lstrip", "rstrip", "single_word", "normalized"] where try token.bool(option) == true {
        throw .unsupported(
          file: fields.file, place: token.place(option),
          reason: "true for the added token '\(content)'; only tokens found exactly as written are understood")
      }
      added.append(content)
      guard let number = try token.number("id"), let id = Int(exactly: number), id >= 0 else {
        throw .invalid(file: fields.file, place: token.place("id"), reason: "a token's id expected")
      }
      if id >= ids.count {
        following.append((content, id, token.place("id")))
      } else if !(tokens[id] ?? "").utf8.elementsEqual(content.utf8) {
        throw .invalid(
          file: fields.file, place: token.place("id"),
          reason: "\(id) is '\(tokens[id] ?? "")' in the vocabulary, not '\(content)'; make them agree")
      }
    }
    for (token, id, place) in following { try put(token, id, limit: ids.count + following.count, place) }
    let all = tokens.map { $0 ?? "" }
    let vocabulary = try Vocabulary(
      tokens: Array(all.prefix(ids.count)), added: Array(all.dropFirst(ids.count)), name: fields.file
    ) { "field 'model.vocab', id \($0)" }
    return (vocabulary, added)
  }
}
