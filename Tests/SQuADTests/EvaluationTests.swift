import Testing

@testable import SQuAD

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct EvaluationTests {
  /// What the official scripts give for predictions published with the leaderboard.
  struct Published: Sendable, CustomTestStringConvertible {
    var name: String
    var version: Evaluation.Version
    var exact: Double
    var f1: Double
    var hasAnswer: (exact: Double, f1: Double)?
    var noAnswer: Double?
    var missing = 0

    var testDescription: String { name }

    static let all = [
      Published(name: "v1.1-bert-ensemble", version: .v1, exact: 86.20624408703878, f1: 92.19557978351145),
      Published(
        name: "v1.1-logistic-regression", version: .v1, exact: 40.14191106906339, f1: 50.98153647324461, missing: 13),
      Published(name: "v1.1-match-lstm", version: .v1, exact: 67.63481551561021, f1: 76.75556184979695),
      Published(name: "v1.1-slqa-ensemble", version: .v1, exact: 81.94891201513718, f1: 88.38386312172166),
      Published(name: "v1.1-rnet-ensemble", version: .v1, exact: 82.46925260170293, f1: 88.47785965423249),
      Published(
        name: "v2.0-bert-single", version: .v2, exact: 78.74168280973637, f1: 81.77528052374723,
        hasAnswer: (74.10593792172739, 80.181832938335), noAnswer: 83.36417157275021),
      Published(
        name: "v2.0-bidaf-elmo", version: .v2, exact: 65.70369746483618, f1: 67.87648921451334,
        hasAnswer: (61.42037786774629, 65.77219238257679), noAnswer: 69.97476871320437),
      // 9,003 of 11,873; the table beside the data has a slip in the eighth decimal.
      Published(
        name: "v2.0-nlnet", version: .v2, exact: 75.82750779078582, f1: 78.77776770381459,
        hasAnswer: (69.61875843454791, 75.52773885752178), noAnswer: 82.01850294365012),
    ]
  }

  @Test(.enabled(if: Repository.hasShared, "needs ../shared"), arguments: Published.all)
  func publishedPredictionsScoreWhatTheOfficialScriptsGive(_ published: Published) throws {
    let folder = Repository.shared.appendingPathComponent("data/squad")
    let predictions = try QuestionValues<String>(
      predictions: folder.appendingPathComponent("reference-predictions/\(published.name).json").path)
    let reader = try DatasetReader(
      path: folder.appendingPathComponent(published.version == .v1 ? "dev-v1.1.json" : "dev-v2.0.json").path)
    var evaluation = Evaluation(version: published.version)
    while let paragraph = try reader.next() {
      for question in paragraph.questions { evaluation.add(question, prediction: predictions[question.id]) }
    }
    let report = try evaluation.report()
    #expect(report.overall.total == (published.version == .v1 ? 10_570 : 11_873))
    #expect(report.overall.exact == published.exact)
    #expect(report.overall.f1 == published.f1)
    #expect(report.hasAnswer?.exact == published.hasAnswer?.exact)
    #expect(report.hasAnswer?.f1 == published.hasAnswer?.f1)
    #expect(report.noAnswer?.exact == published.noAnswer)
    #expect(report.noAnswer?.f1 == published.noAnswer)
    #expect(report.missing.count == published.missing)
  }

  @Test func normalisesAsPythonDoes() throws {
    let golden = try Golden.read()
    for (text, words) in golden.normalized {
      #expect(NormalizedAnswer(text).words == words.map { Array($0.utf8) }, "\(text.debugDescription)")
    }
    #expect(golden.normalized.count == 400)
    print("compared \(golden.normalized.count) normalised answers with Python")
  }

  @Test func thresholdsAreTheScripts() throws {
    let golden = try Golden.read()
    var evaluation = Evaluation(version: .v2)
    var given: [String: Double] = [:]
    for question in golden.questions {
      evaluation.add(
        Paragraph.Question(id: question.id, text: "?", answers: question.golds.map { Paragraph.Answer(text: $0) }),
        prediction: question.prediction)
      given[question.id] = question.probability
    }
    var probabilities = QuestionValues<Double>()
    for id in golden.order { probabilities[id] = given[id] }
    let report = try evaluation.report(noAnswerProbabilities: probabilities, threshold: 0.6)
    let expected = golden.report
    #expect(report.overall.exact == expected["exact"])
    #expect(report.overall.f1 == expected["f1"])
    #expect(report.hasAnswer?.exact == expected["HasAns_exact"])
    #expect(report.hasAnswer?.f1 == expected["HasAns_f1"])
    #expect(report.noAnswer?.exact == expected["NoAns_exact"])
    #expect(report.noAnswer?.f1 == expected["NoAns_f1"])
    #expect(report.bestExact?.score == expected["best_exact"])
    #expect(report.bestExact?.threshold == expected["best_exact_thresh"])
    #expect(report.bestF1?.score == expected["best_f1"])
    #expect(report.bestF1?.threshold == expected["best_f1_thresh"])
  }

  @Test func precisionRecallByHand() throws {
    var evaluation = Evaluation(version: .v2)
    var probabilities = QuestionValues<Double>()
    // Right, wrong, right, and one without an answer; the middle two cannot be told apart.
    for (id, gold, prediction, probability) in [
      ("a", "x", "x", 0.1), ("b", "x", "y", 0.5), ("c", "x", "x", 0.5), ("d", "", "z", 0.9),
    ] {
      evaluation.add(
        Paragraph.Question(id: id, text: "?", answers: gold.isEmpty ? [] : [Paragraph.Answer(text: gold)]),
        prediction: prediction)
      probabilities[id] = probability
    }
    let report = try evaluation.report(noAnswerProbabilities: probabilities)
    let curve = try #require(report.exactCurve)
    let third: Double = 1 / 3
    let precisions: [Double] = [1, 1, 2 * third, 0.5]
    let recalls: [Double] = [0, third, 2 * third, 2 * third]
    #expect(curve.points.map(\.precision) == precisions)
    #expect(curve.points.map(\.recall) == recalls)
    #expect(abs(curve.averagePrecision - 500 * third / 3) < 1e-12)
    #expect(report.oracleCurve?.points.last == .init(precision: 0.75, recall: 1))
    #expect(report.bestExact == EvaluationReport.BestThreshold(score: 75, threshold: 0.5))
  }

  @Test func aPredictionWithoutProbabilityIsAnError() throws {
    var evaluation = Evaluation(version: .v2)
    evaluation.add(Paragraph.Question(id: "a", text: "?"), prediction: "")
    #expect(throws: DatasetError.missingProbability(id: "a")) {
      try evaluation.report(noAnswerProbabilities: QuestionValues<Double>())
    }
    #expect(try Evaluation(version: .v1).report().overall.total == 0)
  }
}

/// What make_metrics.py wrote.
private struct Golden: Decodable {
  struct Question: Decodable {
    let id: String
    let golds: [String]
    let prediction: String
    let probability: Double

    init(from decoder: any Decoder) throws {
      var values = try decoder.unkeyedContainer()
      id = try values.decode(String.self)
      golds = try values.decode([String].self)
      prediction = try values.decode(String.self)
      probability = try values.decode(Double.self)
    }
  }

  struct Normalized: Decodable {
    let text: String
    let words: [String]

    init(from decoder: any Decoder) throws {
      var values = try decoder.unkeyedContainer()
      text = try values.decode(String.self)
      words = try values.decode([String].self)
    }
  }

  private enum CodingKeys: String, CodingKey {
    case normalizedTexts = "normalized"
    case questions, order, report
  }

  private let normalizedTexts: [Normalized]
  let questions: [Question]
  let order: [String]
  let report: [String: Double]

  var normalized: [(String, [String])] { normalizedTexts.map { ($0.text, $0.words) } }

  static func read() throws -> Golden {
    let data = try Data(contentsOf: Repository.goldens.appendingPathComponent("metrics.json"))
    return try JSONDecoder().decode(Golden.self, from: data)
  }
}
