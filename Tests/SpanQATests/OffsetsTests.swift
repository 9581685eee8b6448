import Export
import Foundation
import ONNX
import RandomModels
import SQuAD
import SpanQADefaultModel
import SeededRandom
import Testing

@testable import SpanQA

/// Every answer cuts its own text out of the caller's passage, in Swift's indices and in Unicode scalars.
///
/// A minute model with random weights answers: its spans begin and end at any token, where a good model's keep to words.
/// `check_offsets.py` does the same for the command with the embedded model, and cuts in Python.
@Suite(.enabled(if: Shared.isThere, "needs ../shared"))
struct OffsetsTests {
  private static let answerer = Result {
    try QuestionAnswerer(onnx: Model(.minute), tokenizer: DefaultModel.tokenizer())
  }

  private static let questions = Result {
    let reader = try DatasetReader(path: Shared.folder.appending(path: "data/squad/dev-v1.1.json").path)
    var requests: [Request] = []
    while let paragraph = try reader.next() {
      requests += paragraph.questions.map { Request(question: $0.text, passage: paragraph.context) }
    }
    return requests
  }

  @Test func everyQuestion() async throws {
    let questions = try Self.questions.get()
    #expect(questions.count == 10_570)
    try await check(questions, "dev questions")
  }

  @Test func unicodeAnywhere() async throws {
    var generator = SplitMix64(seed: 4)
    let questions = try Self.questions.get()
    let requests = try (0..<5_000).map { _ in
      var request = try #require(questions.randomElement(using: &generator))
      var scalars = Array(request.passage.unicodeScalars)
      for _ in 0..<Int.random(in: 1...12, using: &generator) {
        let piece = try #require(Self.pieces.randomElement(using: &generator))
        scalars.insert(contentsOf: piece.unicodeScalars, at: Int.random(in: 0...scalars.count, using: &generator))
      }
      request.passage = String(String.UnicodeScalarView(scalars))
      return request
    }
    try await check(requests, "passages with Unicode at random places")
  }

  /// Emoji and their sequences, marks that combine, right to left, CJK, Hangul in parts, zero width, line ends, and what changes its
  /// length or vanishes in normalisation.
  private static let pieces = [
    "🎉", "👩‍👩‍👧‍👦", "🇿🇦", "👍🏽", "❤️", "1️⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "\u{301}", "\u{323}\u{307}", "e\u{301}", "é", "\u{20DD}", "\u{1AB0}", "שָׁלוֹם", "\u{200F}مرحبا\u{200E}",
    "\u{202E}", "日本語", "한국어", "\u{1112}\u{1161}\u{11AB}", "漢\u{FE00}", "\u{200B}", "\u{200C}", "\u{200D}", "\u{FEFF}", "\u{2060}",
    "\u{AD}", "\r\n", "\r", "\u{85}", "\u{2028}", "\t", "\u{A0}", "\u{3000}", "\0", "\u{7F}", "\u{FFFD}", "\u{E000}", "\u{10FFFF}", "ﬁ", "½", "Ǆ",
    "İ", "ẞ", "Å", "\u{212B}", "ǅ", "𝔘𝔫𝔦", "क्षि", "ไทย", "ཨོཾ", "[SEP]", "[CLS]",
  ]

  private func check(_ requests: [Request], _ name: String) async throws {
    let options = Options(topK: 3, maxAnswerLength: 30)
    var (answers, spans, scalarsBeyondASCII) = (0, 0, 0)
    // Windows are small, so that many passages take several.
    var narrow = options
    (narrow.maxSequenceLength, narrow.docStride, narrow.maxQuestionLength) = (128, 32, 40)
    for options in [options, narrow] {
      var number = 0
      for try await result in try Self.answerer.get().answers(to: requests.stream, options: options) {
        let passage = requests[number].passage
        number += 1
        let scalars = Array(passage.unicodeScalars)
        for span in try result.get().spans {
          // By bytes: Swift's strings are equal too where only their meaning is.
          let bytes = Array(span.text.utf8)
          let cut = String(String.UnicodeScalarView(scalars[span.scalarRange]))
          guard bytes == Array(passage[span.range].utf8), bytes == Array(cut.utf8), !bytes.isEmpty else {
            Issue.record("\(span.text.debugDescription) at \(span.scalarRange) of \(passage.debugDescription)")
            return
          }
          spans += 1
          scalarsBeyondASCII += cut.unicodeScalars.count { !$0.isASCII }
        }
      }
      answers += number
    }
    print("offsets: \(requests.count) \(name), \(answers) answers, \(spans) spans, \(scalarsBeyondASCII) scalars of them not ASCII")
    #expect(answers == 2 * requests.count && spans > answers)
  }
}

extension [Request] {
  /// One after the other.
  var stream: AsyncStream<Request> {
    AsyncStream { stream in
      for request in self { stream.yield(request) }
      stream.finish()
    }
  }
}
