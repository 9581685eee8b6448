import ArgumentParser
import SQuAD

/// `spanqa score`
struct ScoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "score",
    abstract: "Scores a predictions file as SQuAD's official scripts do.",
    discussion: """
      The rules are those of the dataset's version, 1.1 or 2.0; the figures agree with the official scripts' to the last digit, and \
      --json names them as these do. Questions without a prediction score 0.
      """)

  @Option(help: ArgumentHelp("SQuAD 1.1 or 2.0 JSON, or JSONL of id, question, context and answers.", valueName: "file"))
  var dataset: String

  @Option(help: ArgumentHelp(#"A JSON object {"id": "answer", …}, an empty answer for none."#, valueName: "file"))
  var predictions: String

  @Option(
    help: ArgumentHelp(
      #"A JSON object {"id": 0.25, …}: how likely it is that there is no answer. Gives the best thresholds (version 2.0)."#,
      valueName: "file"))
  var naProbabilities: String?

  @Option(help: "A question with a greater no-answer probability counts as predicted to have none.")
  var naThreshold = 1.0

  @Option(
    help: ArgumentHelp("Where the precision-recall curves go, as JSON (needs --na-probabilities).", valueName: "file"))
  var precisionRecall: String?

  @Flag(help: "Print a JSON object.")
  var json = false

  func validate() throws {
    if precisionRecall != nil && naProbabilities == nil {
      throw ValidationError("--precision-recall needs --na-probabilities")
    }
  }

  func run() throws {
    if let precisionRecall { try Output.checkWritable(precisionRecall) }
    let predictions = try QuestionValues(predictions: self.predictions)
    let probabilities = try naProbabilities.map { try QuestionValues(noAnswerProbabilities: $0) }
    var evaluation = Evaluation(version: try DatasetOverview(path: dataset).version)
    let reader = try DatasetReader(path: dataset)
    while let paragraph = try reader.next() {
      for question in paragraph.questions { evaluation.add(question, prediction: predictions[question.id]) }
    }
    let report = try evaluation.report(noAnswerProbabilities: probabilities, threshold: naThreshold)
    if let first = report.missing.first {
      let count = report.missing.count
      try Output.write(
        "spanqa: \(count) of \(report.overall.total) questions have no prediction and score 0; the first is \(first)",
        to: .standardError)
    }
    if let precisionRecall { try Output.write(report.curves.text + "\n", toFile: precisionRecall) }
    if json {
      try Output.write(JSON.object(report.members).text)
    } else {
      for line in Table.lines(report.rows) { try Output.write(line) }
    }
  }
}

extension EvaluationReport {
  /// The figures under the names that the official scripts give them.
  var members: [(String, JSON)] {
    func members(_ scores: Scores?, _ prefix: String, exact: String = "exact") -> [(String, JSON)] {
      guard let scores else { return [] }
      return [
        (prefix + exact, .number(scores.exact)), (prefix + "f1", .number(scores.f1)),
        (prefix + "total", .integer(scores.total)),
      ]
    }
    if version == .v1 { return members(overall, "", exact: "exact_match") }
    var result = members(overall, "") + members(hasAnswer, "HasAns_") + members(noAnswer, "NoAns_")
    for (name, best) in [("best_exact", bestExact), ("best_f1", bestF1)] {
      guard let best else { continue }
      result += [(name, .number(best.score)), (name + "_thresh", .number(best.threshold))]
    }
    for (name, curve) in [("pr_exact_ap", exactCurve), ("pr_f1_ap", f1Curve), ("pr_oracle_ap", oracleCurve)] {
      if let curve { result.append((name, .number(curve.averagePrecision))) }
    }
    return result
  }

  /// The same for a person.
  var rows: [(String, String)] {
    func rows(_ scores: Scores?, _ prefix: String) -> [(String, String)] {
      guard let scores else { return [] }
      return [(prefix + "EM", "\(scores.exact)"), (prefix + "F1", "\(scores.f1)")]
    }
    var result = rows(overall, "") + rows(hasAnswer, "HasAns ") + rows(noAnswer, "NoAns ")
    for (name, best) in [("best EM", bestExact), ("best F1", bestF1)] {
      guard let best else { continue }
      result.append((name, "\(best.score) at no-answer threshold \(best.threshold)"))
    }
    return result + [("questions", "\(overall.total)")]
  }

  /// The precision-recall curves: each with its area and its points, `[recall, precision]`.
  var curves: JSON {
    .object(
      [("exact", exactCurve), ("f1", f1Curve), ("oracle", oracleCurve)].compactMap { name, curve in
        guard let curve else { return nil }
        return (
          name,
          .object([
            ("average_precision", .number(curve.averagePrecision)),
            ("points", .array(curve.points.map { .array([.number($0.recall), .number($0.precision)]) })),
          ])
        )
      })
  }
}

/// Names and values in two columns.
enum Table {
  static func lines(_ rows: [(String, String)]) -> [String] {
    let width = rows.map(\.0.count).max() ?? 0
    return rows.map { $0.0 + String(repeating: " ", count: width + 2 - $0.0.count) + $0.1 }
  }
}
