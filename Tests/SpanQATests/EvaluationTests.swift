import Foundation
import SQuAD
import Testing

@testable import SpanQA

/// Answers and scores against those of transformers' own postprocessing of ONNX Runtime's logits, with the same float32 file.
@Suite(.enabled(if: Shared.isThere, "needs ../shared"))
struct EvaluationTests {
  /// See `make_evaluation.py`.
  private struct Golden: Decodable {
    var exact_match, f1: Double
    var predictions: [String]
  }

  /// The greatest difference of two sums of logits that rounding explains: ONNX Runtime's logits and ours are within 1e-4 of each other.
  private static let rounding = 4e-4

  @Test func asTransformersAnswers() async throws {
    let golden = try JSONDecoder().decode(
      Golden.self, from: Data(contentsOf: Shared.goldens.appending(path: "evaluation.json")))
    let reader = try DatasetReader(path: Shared.folder.appending(path: "data/squad/dev-v1.1.json").path)
    var asked: [(request: Request, question: Paragraph.Question, expected: String)] = []
    var (number, evaluations) = (0, (ours: Evaluation(version: .v1), reference: Evaluation(version: .v1)))
    while let paragraph = try reader.next() {
      for question in paragraph.questions {
        // A fixed sample; the whole set takes minutes.
        if Shared.testsWholeSets || number % 50 == 0 {
          let request = Request(question: question.text, passage: paragraph.context)
          asked.append((request, question, golden.predictions[number]))
        }
        number += 1
      }
    }
    #expect(number == golden.predictions.count)
    let answerer = try Shared.float32.get()
    let options = Options(maxAnswerLength: 30)
    let answers = try await answerer.answer(asked.map(\.request), options: options)
    var differences = 0
    for ((request, question, expected), answer) in zip(asked, answers) {
      evaluations.ours.add(question, prediction: answer.text)
      evaluations.reference.add(question, prediction: expected)
      if Array(answer.text.utf8) == Array(expected.utf8) { continue }
      differences += 1
      // The only cause there may be: two spans whose sums of logits are as good as equal.
      var ranked = options
      ranked.topK = 20
      let theirs = try answerer.answer(request.question, in: request.passage, options: ranked).spans.first { $0.text == expected }
      let gap = theirs.map { answer.best.sum - $0.sum } ?? .infinity
      print("\(question.id): “\(answer.text)”, theirs “\(expected)”, whose sum of logits is less by \(gap)")
      #expect(gap <= Self.rounding, "\(question.id)")
    }
    let (ours, reference) = (try evaluations.ours.report().overall, try evaluations.reference.report().overall)
    print(
      """
      as transformers: \(asked.count) questions, \(differences) answers differ; EM \(ours.exact), theirs \(reference.exact); \
      F1 \(ours.f1), theirs \(reference.f1)
      """)
    #expect(Double(differences) <= 0.002 * Double(asked.count))
    #expect(abs(ours.exact - reference.exact) <= 0.05 && abs(ours.f1 - reference.f1) <= 0.05)
    if Shared.testsWholeSets { #expect(reference.exact == golden.exact_match && reference.f1 == golden.f1) }
  }
}

extension Answer.Span {
  /// What spans are ranked by.
  fileprivate var sum: Double { Double(startLogit) + Double(endLogit) }
}
