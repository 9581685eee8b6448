import ArgumentParser
import Encoder
import FineTuning
import Lowering
import ModelFolders

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `spanqa benchmark`
struct BenchmarkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmark",
    abstract: "Times the model on random tokens: the executor alone, without text, or a step of training.",
    discussion: """
      A shape is batch x tokens: 8x128 runs eight sequences of 128 tokens as one batch. Every shape runs for the given time after a \
      warm-up. Compare runs on one machine only, best taken in turn: other programs' load is in every figure.
      """)

  @OptionGroup var model: ModelOption

  @Option(help: ArgumentHelp("What to time, as batch x tokens.", valueName: "shape,shape,…"))
  var shapes = "1x32,1x128,1x384,8x128,8x384"

  @Option(help: ArgumentHelp("Sequences of these lengths as one batch, instead of --shapes.", valueName: "length,length,…"))
  var lengths: String?

  @Option(help: "How long each shape is timed.")
  var seconds = 2.0

  @Flag(help: "Time a step of training instead: forward, backward, clipping and AdamW. Needs --model, in float32.")
  var training = false

  @Option(help: "The probability of dropout in training.")
  var dropout: Float = 0

  @Flag(help: "Print a JSON list, an object a shape.")
  var json = false

  func validate() throws {
    if !(seconds > 0 && seconds <= 3600) { throw ValidationError("--seconds takes a time between 0 and 3600") }
    if training, model.model == nil { throw ValidationError("--training needs --model with a float32 model: the embedded one is int8") }
    if !(0...0.99).contains(dropout) { throw ValidationError("--dropout takes a number from 0 to 0.99") }
    _ = try workloads()
  }

  func run() throws {
    let timings = try training ? trainingTimings() : answeringTimings()
    if json {
      try Output.write(JSON.array(timings.map { JSON($0, timing: $1) }).text)
      return
    }
    try Output.write("shape       median ms     min ms   tokens/s   runs")
    for (workload, timing) in timings {
      let columns = [
        workload.name.padded(to: 11), timing.median.milliseconds.padded(to: 10, onLeft: true),
        timing.minimum.milliseconds.padded(to: 11, onLeft: true),
        "\(Int(Double(workload.tokens) / timing.median))".padded(to: 11, onLeft: true),
        "\(timing.runs)".padded(to: 7, onLeft: true),
      ]
      try Output.write(columns.joined())
    }
  }

  private func answeringTimings() throws -> [(Workload, Timing)] {
    let lowered = try LoweredModel(model.onnx())
    let encoder = try model.engine.encoder(for: lowered.model)
    return try workloads(for: encoder.configuration).map { workload in
      let batch = PackedBatch(workload.sequences(vocabulary: encoder.configuration.vocabulary))
      return (workload, try time { _ = try encoder.forward(batch) })
    }
  }

  private func trainingTimings() throws -> [(Workload, Timing)] {
    let parameters = try Parameters(ModelSource(at: URL(filePath: model.model ?? "")).model)
    let configuration = parameters.table.configuration
    return try workloads(for: configuration).map { workload in
      let examples = workload.sequences(vocabulary: configuration.vocabulary).map { ids in
        TrainingSet.Example(ids: ids, target: TrainingBatch.Target(start: ids.count / 2, end: ids.count / 2))
      }
      let trainer = try Trainer(
        parameters, examples: examples,
        options: Trainer.Options(
          epochs: 1e9, batchSize: examples.count, tokenBudget: workload.tokens, learningRate: 1e-6,
          dropout: DropoutProbabilities(hidden: dropout, attention: dropout, head: dropout), shuffles: false, threads: model.threads))
      return (workload, try time { _ = try trainer.takeStep() })
    }
  }

  private func workloads(for configuration: DistilBERT.Configuration) throws -> [Workload] {
    let workloads = try self.workloads()
    for workload in workloads where workload.lengths.max() ?? 0 > configuration.positions {
      throw ValidationError("the model takes at most \(configuration.positions) tokens; \(workload.name) has more")
    }
    return workloads
  }

  private func time(_ body: () throws -> Void) throws -> Timing {
    let clock = ContinuousClock()
    // The first runs grow the workspace and wake the threads.
    for _ in 0..<2 { try body() }
    let start = clock.now
    var samples: [Double] = []
    while samples.count < 3 || clock.now - start < .seconds(seconds) {
      var failure: (any Error)?
      let duration = clock.measure {
        do { try body() } catch { failure = error }
      }
      if let failure { throw failure }
      samples.append(duration / .seconds(1))
    }
    samples.sort()
    return Timing(median: samples[samples.count / 2], minimum: samples[0], runs: samples.count)
  }

  private func workloads() throws -> [Workload] {
    if let lengths {
      let list = try lengths.split(separator: ",").map { try Self.positive($0, in: "--lengths") }
      if list.isEmpty { throw ValidationError("--lengths takes numbers from 1 on, such as 32,120,384") }
      return [Workload(name: "\(list.count) mixed", lengths: list)]
    }
    return try shapes.split(separator: ",").map { shape in
      let parts = shape.split(separator: "x", omittingEmptySubsequences: false)
      guard parts.count == 2 else { throw ValidationError("--shapes takes batch x tokens, such as 1x32,8x384; not \(shape)") }
      let (batch, tokens) = (try Self.positive(parts[0], in: "--shapes"), try Self.positive(parts[1], in: "--shapes"))
      return Workload(name: String(shape), lengths: Array(repeating: tokens, count: batch))
    }
  }

  private static func positive(_ text: Substring, in option: String) throws -> Int {
    guard let value = Int(text), (1...100_000).contains(value) else {
      throw ValidationError("\(option) takes whole numbers from 1 to 100000; not \(text)")
    }
    return value
  }
}

/// What is timed: sequences of random tokens that make one batch.
private struct Workload {
  let name: String
  let lengths: [Int]

  var tokens: Int { lengths.reduce(0, +) }

  func sequences(vocabulary: Int) -> [[Int32]] {
    // The same tokens every time: Knuth's linear congruential generator (MMIX).
    var state: UInt64 = 1
    return lengths.map { length in
      (0..<length).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int32(state >> 33) % Int32(vocabulary)
      }
    }
  }
}

/// Times in seconds.
private struct Timing {
  let median, minimum: Double
  let runs: Int
}

extension JSON {
  fileprivate init(_ workload: Workload, timing: Timing) {
    self = .object([
      ("shape", .string(workload.name)), ("median_ms", .number(timing.median * 1000)),
      ("min_ms", .number(timing.minimum * 1000)), ("runs", .integer(timing.runs)), ("tokens", .integer(workload.tokens)),
      ("tokens_per_second", .number(Double(workload.tokens) / timing.median)),
      // Of the process so far: with one shape, what the shape needs.
      ("peak_memory_bytes", .integer(PeakMemory.bytes)),
    ])
  }
}

extension Double {
  /// Seconds as milliseconds with two decimals.
  fileprivate var milliseconds: String {
    let hundredths = Int((self * 100_000).rounded())
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
  }
}

extension String {
  fileprivate func padded(to width: Int, onLeft: Bool = false) -> String {
    let padding = String(repeating: " ", count: max(0, width - count))
    return onLeft ? padding + self : self + padding
  }
}
