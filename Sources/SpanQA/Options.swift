/// How a question is answered. The defaults are those of transformers' question-answering pipeline.
public struct Options: Sendable, Hashable {
  /// How many spans are ranked: the answer and `topK − 1` alternatives.
  public var topK = 1
  /// The longest answer, in tokens.
  public var maxAnswerLength = 15
  /// How many tokens of the passage two neighbouring windows share.
  public var docStride = 128
  /// The longest window in tokens: question, passage part and three special tokens. No more than the model has positions.
  public var maxSequenceLength = 384
  /// The question is cut off after this many tokens.
  public var maxQuestionLength = 64
  /// Whether "the passage does not say" may win: an empty answer, whose score is `Answer.noAnswerScore`.
  public var handleImpossibleAnswer = false
  /// Whether an answer that ends inside a word is widened to the whole word.
  public var alignToWords = false

  public init() {}

  public init(
    topK: Int = 1, maxAnswerLength: Int = 15, docStride: Int = 128, maxSequenceLength: Int = 384,
    maxQuestionLength: Int = 64, handleImpossibleAnswer: Bool = false, alignToWords: Bool = false
  ) {
    self.topK = topK
    self.maxAnswerLength = maxAnswerLength
    self.docStride = docStride
    self.maxSequenceLength = maxSequenceLength
    self.maxQuestionLength = maxQuestionLength
    self.handleImpossibleAnswer = handleImpossibleAnswer
    self.alignToWords = alignToWords
  }
}
