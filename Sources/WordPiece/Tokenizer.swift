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

  /// Makes a tokeniser of a vocabulary; fails if it lacks a special token that the options name.
  public init(vocabulary: Vocabulary, options: Options) throws(TokenizerError) {
    throw .unreadableFile(file: "vocabulary", reason: "the tokeniser is being written")
  }

  /// Reads a model folder: `tokenizer.json`, else `vocab.txt`, with `tokenizer_config.json`.
  public init(folder: URL) throws(TokenizerError) {
    throw .unreadableFile(file: folder.path, reason: "the tokeniser is being written")
  }

  /// Makes a tokeniser of the bytes of a `vocab.txt` and a `tokenizer_config.json`; `name` is what errors call them.
  public init(
    vocabulary: UnsafeRawBufferPointer, configuration: UnsafeRawBufferPointer, name: String
  ) throws(TokenizerError) {
    throw .unreadableFile(file: name, reason: "the tokeniser is being written")
  }

  /// The tokens of a text. No special tokens are added around it; those written in it are found.
  public func encode(_ text: String) -> Encoding {
    Encoding()
  }
}
