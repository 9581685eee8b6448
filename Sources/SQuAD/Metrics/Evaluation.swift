/// Scores predictions as SQuAD's official scripts do, to the last digit: the same formulas, summed in the same order.
///
/// Questions are added in the dataset's order; what is kept of each is a few numbers and its id.
public struct Evaluation: Sendable {
  /// Whose rules count.
  public enum Version: Sendable, Equatable {
    /// `evaluate-v1.1.py`.
    case v1
    /// `evaluate-v2.0.py`: a question may have no answer, and predicting "" is right then.
    case v2
  }

  private struct Item {
    var id: String
    var exact: Double
    var f1: Double
    var hasAnswer: Bool
    var predictsAnswer: Bool
    var isMissing: Bool
  }

  public let version: Version
  private var items: [Item] = []

  public init(version: Version) {
    self.version = version
  }

  /// Scores one question. Without a prediction it scores 0 and is listed as missing. (Version 2.0's script fails then;
  /// version 1.1's does this.)
  public mutating func add(_ question: Paragraph.Question, prediction: String?) {
    var item = Item(
      id: question.id, exact: 0, f1: 0, hasAnswer: !question.answers.isEmpty,
      predictsAnswer: prediction?.isEmpty == false, isMissing: prediction == nil)
    if let prediction {
      let predicted = NormalizedAnswer(prediction)
      var golds = question.answers.map { NormalizedAnswer($0.text) }
      if version == .v2 {
        golds.removeAll { $0.words.isEmpty }
        if golds.isEmpty { golds = [NormalizedAnswer("")] }
      }
      for gold in golds {
        item.exact = max(item.exact, predicted == gold ? 1 : 0)
        let isEmpty = gold.words.isEmpty || predicted.words.isEmpty
        item.f1 = max(item.f1, version == .v2 && isEmpty ? (predicted == gold ? 1 : 0) : predicted.f1(gold: gold))
      }
    }
    items.append(item)
  }

  /// The scores of what has been added.
  ///
  /// With no-answer probabilities (version 2.0) a question with more than `threshold` counts as predicted to have no
  /// answer, and the report has the best thresholds and the precision-recall curves.
  ///
  /// - Throws: `DatasetError.missingProbability` if a question with a prediction has no probability.
  public func report(
    noAnswerProbabilities: QuestionValues<Double>? = nil, threshold: Double = 1
  ) throws(DatasetError) -> EvaluationReport {
    var judged = items
    if version == .v2, let noAnswerProbabilities {
      for (index, item) in items.enumerated() where !item.isMissing {
        guard let probability = noAnswerProbabilities[item.id] else { throw .missingProbability(id: item.id) }
        guard probability > threshold else { continue }
        judged[index].exact = item.hasAnswer ? 0 : 1
        judged[index].f1 = judged[index].exact
      }
    }
    var report = EvaluationReport(
      version: version, overall: scores(judged), missing: items.filter(\.isMissing).map(\.id))
    guard version == .v2 else { return report }
    let hasAnswer = judged.filter(\.hasAnswer)
    let noAnswer = judged.filter { !$0.hasAnswer }
    if !hasAnswer.isEmpty { report.hasAnswer = scores(hasAnswer) }
    if !noAnswer.isEmpty { report.noAnswer = scores(noAnswer) }
    if let noAnswerProbabilities {
      let ranked = ranked(by: noAnswerProbabilities)
      report.bestExact = bestThreshold(ranked, of: \.exact)
      report.bestF1 = bestThreshold(ranked, of: \.f1)
      if !hasAnswer.isEmpty {
        report.exactCurve = curve(ranked, of: \.exact)
        report.f1Curve = curve(ranked, of: \.f1)
        report.oracleCurve = curve(ranked) { $0.hasAnswer ? 1 : 0 }
      }
    }
    return report
  }

  private func scores(_ items: [Item]) -> EvaluationReport.Scores {
    // One after another, as the scripts add: another order gives other last digits.
    var exact = 0.0
    var f1 = 0.0
    for item in items {
      exact += item.exact
      f1 += item.f1
    }
    let total = Double(max(items.count, 1))
    return EvaluationReport.Scores(exact: 100 * exact / total, f1: 100 * f1 / total, total: items.count)
  }

  /// The questions by rising probability; equal ones in the order of the probabilities' file.
  private func ranked(by probabilities: QuestionValues<Double>) -> [(item: Item, probability: Double)] {
    var places: [ExactString: Int] = [:]
    for (index, item) in items.enumerated() where !item.isMissing { places[ExactString(item.id)] = index }
    var found: [(item: Item, probability: Double, order: Int)] = []
    for id in probabilities.ids {
      guard let place = places[ExactString(id)], let probability = probabilities[id] else { continue }
      found.append((items[place], probability, found.count))
    }
    return found.sorted { ($0.probability, $0.order) < ($1.probability, $1.order) }.map { ($0.item, $0.probability) }
  }

  /// The threshold under which the score over all questions is greatest.
  private func bestThreshold(
    _ ranked: [(item: Item, probability: Double)], of score: (Item) -> Double
  ) -> EvaluationReport.BestThreshold {
    var current = Double(items.count { !$0.hasAnswer })
    var best = current
    var threshold = 0.0
    for (item, probability) in ranked {
      current += item.hasAnswer ? score(item) : item.predictsAnswer ? -1 : 0
      if current > best {
        best = current
        threshold = probability
      }
    }
    return EvaluationReport.BestThreshold(score: 100 * best / Double(max(items.count, 1)), threshold: threshold)
  }

  private func curve(
    _ ranked: [(item: Item, probability: Double)], of score: (Item) -> Double
  ) -> EvaluationReport.PrecisionRecall {
    let possible = Double(items.count { $0.hasAnswer })
    var result = EvaluationReport.PrecisionRecall(averagePrecision: 0, points: [.init(precision: 1, recall: 0)])
    var found = 0.0
    var area = 0.0
    var lastRecall = 0.0
    for (index, entry) in ranked.enumerated() {
      if entry.item.hasAnswer { found += score(entry.item) }
      // A threshold can stand only between different probabilities.
      if index + 1 < ranked.count, ranked[index + 1].probability == entry.probability { continue }
      let precision = found / Double(index + 1)
      let recall = found / possible
      area += precision * (recall - lastRecall)
      lastRecall = recall
      result.points.append(.init(precision: precision, recall: recall))
    }
    result.averagePrecision = 100 * area
    return result
  }
}
