import Encoder
import SQuAD
import SpanQA

/// What an encoder makes of a passage: the logits of every window, and the spans that they rank.
public struct PassageReading: Sendable {
  /// One number a token of the window.
  public struct Logits: Encodable, Sendable, Equatable {
    public var start, end: [Float]
  }

  /// `[windows]`
  public let windows: [Logits]
  public let ranking: SpanRanking

  /// Runs the windows one after the other.
  ///
  /// - Throws: `BatchError` as `Encoder.forward` does.
  public init(
    _ text: QuestionText, encoder: Encoder, options: Options = Options(), ablation: Ablation = Ablation()
  ) throws(BatchError) {
    var decoder = SpanDecoder(passage: text.passageEncoding, text: text.passage, options: options.decoding)
    var windows: [Logits] = []
    for window in text.windows {
      let output = try encoder.forward(PackedBatch([window.ids]), ablation: ablation)
      let logits = Logits(start: output.column(0, ofSequence: 0), end: output.column(1, ofSequence: 0))
      decoder.add(window, startLogits: logits.start, endLogits: logits.end)
      windows.append(logits)
    }
    self.windows = windows
    ranking = decoder.finish()
  }
}
