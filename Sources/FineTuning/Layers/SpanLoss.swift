#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The loss of start and end logits, as transformers' `DistilBertForQuestionAnswering` has it: the mean of two cross-entropies over a
/// window's tokens, each the mean over the windows whose position is not ignored.
///
/// A position outside its window (transformers' `ignored_index`) is ignored; a negative one counts as 0. Tokens are the only
/// candidates: no padding takes part.
public struct SpanLoss: Sendable {
  /// How much of a target is spread evenly over all tokens (Szegedy et al. 2016).
  public var labelSmoothing: Float
  /// How a teacher's logits are learned (Hinton et al. 2015): the loss becomes
  /// (1 − weight) · cross-entropy + weight · T² · KL(softmax(teacher / T) ‖ softmax(student / T)).
  public var distillation: Distillation?

  public struct Distillation: Sendable, Equatable {
    public var temperature: Float
    public var weight: Float

    public init(temperature: Float = 2, weight: Float = 0.5) {
      self.temperature = temperature
      self.weight = weight
    }
  }

  public init(labelSmoothing: Float = 0, distillation: Distillation? = nil) {
    self.labelSmoothing = labelSmoothing
    self.distillation = distillation
  }

  /// How many windows count in a step, over which the mean is taken.
  public struct Counts: Sendable, Equatable {
    /// Windows whose start and whose end lies inside.
    public var starts = 0
    public var ends = 0
    public var windows = 0

    public init() {}

    public mutating func add(_ target: TrainingBatch.Target, length: Int) {
      windows += 1
      if target.start < length { starts += 1 }
      if target.end < length { ends += 1 }
    }
  }

  /// A batch's share of the step's loss; `logits` `[tokens, 2]` become ∂loss/∂logits.
  func lossAndGradient(_ logits: Matrix, batch: TrainingBatch, counts: Counts) -> Double {
    var loss = 0.0
    for sequence in 0..<batch.windowCount {
      let rows = batch.tokens.rows(ofSequence: sequence)
      let target = batch.targets[sequence]
      for (column, position, count) in [(0, target.start, counts.starts), (1, target.end, counts.ends)] {
        loss += lossAndGradient(
          logits, rows: rows, column: column, target: max(0, position), count: count, windows: counts.windows, batch: batch)
      }
    }
    return loss
  }

  /// One window's start or end. With p = softmax(z) and q the target distribution: loss = −Σ q · log p, dz = p − q.
  private func lossAndGradient(
    _ logits: Matrix, rows: Range<Int>, column: Int, target: Int, count: Int, windows: Int, batch: TrainingBatch
  ) -> Double {
    let student = rows.map { Double(logits[$0][column]) }
    var gradient = [Double](repeating: 0, count: rows.count)
    var loss = 0.0
    let isDistilled = distillation != nil && !batch.teacherLogits.isEmpty
    let hardShare = isDistilled ? 1 - Double(distillation?.weight ?? 0) : 1

    if target < rows.count {
      let factor = hardShare / 2 / Double(count)
      let logs = Self.logSoftmax(student)
      let (spread, rest) = (Double(labelSmoothing) / Double(rows.count), 1 - Double(labelSmoothing))
      for i in logs.indices {
        let q = spread + (i == target ? rest : 0)
        loss -= factor * q * logs[i]
        gradient[i] += factor * (exp(logs[i]) - q)
      }
    }
    if isDistilled, let distillation {
      let t = Double(distillation.temperature)
      let factor = Double(distillation.weight) * t * t / 2 / Double(windows)
      let logs = Self.logSoftmax(student.map { $0 / t })
      let teacher = Self.logSoftmax(rows.map { Double(batch.teacherLogits[$0 * 2 + column]) / t })
      for i in logs.indices {
        let q = exp(teacher[i])
        loss += factor * q * (teacher[i] - logs[i])
        gradient[i] += factor * (exp(logs[i]) - q) / t
      }
    }
    for (row, value) in zip(rows, gradient) { logits[row][column] = Float(value) }
    return loss
  }

  private static func logSoftmax(_ z: [Double]) -> [Double] {
    let largest = z.max() ?? 0
    let total = log(z.reduce(0) { $0 + exp($1 - largest) })
    return z.map { $0 - largest - total }
  }
}
