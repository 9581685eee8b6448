/// What SQuAD's official scripts print, and the curves that they draw. Scores are percentages.
public struct EvaluationReport: Sendable, Equatable {
  /// The scores of some of the questions.
  public struct Scores: Sendable, Equatable {
    /// Answers that are a gold answer after normalisation.
    public var exact: Double
    /// The mean overlap of words with the nearest gold answer.
    public var f1: Double
    /// How many questions.
    public var total: Int
  }

  /// The best score that a threshold on the no-answer probability can reach, and the least such threshold.
  public struct BestThreshold: Sendable, Equatable {
    public var score: Double
    public var threshold: Double
  }

  /// Precision against recall as the threshold rises.
  public struct PrecisionRecall: Sendable, Equatable {
    public struct Point: Sendable, Equatable {
      public var precision: Double
      public var recall: Double
    }

    /// The area under the curve, a percentage.
    public var averagePrecision: Double
    public var points: [Point]
  }

  public var version: Evaluation.Version
  public var overall: Scores
  /// The questions that have an answer (`HasAns`); version 2.0 only, and nil where there is none.
  public var hasAnswer: Scores?
  /// The questions that have none (`NoAns`).
  public var noAnswer: Scores?
  public var bestExact: BestThreshold?
  public var bestF1: BestThreshold?
  public var exactCurve: PrecisionRecall?
  public var f1Curve: PrecisionRecall?
  /// What a system would reach whose answers are all right and whose probabilities are these.
  public var oracleCurve: PrecisionRecall?
  /// Questions without a prediction, in the dataset's order.
  public var missing: [String]

  init(version: Evaluation.Version, overall: Scores, missing: [String]) {
    self.version = version
    self.overall = overall
    self.missing = missing
  }
}
