import Encoder
import Kernels

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Trains a model step by step. Everything that a step does follows from the options, the examples and the step's number, so that a run
/// that was stopped and resumed gives the same bits as one that was not.
public final class Trainer {
  public struct Options: Sendable {
    public var epochs: Double
    /// Windows that go through the network together, at most.
    public var batchSize: Int
    /// How many such batches make a step; its loss is the mean over all their windows.
    public var accumulation: Int
    /// The most tokens that go through the network at once, which bounds the memory; a batch with more is computed in parts.
    public var tokenBudget: Int
    public var learningRate: Double
    /// The share of all steps in which the rate rises.
    public var warmup: Double
    public var optimizer: AdamW.Options
    /// The largest norm of a step's gradient; `nil`: any.
    public var clipping: Double?
    public var dropout: DropoutProbabilities
    public var loss: SpanLoss
    public var seed: UInt64
    /// Whether the examples come in an order that the seed decides, another one in each epoch.
    public var shuffles: Bool
    public var recomputes: Bool
    /// How many threads compute; `nil`: as many as this process may use. Changes no bit.
    public var threads: Int?

    public init(
      epochs: Double = 2, batchSize: Int = 16, accumulation: Int = 1, tokenBudget: Int = 4096, learningRate: Double = 3e-5,
      warmup: Double = 0.1, optimizer: AdamW.Options = AdamW.Options(), clipping: Double? = 1, dropout: DropoutProbabilities = DropoutProbabilities(),
      loss: SpanLoss = SpanLoss(), seed: UInt64 = 0, shuffles: Bool = true, recomputes: Bool = false, threads: Int? = nil
    ) {
      self.epochs = epochs
      self.batchSize = batchSize
      self.accumulation = accumulation
      self.tokenBudget = tokenBudget
      self.learningRate = learningRate
      self.warmup = warmup
      self.optimizer = optimizer
      self.clipping = clipping
      self.dropout = dropout
      self.loss = loss
      self.seed = seed
      self.shuffles = shuffles
      self.recomputes = recomputes
      self.threads = threads
    }

    var windowsInStep: Int { batchSize * accumulation }
  }

  /// What a step did.
  public struct Step: Sendable, Equatable {
    /// Counted from 1.
    public var number: Int
    public var loss: Double
    public var learningRate: Double
    public var gradientNorm: Double
    public var tokens: Int
  }

  /// Gives a teacher's logits `[tokens, 2]` for a batch.
  public typealias Teacher = (PackedBatch) throws -> [Float]

  public let options: Options
  public let parameters: Parameters
  public let totalSteps: Int
  public let stepsInEpoch: Int
  /// All that the steps depend on, a line for each: a run may be resumed by a trainer of the same identity. Threads and recomputation,
  /// which change no bit, are not in it.
  public let identity: String
  let optimizer: AdamW
  private let examples: [TrainingSet.Example]
  private let network: Network
  private let gradients: Gradients
  private let schedule: LearningRateSchedule
  private let teacher: Teacher?
  private var order: (epoch: Int, examples: [Int])?
  private var lossAverage: Double?
  private let worstLoss: Double

  /// - Parameters:
  ///   - frozen: whether a parameter keeps its values, by its name in transformers.
  ///   - teacher: for `options.loss.distillation`.
  /// - Throws: `KernelSetError`; `TrainingError` where everything is frozen.
  public init(
    _ parameters: Parameters, examples: [TrainingSet.Example], options: Options,
    frozen: (String) -> Bool = { _ in false }, teacher: Teacher? = nil
  ) throws {
    self.parameters = parameters
    self.examples = examples
    self.options = options
    self.teacher = teacher
    network = try Network(parameters.table, threads: options.threads, recomputes: options.recomputes)
    gradients = Gradients(table: parameters.table) { !frozen($0.name) }
    guard gradients.isTrained.contains(true) else { throw TrainingError.everythingFrozen }
    optimizer = AdamW(parameters.table, options: options.optimizer, threads: options.threads)
    stepsInEpoch = (examples.count + options.windowsInStep - 1) / options.windowsInStep
    totalSteps = max(1, Int((options.epochs * Double(stepsInEpoch)).rounded()))
    schedule = LearningRateSchedule(
      peak: options.learningRate, warmupSteps: Int((options.warmup * Double(totalSteps)).rounded(.up)), totalSteps: totalSteps)
    // Guessing evenly costs the logarithm of a window's length.
    let longest = examples.reduce(1) { max($0, $1.ids.count) }
    worstLoss = 2 * log(Double(longest)) + 2
    identity = Self.identity(parameters, examples: examples, options: options, isTrained: gradients.isTrained)
  }

