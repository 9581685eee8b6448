/// The learning rate of each step: up from 0 in a line while warming up, then down in a line to 0 (transformers'
/// `get_linear_schedule_with_warmup`).
public struct LearningRateSchedule: Sendable, Equatable {
  public var peak: Double
  public var warmupSteps: Int
  public var totalSteps: Int

  public init(peak: Double, warmupSteps: Int, totalSteps: Int) {
    self.peak = peak
    self.warmupSteps = warmupSteps
    self.totalSteps = totalSteps
  }

  /// The rate of step `step`, counted from 0.
  public func rate(step: Int) -> Double {
    if step < warmupSteps { return peak * Double(step) / Double(max(1, warmupSteps)) }
    return peak * max(0, Double(totalSteps - step) / Double(max(1, totalSteps - warmupSteps)))
  }
}
