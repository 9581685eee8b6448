import SQuAD
import SpanQA
import WordPiece

/// A question and its passage as the model takes them: tokens with their places, in windows.
public struct QuestionText: Sendable {
  public let question, passage: String
  public let windows: WindowSequence
  public let passageEncoding: Encoding
  private let questionEncoding: Encoding
  private let tokenizer: Tokenizer
  private let questionOffsets, passageOffsets: ScalarOffsets

  /// - Throws: `WindowError` where question, passage and window do not go together.
  public init(question: String, passage: String, tokenizer: Tokenizer, options: Options = Options()) throws {
    self.question = question
    self.passage = passage
    self.tokenizer = tokenizer
    questionEncoding = tokenizer.encode(question)
    passageEncoding = tokenizer.encode(passage)
    windows = try WindowSequence(
      question: questionEncoding, passage: passageEncoding, classificationID: tokenizer.classificationID,
      separatorID: tokenizer.separatorID,
      options: WindowOptions(
        maxSequenceLength: options.maxSequenceLength, docStride: options.docStride,
        maxQuestionLength: options.maxQuestionLength))
    questionOffsets = ScalarOffsets(question)
    passageOffsets = ScalarOffsets(passage)
  }

  /// A token of a window.
  public struct Token: Encodable, Sendable {
    public enum Part: String, Encodable, Sendable { case special, question, passage }

    public var text: String
    public var id: Int32
    public var part: Part
    /// Where it stands in its text, in Unicode scalars; `nil` for a special token.
    public var start, end: Int?
  }

  /// The tokens of a window, in the order of its rows.
  public func tokens(of window: Window) -> [Token] {
    window.ids.enumerated().map { row, id in
      let text = tokenizer.vocabulary.token(id)
      if window.passageTokens.indices.contains(row - window.passageStart + window.passageTokens.lowerBound), row >= window.passageStart {
        let range = passageEncoding.offsets[row - window.passageStart + window.passageTokens.lowerBound]
        return Token(
          text: text, id: id, part: .passage, start: passageOffsets.scalarOffset(utf8: range.lowerBound),
          end: passageOffsets.scalarOffset(utf8: range.upperBound))
      }
      // Behind the classification token the question, then a separator.
      if (1..<window.passageStart - 1).contains(row) {
        let range = questionEncoding.offsets[row - 1]
        return Token(
          text: text, id: id, part: .question, start: questionOffsets.scalarOffset(utf8: range.lowerBound),
          end: questionOffsets.scalarOffset(utf8: range.upperBound))
      }
      return Token(text: text, id: id, part: .special)
    }
  }

  /// The passage's scalars from one token to another, both of the passage's encoding.
  public func scalarRange(_ tokens: ClosedRange<Int>) -> Range<Int> {
    let lower = passageEncoding.offsets[tokens.lowerBound].lowerBound
    let upper = max(lower, passageEncoding.offsets[tokens.upperBound].upperBound)
    return passageOffsets.scalarOffset(utf8: lower)..<passageOffsets.scalarOffset(utf8: upper)
  }
}
