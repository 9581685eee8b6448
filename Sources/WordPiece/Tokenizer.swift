#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The tokeniser of BERT and DistilBERT: basic tokenisation (cleaning, lower-casing, accents, CJK, punctuation), then
/// WordPiece by greedy longest match. Gives the ids, offsets and words of Hugging Face's `tokenizers`.
public struct Tokenizer: Sendable {
  /// How text is prepared and which tokens have a meaning of their own.
  public struct Options: Sendable, Equatable {
    /// Maps every scalar to lower case.
    public var lowercase = true
    /// Decomposes (NFD) and removes nonspacing marks; nil does what `lowercase` does.
    public var stripAccents: Bool?
    /// Makes every CJK ideograph a word.
    public var handleChineseCharacters = true
    /// A word of more scalars than this is unknown as a whole.
    public var maxWordCharacters = 100
    /// Stands for a word that cannot be put together from pieces.
    public var unknownToken = "[UNK]"
    /// Begins a sequence.
    public var classificationToken = "[CLS]"
    /// Ends a sequence, and stands between question and passage.
    public var separatorToken = "[SEP]"
    /// Fills a batch up.
    public var paddingToken = "[PAD]"
    /// Stands for a hidden token; the only special token that a vocabulary may lack.
    public var maskToken = "[MASK]"
    /// Begins a piece that continues a word.
    public var continuingPrefix = "##"
    /// The longest sequence that the model takes, in tokens, where the configuration says.
    public var modelMaxLength: Int?

    public init() {}
  }

  /// The model's tokens.
  public let vocabulary: Vocabulary
  /// The options that the tokeniser was made with.
  public let options: Options
  /// The id of `options.classificationToken`.
  public let classificationID: Int32
  /// The id of `options.separatorToken`.
  public let separatorID: Int32
  /// The id of `options.paddingToken`.
  public let paddingID: Int32
  /// The id of `options.unknownToken`.
  public let unknownID: Int32

  /// The tokens that are found in a text as they are written.
  let addedTokens: AddedTokens
  /// The pieces that continue a word, without the prefix.
  let continuingPieces: PieceTable
  /// What each ASCII byte is to the loop over a text; all other bytes are `other`.
  let byteClasses: [ByteClass]
  /// What each ASCII byte becomes in a word.
  let folded: [UInt8]

  /// What a byte is to the loop over a text.
  enum ByteClass: UInt8, Sendable {
    case space, punctuation, letter
    /// Not ASCII, or removed.
    case other
  }

  /// Makes a tokeniser of a vocabulary. Fails if it lacks a special token that the options name (but for the mask), or
  /// if the word limit is not in 1 ... 10,000.
  public init(vocabulary: Vocabulary, options: Options) throws(TokenizerError) {
    try self.init(vocabulary: vocabulary, options: options, added: [])
  }

  /// Reads a model folder: its `tokenizer.json`, else its `vocab.txt`.
  ///
  /// What `tokenizer_config.json` says about lower-casing, accents, CJK and special tokens goes before what
  /// `tokenizer.json` says, as in `transformers`. Without either a `vocab.txt` is taken for uncased.
  public init(folder: URL) throws(TokenizerError) {
    let path = folder.path
    let (configurationFile, jsonFile) = ("\(path)/tokenizer_config.json", "\(path)/tokenizer.json")
    let textFile = "\(path)/vocab.txt"
    var configuration: Fields?
    if let bytes = try readFileBytes(configurationFile) {
      configuration = try Self.fields(bytes, configurationFile)
    }
    var options = Options()
    var added: [String] = []
    let vocabulary: Vocabulary
    if let bytes = try readFileBytes(jsonFile) {
      let fields = try Self.fields(bytes, jsonFile)
      try options.apply(tokenizer: fields)
      (vocabulary, added) = try Vocabulary.reading(tokenizer: fields)
    } else if let bytes = try readFileBytes(textFile) {
      let result: Result<Vocabulary, TokenizerError> = bytes.withUnsafeBytes { bytes in
        Result { () throws(TokenizerError) in try Vocabulary(text: bytes, file: textFile) }
      }
      vocabulary = try result.get()
    } else {
      throw .unreadableFile(
        file: path, reason: "holds neither tokenizer.json nor vocab.txt; copy one of them from the model's home")
    }
    if let configuration { try options.apply(configuration: configuration) }
    try self.init(vocabulary: vocabulary, options: options, added: added)
  }

  /// Makes a tokeniser of the bytes of a `vocab.txt` and of a `tokenizer_config.json`; `name` is what errors call their
  /// folder.
  public init(
    vocabulary: UnsafeRawBufferPointer, configuration: UnsafeRawBufferPointer, name: String
  ) throws(TokenizerError) {
    var options = Options()
    try options.apply(configuration: Fields(parsing: configuration, file: "\(name)/tokenizer_config.json"))
    try self.init(
      vocabulary: Vocabulary(text: vocabulary, file: "\(name)/vocab.txt"), options: options, added: [])
  }

  private static func fields(_ bytes: [UInt8], _ file: String) throws(TokenizerError) -> Fields {
    let result: Result<Fields, TokenizerError> = bytes.withUnsafeBytes { bytes in
      Result { () throws(TokenizerError) in try Fields(parsing: bytes, file: file) }
    }
    return try result.get()
  }

  private init(vocabulary: Vocabulary, options: Options, added: [String]) throws(TokenizerError) {
    guard (1...Options.maxMaxWordCharacters).contains(options.maxWordCharacters) else {
      throw .invalid(
        file: vocabulary.name, place: "option maxWordCharacters",
        reason: "\(options.maxWordCharacters) is not in 1...\(Options.maxMaxWordCharacters)")
    }
    func id(_ option: String, _ token: String) throws(TokenizerError) -> Int32 {
      guard let id = vocabulary.id(of: token) else {
        throw .missingToken(file: vocabulary.name, option: option, token: token)
      }
      return id
    }
    unknownID = try id("unk_token", options.unknownToken)
    classificationID = try id("cls_token", options.classificationToken)
    separatorID = try id("sep_token", options.separatorToken)
    paddingID = try id("pad_token", options.paddingToken)

    let special = [
      options.unknownToken, options.classificationToken, options.separatorToken, options.paddingToken,
      options.maskToken,
    ]
    addedTokens = AddedTokens(
      (special + added).compactMap { token in
        vocabulary.id(of: token).map { AddedTokens.Token(bytes: Array(token.utf8), id: $0) }
      })
    continuingPieces = vocabulary.continuingPieces(prefix: options.continuingPrefix)

    let unicode = UnicodeData.shared
    byteClasses = (UInt32(0)...255).map { byte in
      let properties = byte < 0x80 ? unicode.properties(of: byte) : UnicodeData.removed
      if properties & UnicodeData.removed != 0 { return .other }
      if properties & UnicodeData.space != 0 { return .space }
      return properties & UnicodeData.punctuation != 0 ? .punctuation : .letter
    }
    folded = (UInt8(0)...255).map { byte in
      let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
      return options.lowercase && isUpper ? byte | 0x20 : byte
    }
    self.vocabulary = vocabulary
    self.options = options
  }
}
