import Encoder
import SQuAD
import Testing

@testable import SpanQA

/// Answers against those of transformers' question-answering pipeline with the same weights.
@Suite(.enabled(if: Shared.isThere, "needs ../shared"))
struct PipelineTests {
  @Test func oneWindow() throws {
    let (golden, dev, answerer) = (try PipelineGolden.read(), try Shared.dev.get(), try Shared.float32.get())
    var (compared, worst) = (0, 0.0)
    for item in golden.one {
      let request = try item.request(in: dev)
      for (alignToWords, expected) in [(true, item.words), (false, item.tokens)] {
        let answer = try answerer.answer(
          request.question, in: request.passage, options: Options(topK: 5, alignToWords: alignToWords))
        let found = answer.spans.map(PipelineGolden.Span.init)
        #expect(found.count == expected.count, "\(item.id)")
        for (found, expected) in zip(found, expected) {
          #expect(found.agrees(with: expected), "\(item.id), words \(alignToWords): \(found), not \(expected)")
          worst = max(worst, abs(found.score - expected.score))
          compared += 1
        }
        for span in answer.spans { #expect(request.passage[span.range] == span.text) }
      }
    }
    print("pipeline: \(golden.one.count) questions of one window, \(compared) spans, scores within \(worst)")
    #expect(compared > 0)
  }

  /// The pipeline ranks each window by itself, we all windows together. Where the answers differ, that must be the reason: ranking each
  /// window by itself must give the pipeline's.
  @Test func severalWindows() throws {
    let (golden, dev, answerer) = (try PipelineGolden.read(), try Shared.dev.get(), try Shared.float32.get())
    var (same, explained) = (0, [String]())
    for item in golden.several {
      let request = try item.request(in: dev)
      let answer = try answerer.answer(request.question, in: request.passage)
      guard let expected = item.tokens.first else { continue }
      if answer.text == expected.text && answer.scalarRange == expected.start..<expected.end {
        same += 1
        continue
      }
      let alone = try bestOfWindowsAlone(request, answerer)
      #expect(alone.start == expected.start && alone.end == expected.end, "\(item.id): \(alone), not \(expected)")
      explained.append("\(item.id): \(answer.text) (\(answer.score)); by window \(expected.text) (\(expected.score))")
    }
    print("pipeline: \(golden.several.count) passages of several windows, \(same) the same, \(explained.count) by ranking")
    for line in explained { print("  \(line)") }
    #expect(same + explained.count == golden.several.count && same > 0)
  }

  private func bestOfWindowsAlone(
    _ request: Request, _ answerer: QuestionAnswerer
  ) throws -> (start: Int, end: Int) {
    let passage = TokenizedPassage(request.passage, tokenizer: answerer.tokenizer)
    let windows = try WindowSequence(
      question: answerer.tokenizer.encode(request.question), passage: passage.encoding,
      classificationID: answerer.tokenizer.classificationID, separatorID: answerer.tokenizer.separatorID,
      options: Options().windowing)
    // As the pipeline does: every window's best five by itself; those that read the same are one, their scores added.
    var scores: [String: (span: RankedSpan, score: Double)] = [:]
    for window in windows {
      let output = try answerer.encoder.forward(PackedBatch([window.ids]))
      var decoder = SpanDecoder(
        passage: passage.encoding, text: passage.text, options: Options(topK: 5).decoding)
      decoder.add(
        window, startLogits: output.column(0, ofSequence: 0), endLogits: output.column(1, ofSequence: 0))
      for span in decoder.finish().spans {
        let text = passage.text[passage.range(utf8: span.utf8Range)].lowercased()
        scores[text, default: (span, 0)].score += span.score
      }
    }
    let range = scores.values.max { $0.score < $1.score }?.span.utf8Range ?? 0..<0
    return (
      passage.offsets.scalarOffset(utf8: range.lowerBound), passage.offsets.scalarOffset(utf8: range.upperBound)
    )
  }
}
