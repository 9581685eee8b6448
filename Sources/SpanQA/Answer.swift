/// A span of the passage that answers the question, the runners-up, and how likely it is that there is no answer.
public struct Answer: Sendable, Equatable {
  /// The ranked spans, best first: at least one, at most `Options.topK`.
  public let spans: [Span]

  /// The probability that the passage holds no answer, as the model's classification token tells it: the least over the passage's
  /// windows (`SpanDecoder` has the formula). Means little for a model that was not trained for it.
  public let noAnswerScore: Double

  /// The best span.
  public var best: Span { spans[0] }
  /// The next best spans, best first.
  public var alternatives: ArraySlice<Span> { spans.dropFirst() }

  /// The answer's exact characters; empty where the answer is that there is none (`Options.handleImpossibleAnswer`).
  public var text: String { best.text }
  /// Where the answer stands in the caller's own passage.
  public var range: Range<String.Index> { best.range }
  /// The same place counted in Unicode scalars, which is what Python calls characters.
  public var scalarRange: Range<Int> { best.scalarRange }
  /// The answer's probability among all spans of the passage.
  public var score: Double { best.score }
  public var startLogit: Float { best.startLogit }
  public var endLogit: Float { best.endLogit }
}

extension Answer {
  /// One candidate answer.
  public struct Span: Sendable, Equatable {
    /// `passage[range]`; empty for "no answer".
    public let text: String
    public let range: Range<String.Index>
    /// `range` in Unicode scalars from the passage's start.
    public let scalarRange: Range<Int>
    /// The span's probability among all spans of the passage: for one window, start probability × end probability (`SpanDecoder` has
    /// the formula for several).
    public let score: Double
    /// The model's raw output for the span's first token.
    public let startLogit: Float
    /// The model's raw output for the span's last token.
    public let endLogit: Float
  }
}

/// A question about a passage.
public struct Request: Sendable, Equatable {
  public var question: String
  public var passage: String

  public init(question: String, passage: String) {
    self.question = question
    self.passage = passage
  }
}
