import SQuAD
import WordPiece

/// One request on its way: its windows, and what their logits said so far.
struct Job {
  let index: Int
  private let passage: TokenizedPassage
  private let windows: WindowSequence
  private var decoder: SpanDecoder
  /// Windows handed out to be computed, and windows whose logits came back.
  private var handedOut = 0
  private var decoded = 0

  init(index: Int, windows: WindowSequence, passage: TokenizedPassage, options: Options) {
    self.index = index
    self.windows = windows
    self.passage = passage
    decoder = SpanDecoder(passage: passage.encoding, text: passage.text, options: options.decoding)
  }

  /// The next window to compute; `nil` when all are handed out.
  var windowToCompute: Window? { handedOut < windows.count ? windows[handedOut] : nil }

  mutating func advance() { handedOut += 1 }

  /// The logits of the next window, in the order in which they were handed out.
  mutating func add(start: [Float], end: [Float]) {
    decoder.add(windows[decoded], startLogits: start, endLogits: end)
    decoded += 1
  }

  var isComplete: Bool { decoded == windows.count }

  /// How many tokens are still to be computed, at most.
  var tokensLeft: Int { (windows.count - handedOut) * windows.longestLength }

  func answer() -> Answer {
    let ranking = decoder.finish()
    return Answer(
      spans: ranking.spans.map { span in
        let range = passage.range(utf8: span.utf8Range)
        return Answer.Span(
          text: String(passage.text[range]), range: range,
          scalarRange: passage.offsets.scalarOffset(utf8: span.utf8Range.lowerBound)
            ..< passage.offsets.scalarOffset(utf8: span.utf8Range.upperBound),
          score: span.score, startLogit: span.startLogit, endLogit: span.endLogit)
      },
      noAnswerScore: ranking.noAnswerScore)
  }
}

extension Options {
  package var windowing: WindowOptions {
    WindowOptions(
      maxSequenceLength: maxSequenceLength, docStride: docStride, maxQuestionLength: maxQuestionLength)
  }

  package var decoding: SpanDecoder.Options {
    SpanDecoder.Options(
      topK: topK, maxAnswerLength: maxAnswerLength, handleImpossibleAnswer: handleImpossibleAnswer,
      alignToWords: alignToWords)
  }
}
