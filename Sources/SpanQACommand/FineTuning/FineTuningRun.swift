import FineTuning
import SQuAD
import SpanQA
import WordPiece

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The course of a training: steps, scores, checkpoints, and their files.
final class FineTuningRun {
  /// What a checkpoint keeps beside the trainer's state.
  private struct State {
    var bestF1: Double?
    var bestStep = 0
    /// Scores since the best one.
    var worse = 0
    var lastScored = 0

    private enum Key {
      static let bestF1 = "spanqa.best_f1"
      static let bestStep = "spanqa.best_step"
      static let worse = "spanqa.scores_since_best"
      static let lastScored = "spanqa.last_scored_step"
    }

    init() {}

    init(_ notes: [String: String]) {
      bestF1 = notes[Key.bestF1].flatMap { UInt64($0) }.map(Double.init(bitPattern:))
      func number(_ key: String) -> Int { notes[key].flatMap { Int($0) } ?? 0 }
      (bestStep, worse, lastScored) = (number(Key.bestStep), number(Key.worse), number(Key.lastScored))
    }

    var notes: [String: String] {
      var notes = [Key.bestStep: "\(bestStep)", Key.worse: "\(worse)", Key.lastScored: "\(lastScored)"]
      notes[Key.bestF1] = bestF1.map { "\($0.bitPattern)" }
      return notes
    }
  }

  private let trainer: Trainer
  private let folder: FineTuningFolder
  private let tokenizer: Tokenizer
  private let development: DevelopmentSet?
  private let options: SupervisionOptions
  private let reading: TrainingDataOptions
  private let threads: Int?
  private let identity: String
  private var state = State()
  private var savedStep: Int?
  private let clock = ContinuousClock()

  init(
    trainer: Trainer, folder: FineTuningFolder, tokenizer: Tokenizer, development: DevelopmentSet?, options: SupervisionOptions,
    reading: TrainingDataOptions, teacher: String?, threads: Int?
  ) {
    (self.trainer, self.folder, self.tokenizer, self.development) = (trainer, folder, tokenizer, development)
    (self.options, self.reading, self.threads) = (options, reading, threads)
    // Scores decide when training ends and which model is kept.
    identity = """
      \(trainer.identity)
      teacher \(teacher ?? "none")
      dev \(development?.identity ?? "none")
      scores every \(options.evaluateEvery.map { "\($0)" } ?? "epoch"), patience \(options.patience.map { "\($0)" } ?? "none")
      """
  }

  /// Trains to the end, or until the scores get no better. The trainer's parameters are the best ones then.
  ///
  /// - Throws: `FineTuningError.interrupted` where a person ended it; a checkpoint is written.
  func run(resumes: Bool) throws -> Outcome {
    if resumes, folder.hasCheckpoint {
      state = State(try TrainingCheckpoint.read(folder.path(FineTuningFolder.Name.checkpoint), into: trainer, run: identity))
      savedStep = trainer.step
    }
    let metrics = try MetricsFile(
      path: folder.path(FineTuningFolder.Name.metrics), keepingSteps: trainer.step, scores: state.lastScored)
    let start = clock.now
    let firstStep = trainer.step
    var (tokens, stepSeconds) = (0, 0.0)
    var progress = ProgressBar("steps", total: trainer.totalSteps, doneBefore: firstStep)
    while true {
      if isScoreDue {
        progress.finish()
        try score(metrics)
      }
      if trainer.isFinished || isStoppedEarly { break }
      if Interruption.isRequested { throw try interrupted(metrics) }
      if trainer.step % options.checkpointEvery == 0, trainer.step != savedStep ?? 0 { try save() }
      let began = clock.now
      let step = try takeStep()
      let seconds = (clock.now - began).seconds
      (tokens, stepSeconds) = (tokens + step.tokens, stepSeconds + seconds)
      try metrics.add(step, epoch: trainer.epoch, seconds: seconds)
      progress.update(
        step.number,
        details: [
          "loss \(step.loss.threeDigits)", "rate \(step.learningRate.threeDigits)", "\((Double(tokens) / stepSeconds).short) tokens/s",
        ])
    }
    progress.finish()
    let lastStep = trainer.step
    if state.bestF1 != nil, state.bestStep != lastStep {
      try TrainingCheckpoint.readParameters(folder.path(FineTuningFolder.Name.best), into: trainer.parameters)
    }
    try writeCurve(metrics)
    return Outcome(
      steps: lastStep, totalSteps: trainer.totalSteps, losses: metrics.losses, exact: metrics.exact, f1: metrics.f1,
      bestStep: state.bestF1 == nil ? nil : state.bestStep, seconds: (clock.now - start).seconds, stepSeconds: stepSeconds, tokens: tokens)
  }

  private func takeStep() throws -> Trainer.Step {
    do {
      return try trainer.takeStep()
    } catch let error as TrainingError {
      throw FineTuningError.diverged(error, folder: folder.url.path, checkpoint: savedStep)
    }
  }

  private func save() throws {
    try TrainingCheckpoint.write(trainer, run: identity, notes: state.notes, to: folder.path(FineTuningFolder.Name.checkpoint))
    savedStep = trainer.step
  }

  /// Saves what there is; gives the error to end with.
  private func interrupted(_ metrics: MetricsFile) throws -> FineTuningError {
    if trainer.step != savedStep { try save() }
    try writeCurve(metrics)
    return .interrupted(step: trainer.step, folder: folder.url.path)
  }

