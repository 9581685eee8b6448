/// The best spans of a passage, and how likely it is that it holds no answer.
public struct SpanRanking: Sendable, Equatable {
  /// Best first: at least one, at most `SpanDecoder.Options.topK`.
  public let spans: [RankedSpan]
  /// The probability that the passage holds no answer; `SpanDecoder` says how it is found.
  public let noAnswerScore: Double
}

/// One place of a passage as an answer.
public struct RankedSpan: Sendable, Equatable {
  /// The first and the last token, in the passage's `Encoding`; nil for "no answer".
  public let tokens: ClosedRange<Int>?
  /// The bytes of the passage's UTF-8 that the tokens came from; `0..<0` for "no answer".
  public let utf8Range: Range<Int>
  /// The span's probability over all windows of the passage.
  public internal(set) var score: Double
  /// The model's raw output for the first token.
  public let startLogit: Float
  /// The model's raw output for the last token.
  public let endLogit: Float
  /// The number of the window, in the order in which they were added, that the logits came from.
  public let window: Int
}