  private static func identity(
    _ parameters: Parameters, examples: [TrainingSet.Example], options: Options, isTrained: [Bool]
  ) -> String {
    var (model, data) = (Digest(), Digest())
    model.add(UnsafeRawBufferPointer(parameters.values.floats))
    for example in examples {
      example.ids.withUnsafeBytes { data.add($0) }
      data.add(UInt64(bitPattern: Int64(example.target.start)))
      data.add(UInt64(bitPattern: Int64(example.target.end)))
    }
    let frozen = zip(parameters.table.entries, isTrained).filter { !$1 }.map(\.0.name)
    return """
      model \(model)
      windows \(examples.count), \(data)
      epochs \(options.epochs)
      batch \(options.batchSize), accumulation \(options.accumulation), tokens \(options.tokenBudget)
      rate \(options.learningRate), warm-up \(options.warmup)
      optimizer \(options.optimizer)
      clipping \(options.clipping.map { "\($0)" } ?? "none")
      dropout \(options.dropout)
      loss \(options.loss)
      seed \(options.seed), shuffled \(options.shuffles)
      frozen \(frozen.joined(separator: " "))
      """
  }

  /// Steps taken so far.
  public var step: Int { optimizer.step }
  public var isFinished: Bool { step >= totalSteps }
  /// Passes over the examples so far.
  public var epoch: Double { Double(step) / Double(stepsInEpoch) }

  /// Takes a step.
  ///
  /// - Throws: `TrainingError.diverged` where loss or gradient is not finite, or the loss has long been worse than guessing. The
  ///   parameters are then those before the step.
  public func takeStep() throws -> Step {
    let numbers = examplesOfStep(step)
    var counts = SpanLoss.Counts()
    for number in numbers { counts.add(examples[number].target, length: examples[number].ids.count) }

    gradients.clear()
    var (loss, tokens) = (0.0, 0)
    for batch in try batches(numbers) {
      loss += try network.addGradients(
        of: batch, loss: options.loss, counts: counts, parameters: parameters, dropout: options.dropout, seed: options.seed,
        step: step, to: gradients)
      tokens += batch.tokenCount
    }
    let norm = gradients.norm(threads: options.threads ?? ProcessorCount.usable)
    let average = lossAverage.map { 0.9 * $0 + 0.1 * loss } ?? loss
    guard loss.isFinite, norm.isFinite, average <= worstLoss || options.loss.distillation != nil else {
      throw TrainingError.diverged(step: step + 1, loss: loss)
    }
    lossAverage = average
    let rate = schedule.rate(step: step)
    optimizer.update(
      parameters, with: gradients, learningRate: rate,
      gradientFactor: Gradients.clippingFactor(norm: norm, largest: options.clipping))
    return Step(number: step, loss: loss, learningRate: rate, gradientNorm: norm, tokens: tokens)
  }

  /// The numbers of a step's examples, in their order; steps count from 0 here.
  public func examplesOfStep(_ step: Int) -> [Int] {
    let (epoch, place) = step.quotientAndRemainder(dividingBy: stepsInEpoch)
    if order?.epoch != epoch {
      let numbers =
        options.shuffles ? Permutation(count: examples.count, seed: options.seed, epoch: epoch).order : Array(examples.indices)
      order = (epoch, numbers)
    }
    let first = place * options.windowsInStep
    return Array(order?.examples[first..<min(first + options.windowsInStep, examples.count)] ?? [])
  }

  /// A step's examples in parts of at most `batchSize` windows and `tokenBudget` tokens, one example at least.
  private func batches(_ numbers: [Int]) throws -> [TrainingBatch] {
    var batches: [TrainingBatch] = []
    var batch = TrainingBatch()
    for (place, number) in numbers.enumerated() {
      let example = examples[number]
      if batch.windowCount == options.batchSize
        || batch.windowCount > 0 && batch.tokenCount + example.ids.count > options.tokenBudget
      {
        batches.append(batch)
        batch = TrainingBatch()
      }
      batch.append(example.ids, target: example.target, number: place)
    }
    batches.append(batch)
    guard let teacher, options.loss.distillation != nil else { return batches }
    return try batches.map { batch in
      var batch = batch
      batch.setTeacherLogits(try teacher(batch.tokens))
      return batch
    }
  }

  /// Goes on where a checkpoint ended.
  func resume(atStep step: Int, lossAverage: Double?) {
    optimizer.step = step
    self.lossAverage = lossAverage
  }

  /// What a checkpoint keeps beside parameters and moments.
  var state: (step: Int, lossAverage: Double?) { (step, lossAverage) }
}

/// Why training cannot go on.
public enum TrainingError: Error, Equatable, CustomStringConvertible {
  case diverged(step: Int, loss: Double)
  case everythingFrozen
  case resume(file: String, reason: String)

  public var description: String {
    switch self {
    case .diverged(let step, let loss):
      "training diverged at step \(step), where the loss is \(loss): choose a lower learning rate or a longer warm-up"
    case .everythingFrozen: "every parameter is frozen: leave some to be trained"
    case .resume(let file, let reason): "\(file): cannot be resumed: \(reason)"
    }
  }
}
