import Encoder
import Kernels
import Observation
import SpanQA

/// When what ran, in one pass of a model.
public struct PassTimeline: Sendable {
  /// How long the pass took, from its call to its return.
  public let duration: Duration
  public let operations: [ObservedOperation]
  /// When each thread worked, from the beginning of the pass.
  public let threads: [ThreadSpan]
  public let memory: [ObservedRegion]

  /// Runs `batch` some times and keeps the shortest run: the first ones grow the workspace and wake the threads.
  public init(of model: ModelRunner, batch: PackedBatch, runs: Int = 5) throws {
    var best: PassTimeline?
    for _ in 0..<max(1, runs) {
      let timeline = try PassTimeline(once: model, batch)
      if best.map({ timeline.duration < $0.duration }) ?? true { best = timeline }
    }
    self = try best ?? PassTimeline(once: model, batch)
  }

  private init(once model: ModelRunner, _ batch: PackedBatch) throws {
    var operations: [ObservedOperation] = []
    var memory: [ObservedRegion] = []
    let observer = Observer(operation: { operations.append($0) }, memory: { memory = $0 })
    let clock = ContinuousClock()
    let (_, threads) = try ThreadPool.shared.recording(since: observer.origin) { try model.forward(batch, observer: observer) }
    duration = clock.now - observer.origin
    self.operations = operations
    self.memory = memory
    self.threads = threads
  }
}
