/// The tokens of a text, and where in the text each of them stands.
public struct Encoding: Sendable, Equatable {
  /// Vocabulary ids, `[tokens]`.
  public var ids: [Int32]

  /// For each token the range of the text that it came from: UTF-8 byte offsets, always on boundaries of Unicode
  /// scalars. Scalars that normalisation removes at the edges of a token lie outside its range, those within it inside.
  public var offsets: [Range<Int>]

  /// For each token the number of the word, as pre-tokenisation split them, that it is a piece of.
  public var words: [Int32]

  /// The number of tokens.
  public var count: Int { ids.count }

  public init(ids: [Int32] = [], offsets: [Range<Int>] = [], words: [Int32] = []) {
    self.ids = ids
    self.offsets = offsets
    self.words = words
  }
}
