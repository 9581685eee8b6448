/// One input of the model: the question and as much of the passage as fits beside it.
public struct Window: Sendable, Equatable {
  /// Special tokens in a window: the classification token and two separators.
  public static let specialTokenCount = 3

  /// `[CLS] question [SEP] passage part [SEP]`, `[tokens]`.
  public let ids: [Int32]
  /// Which tokens of the passage's `Encoding` the window holds.
  public let passageTokens: Range<Int>
  /// The row of `ids` at which the first of `passageTokens` stands.
  public let passageStart: Int

  public init(ids: [Int32], passageTokens: Range<Int>, passageStart: Int) {
    self.ids = ids
    self.passageTokens = passageTokens
    self.passageStart = passageStart
  }
}
