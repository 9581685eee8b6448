/// How a passage that does not fit the model at once is cut into windows. The defaults are those of transformers'
/// question-answering pipeline.
public struct WindowOptions: Sendable, Hashable {
  /// The longest window in tokens: question, passage part and three special tokens.
  public var maxSequenceLength = 384
  /// How many tokens of the passage two neighbouring windows share (transformers' `stride`).
  public var docStride = 128
  /// The question is cut off after this many tokens.
  public var maxQuestionLength = 64

  public init(maxSequenceLength: Int = 384, docStride: Int = 128, maxQuestionLength: Int = 64) {
    self.maxSequenceLength = maxSequenceLength
    self.docStride = docStride
    self.maxQuestionLength = maxQuestionLength
  }
}
