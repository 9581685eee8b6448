import Testing

@testable import SQuAD

struct QuestionValuesTests {
  /// As in Python, ids that Unicode holds for the same are two.
  @Test func equivalentIDsAreApart() throws {
    var values = QuestionValues<Double>()
    values["\u{E9}"] = 0.25
    values["e\u{301}"] = 0.75
    #expect(values["\u{E9}"] == 0.25 && values["e\u{301}"] == 0.75 && values.ids.count == 2)
    var evaluation = Evaluation(version: .v2)
    for (id, prediction) in [("\u{E9}", "x"), ("e\u{301}", "y")] {
      evaluation.add(Paragraph.Question(id: id, text: "?", answers: [Paragraph.Answer(text: "x")]), prediction: prediction)
    }
    let report = try evaluation.report(noAnswerProbabilities: values)
    #expect(report.bestExact == EvaluationReport.BestThreshold(score: 50, threshold: 0.25))
    #expect(report.exactCurve?.points.count == 3)
  }
}
