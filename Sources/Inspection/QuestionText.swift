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

  /// A ranked span with its text and its place.
  public func reported(_ span: RankedSpan) -> ReportedSpan { reported(span, window: span.window) }

  /// A span that was ranked for one window by itself.
  func reported(_ span: RankedSpan, window number: Int) -> ReportedSpan {
    let utf8 = passage.utf8
    let lower = utf8.index(utf8.startIndex, offsetBy: span.utf8Range.lowerBound)
    let window = windows[number]
    // A span that was widened to whole words may reach out of the window.
    func row(_ token: Int) -> Int {
      let range = window.passageTokens
      return min(max(token, range.lowerBound), range.upperBound - 1) - range.lowerBound + window.passageStart
    }
    return ReportedSpan(
      text: String(passage[lower..<utf8.index(lower, offsetBy: span.utf8Range.count)]),
      start: passageOffsets.scalarOffset(utf8: span.utf8Range.lowerBound),
      end: passageOffsets.scalarOffset(utf8: span.utf8Range.upperBound), score: span.score, startLogit: span.startLogit,
      endLogit: span.endLogit, window: number, firstRow: span.tokens.map { row($0.lowerBound) },
      lastRow: span.tokens.map { row($0.upperBound) })
  }
}

/// An answer as it is shown: its text, its place and its score.
public struct ReportedSpan: Encodable, Sendable, Equatable {
  public var text: String
  /// Unicode scalars of the passage.
  public var start, end: Int
  /// `SpanDecoder` says what it is the probability of.
  public var score: Double
  public var startLogit, endLogit: Float
  /// The window that gives the score, and the rows of the span's first and last token there; none for "no answer".
  public var window: Int
  public var firstRow, lastRow: Int?
}
