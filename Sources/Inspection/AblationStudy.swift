import Encoder
import SpanQA

/// A model beside itself without some of its parts, on one question: what the answer and the logits become.
public struct AblationStudy: Encodable, Sendable {
  /// What is left out: `head 3.7`, `layer 5`, …
  public let without: [String]
  /// The best spans of the whole model, and of what is left of it.
  public let whole, ablated: [ReportedSpan]
  /// The window of the whole model's answer, and its logits.
  public let window: Int
  public let wholeLogits, ablatedLogits: PassageReading.Logits
  /// The logits that change most in that window.
  public let largestChanges: LargestChanges

  public struct LargestChanges: Encodable, Sendable {
    public let start, end: Change
  }

  /// How one token's logit changes.
  public struct Change: Encodable, Sendable {
    /// The token's row in the window, and its text.
    public let row: Int
    public let token: String
    public let whole, ablated: Float
  }

  /// - Throws: `BatchError` where `ablation` names what the model does not have.
  public init(_ text: QuestionText, encoder: Encoder, options: Options = Options(), ablation: Ablation) throws(BatchError) {
    let whole = try PassageReading(text, encoder: encoder, options: options)
    let ablated = try PassageReading(text, encoder: encoder, options: options, ablation: ablation)
    without = ablation.names
    self.whole = whole.ranking.spans.map(text.reported)
    self.ablated = ablated.ranking.spans.map(text.reported)
    window = whole.ranking.spans.first?.window ?? 0
    (wholeLogits, ablatedLogits) = (whole.windows[window], ablated.windows[window])
    let tokens = text.tokens(of: text.windows[window])
    func largest(_ a: [Float], _ b: [Float]) -> Change {
      let row = a.indices.max { abs(a[$0] - b[$0]) < abs(a[$1] - b[$1]) } ?? 0
      return Change(row: row, token: tokens[row].text, whole: a[row], ablated: b[row])
    }
    largestChanges = LargestChanges(
      start: largest(wholeLogits.start, ablatedLogits.start), end: largest(wholeLogits.end, ablatedLogits.end))
  }
}

extension Ablation {
  /// The parts in words, layers first.
  var names: [String] {
    layers.sorted().map { "layer \($0)" }
      + heads.sorted { ($0.layer, $0.head) < ($1.layer, $1.head) }.map { "head \($0.layer).\($0.head)" }
  }
}
