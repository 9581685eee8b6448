#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Everything that `Inspector` finds out about one question: what `spanqa inspect` shows as a page and prints as JSON.
///
/// Places are Unicode scalars of question and passage, which is what Python calls characters. Rows are tokens of the window shown.
public struct InspectionReport: Encodable, Sendable {
  /// The version of SpanQA.
  public var version: String
  public var model: ModelFacts
  public var question, passage: String
  public var options: ReadingFacts
  /// The answer and its runners-up over all windows.
  public var answers: [ReportedSpan]
  public var noAnswerScore: Double
  public var windows: [WindowFacts]
  /// The window that the rest is about, from 0.
  public var window: Int
  public var tokens: [QuestionText.Token]
  public var logits: PassageReading.Logits
  public var attention: AttentionMaps
  /// The embeddings, then each layer.
  public var stages: [Stage]
  /// Each layer.
  public var norms: [LayerNorms]
  public var precision: PrecisionComparison
  public var timeline: Timeline
  public var memory: [Region]
  /// What the report's pass goes without, beside the whole model.
  public var ablation: AblationStudy?

  public struct ModelFacts: Encodable, Sendable {
    public var name: String
    public var layers, heads, hidden, feedForward, vocabulary, positions: Int
    public var weightPrecision: String
    public var weightBytes: Int
    public var precision, backend, kernels: String
    /// Whether the pass rounds values between its operations, as a statically quantised file says; it has no map of memory then.
    public var isRounded: Bool
    public var threads: Int
  }

  public struct ReadingFacts: Encodable, Sendable {
    public var maxAnswerLength, docStride, maxSequenceLength: Int
  }

  /// A window of the passage, and the spans that it would give alone.
  public struct WindowFacts: Encodable, Sendable {
    /// Unicode scalars of the passage.
    public var start, end: Int
    public var tokenCount: Int
    public var proposals: [ReportedSpan]
    /// The probability of "no answer" among the window's spans.
    public var noAnswerScore: Double
  }

  /// The head applied to the hidden state after the embeddings or a layer.
  public struct Stage: Encodable, Sendable {
    public var name: String
    public var layer: Int?
    public var logits: PassageReading.Logits
    /// The best span by these logits.
    public var span: ReportedSpan
    /// What these logits give the report's answer: the probability of its start, of its end, and of both; `nil` where the answer is not in
    /// this window.
    public var answer: AnswerProbability?
  }

  public struct AnswerProbability: Encodable, Sendable {
    public var start, end, both: Double
  }

  /// Euclidean norms, `[tokens]` each, of what the attention and the feed-forward network add to the residual stream, and of the
  /// stream before and after each layer norm; empty for a layer that was left out.
  public struct LayerNorms: Encodable, Sendable {
    public var layer: Int
    public var input, attentionUpdate, attentionSum, attentionNorm, feedForwardUpdate, feedForwardSum, output: [Float]
    /// The cosine of the angle between a token's hidden state before and after the layer.
    public var cosine: [Float]
  }

  /// The whole model's pass over the window, the fastest of some, in microseconds.
  public struct Timeline: Encodable, Sendable {
    public var duration: Double
    public var operations: [Operation]
    public var threads: [ThreadWork]
    /// What the processor's arithmetic can do at most, in thousands of millions a second; `nil` where it was not measured.
    public var float32Peak, int8Peak: Peak?
  }

  public struct Operation: Encodable, Sendable {
    public var name: String
    public var layer: Int?
    public var start, duration: Double
    public var inputs: [[Int]]
    public var output: [Int]
    public var kernels: [String]
    public var arithmetic: Int
    /// Thousands of millions of multiplications and additions a second, and as a part of the peak of the numbers that are multiplied.
    public var gigaoperations, shareOfPeak: Double?
  }

  public struct ThreadWork: Encodable, Sendable {
    public var thread: Int
    public var start, duration: Double
    public var tasks: Int
  }

  public struct Peak: Encodable, Sendable {
    public var instructions: String
    public var gigaoperations: Double
  }

  /// Bytes of the memory that a pass works in.
  public struct Region: Encodable, Sendable {
    public var name: String
    public var offset, byteCount: Int
  }

  /// One JSON object; its members are this type's with names like `no_answer_score`.
  public func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}
