import Encoder
import SpanQADefaultModel
import Testing

@testable import SpanQA

/// The answers are the same however windows are put into batches and whatever is padded: to the last bit in int8, and within rounding in
/// float32.
struct PaddingTests {
  /// Passages of one window and of several, in turn.
  private static let requests: [Request] = {
    let sentences = QuestionAnswererTests.passage.split(separator: ". ").map { $0 + ". " } + ["The café opened in 1924. "]
    let questions = ["Which country contains most of it?", "How much is in Peru?", "When did it open?", "How large is the basin?"]
    return (0..<24).map { index in
      let length = index % 6 == 5 ? 60 : 1 + index % 4
      return Request(
        question: questions[index % questions.count],
        passage: (0..<length).map { sentences[(index + $0) % sentences.count] }.joined())
    }
  }()

  private static let batches: [(name: String, tokenBudget: Int, padding: Padding)] = [
    ("one at a time", 1, .none), ("few", 500, .none), ("longest", 3072, .longest), ("fixed", 3072, .fixed(384)),
    ("fixed, one at a time", 1, .fixed(384)),
  ]

  private func answers(_ precision: Precision, tokenBudget: Int = 3072, padding: Padding = .none) async throws -> [Answer] {
    let engine = EngineOptions(precision: precision, tokenBudget: tokenBudget, padding: padding)
    return try await DefaultModel.questionAnswerer(engine: engine).answer(Self.requests, options: Options(topK: 3))
  }

  @Test func int8IsTheSameToTheLastBit() async throws {
    let packed = try await answers(.int8)
    for (name, tokenBudget, padding) in Self.batches {
      #expect(try await answers(.int8, tokenBudget: tokenBudget, padding: padding) == packed, "\(name)")
    }
  }

  @Test func float32IsTheSameWithinRounding() async throws {
    let packed = try await answers(.float32)
    var worst = (score: 0.0, logit: Float(0))
    for (name, tokenBudget, padding) in Self.batches {
      let found = try await answers(.float32, tokenBudget: tokenBudget, padding: padding)
      #expect(found.map { $0.spans.map(\.range) } == packed.map { $0.spans.map(\.range) }, "\(name)")
      for (found, packed) in zip(found, packed) {
        worst.score = max(worst.score, abs(found.noAnswerScore - packed.noAnswerScore))
        for (found, packed) in zip(found.spans, packed.spans) {
          worst.score = max(worst.score, abs(found.score - packed.score))
          worst.logit = max(worst.logit, abs(found.startLogit - packed.startLogit), abs(found.endLogit - packed.endLogit))
        }
      }
    }
    print("padding, float32: scores within \(worst.score), logits within \(worst.logit)")
    #expect(worst.score <= 1e-5 && worst.logit <= 1e-5)
  }
}