  private func writeCurve(_ metrics: MetricsFile) throws {
    let points = LossCurve.smoothed(metrics.losses, over: max(1, metrics.losses.count / 100))
    let scores = development == nil ? [] : [LossCurve.Line("dev F1", points: metrics.f1), LossCurve.Line("dev EM", points: metrics.exact)]
    let curve = LossCurve(title: "Fine-tuning", losses: [LossCurve.Line("training loss", points: points)], scores: scores)
    try Output.write(curve.svg, toFile: folder.path(FineTuningFolder.Name.curve))
  }

  // MARK: Scores

  private var isScoreDue: Bool {
    guard development != nil, trainer.step > state.lastScored else { return false }
    return trainer.step % (options.evaluateEvery ?? trainer.stepsInEpoch) == 0 || trainer.isFinished
  }

  private var isStoppedEarly: Bool { options.patience.map { state.worse >= $0 } ?? false }

  private func score(_ metrics: MetricsFile) throws {
    guard let development else { return }
    let start = clock.now
    let scores: EvaluationReport.Scores
    do {
      scores = try development.scores(
        of: QuestionAnswerer(model: trainer.parameters.model(), tokenizer: tokenizer, engine: EngineOptions(threads: threads)),
        reading: reading)
    } catch is InterruptedEvaluation {
      throw try interrupted(metrics)
    }
    try metrics.add(exact: scores.exact, f1: scores.f1, questions: scores.total, step: trainer.step, seconds: (clock.now - start).seconds)
    state.lastScored = trainer.step
    let isBest = state.bestF1.map { scores.f1 > $0 } ?? true
    if isBest {
      // Before the checkpoint that speaks of it.
      try TrainingCheckpoint.writeParameters(trainer.parameters, to: folder.path(FineTuningFolder.Name.best))
      (state.bestF1, state.bestStep, state.worse) = (scores.f1, trainer.step, 0)
    } else {
      state.worse += 1
    }
    try Output.write(
      "step \(trainer.step) of \(trainer.totalSteps): dev EM \(scores.exact.twoDecimals), F1 \(scores.f1.twoDecimals)"
        + (isBest ? "" : ", no better than at step \(state.bestStep)"))
  }

  /// What became of a training.
  struct Outcome {
    var steps: Int
    var totalSteps: Int
    var losses, exact, f1: [(step: Int, value: Double)]
    var bestStep: Int?
    /// Of this process: a run that was resumed took longer.
    var seconds, stepSeconds: Double
    var tokens: Int

    private var tokensPerSecond: Double { stepSeconds > 0 ? Double(tokens) / stepSeconds : 0 }
    /// The mean of the last twentieth of the steps.
    private var lastLoss: Double {
      let last = losses.suffix(max(1, losses.count / 20))
      return last.reduce(0) { $0 + $1.value } / Double(max(1, last.count))
    }
    private var best: (exact: Double, f1: Double)? {
      guard let index = f1.firstIndex(where: { $0.step == bestStep }) else { return nil }
      return (exact[index].value, f1[index].value)
    }

    var lines: [String] {
      var rows = [
        ("steps", steps < totalSteps ? "\(steps) of \(totalSteps), stopped early" : "\(steps)"), ("loss at the end", lastLoss.threeDigits),
      ]
      if let best, let bestStep {
        rows += [("best step", "\(bestStep)"), ("dev EM", best.exact.twoDecimals), ("dev F1", best.f1.twoDecimals)]
      }
      return Table.lines(rows + [("speed", "\(tokensPerSecond.short) tokens/s"), ("peak memory", "\(PeakMemory.bytes >> 20) MiB")])
    }

    var members: [(String, JSON)] {
      [
        ("steps", .integer(steps)), ("loss_at_end", .number(lastLoss)), ("best_step", bestStep.map(JSON.integer) ?? .null),
        ("dev_exact", best.map { .number($0.exact) } ?? .null), ("dev_f1", best.map { .number($0.f1) } ?? .null),
        ("seconds", .number(seconds)), ("tokens_per_second", .number(tokensPerSecond)), ("peak_memory_bytes", .integer(PeakMemory.bytes)),
      ]
    }
  }
}

/// The questions by which a training is judged.
struct DevelopmentSet {
  private let path: String
  private let total: Int
  private let version: Evaluation.Version
  private let digest: Digest

  /// Reads the file once, so that what is wrong with it is known.
  init(path: String, limit: Int?) throws {
    let overview = try DatasetOverview(path: path)
    self.path = path
    total = min(limit ?? .max, overview.questions)
    version = overview.version
    if total == 0 { throw EmptyDataset(path: path) }
    var digest = Digest()
    try TextInput.contents(of: path).withCString { digest.add(UnsafeRawBufferPointer(start: $0, count: strlen($0))) }
    self.digest = digest
  }

  var identity: String { "\(total) questions of \(digest)" }

  func scores(of answerer: QuestionAnswerer, reading: TrainingDataOptions) throws -> EvaluationReport.Scores {
    let options = Options(
      docStride: reading.docStride, maxSequenceLength: reading.maxLength, maxQuestionLength: reading.maxQuestionLength,
      handleImpossibleAnswer: version == .v2)
    let run = try EvaluationRun(
      questions: QuestionStream(path: path, limit: total), total: total, version: version, batcher: answerer.batcher(options: options)
    ) {
      if Interruption.isRequested { throw InterruptedEvaluation() }
    }
    return try run.report().overall
  }
}

struct InterruptedEvaluation: Error {}

extension Double {
  /// For a column of numbers of one kind.
  fileprivate var twoDecimals: String {
    let hundredths = Int((self * 100).rounded())
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
  }

  /// The three digits that count most.
  fileprivate var threeDigits: String {
    guard isFinite, self != 0 else { return "\(self)" }
    let unit = pow(10, log10(magnitude).rounded(.down) - 2)
    return "\(Float((self / unit).rounded() * unit))"
  }
}
