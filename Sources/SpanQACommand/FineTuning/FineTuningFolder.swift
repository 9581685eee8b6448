import FineTuning
import Files

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The output folder of a training: while it runs, its state; at the end, the model.
struct FineTuningFolder {
  enum Name {
    static let checkpoint = "checkpoint.safetensors"
    static let best = "best.safetensors"
    static let metrics = "metrics.jsonl"
    static let curve = "loss.svg"
    static let record = "training.json"
  }

  let url: URL

  /// Makes the folder where it is not there yet.
  ///
  /// - Throws: `FineTuningError` where it holds a training that is not to be resumed, or one that is finished.
  init(_ path: String, resumes: Bool) throws {
    url = URL(filePath: path)
    do {
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
      throw OutputError(name: path)
    }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
    if names.contains(Name.record) { throw FineTuningError.finished(folder: path) }
    let taken = [Name.checkpoint, Name.metrics, "model.safetensors", "model.onnx"].first { names.contains($0) }
    if let taken, !resumes { throw FineTuningError.taken(folder: path, by: taken) }
    // What a process that was killed had begun to write.
    for name in names where name.hasPrefix(".") && name.hasSuffix(".partial") { try? FileManager.default.removeItem(at: file(name)) }
    try Output.checkWritable(file(Name.record).path)
  }

  func file(_ name: String) -> URL { url.appending(path: name) }
  func path(_ name: String) -> String { file(name).path }
  var hasCheckpoint: Bool { FileManager.default.fileExists(atPath: path(Name.checkpoint)) }

  /// The last file: a folder that has it is complete.
  func writeRecord(_ record: JSON) throws { try Output.write(record.text + "\n", toFile: path(Name.record)) }

  func removeCheckpoints() throws {
    for name in [Name.checkpoint, Name.best] { try? FileManager.default.removeItem(at: file(name)) }
  }
}

/// What stands in a training's way, beside what its parts say.
enum FineTuningError: Error, CustomStringConvertible {
  case finished(folder: String)
  case taken(folder: String, by: String)
  case interrupted(step: Int, folder: String)
  case diverged(TrainingError, folder: String, checkpoint: Int?)

  var description: String {
    switch self {
    case .finished(let folder): "\(folder): holds a finished training; name another output folder"
    case .taken(let folder, let name):
      "\(folder): holds \(name) already; name another output folder, or go on with that training by --resume"
    case .interrupted(let step, let folder):
      "interrupted after step \(step); the checkpoint is in \(folder): go on with the same command and --resume"
    case .diverged(let error, let folder, let step):
      "\(error)" + (step.map { "; the checkpoint of step \($0) is kept in \(folder)" } ?? "; there is no checkpoint yet")
    }
  }
}

/// `metrics.jsonl`: an object a step and one a score, written as they come.
final class MetricsFile {
  private(set) var losses: [(step: Int, value: Double)] = []
  private(set) var exact: [(step: Int, value: Double)] = []
  private(set) var f1: [(step: Int, value: Double)] = []
  private let path: String
  private let descriptor: Int32

  private enum Key {
    static let step = "step"
    static let loss = "loss"
    static let exact = "dev_exact"
    static let f1 = "dev_f1"
  }

  /// Begins a file, with the lines of an earlier one up to a step and a score.
  init(path: String, keepingSteps steps: Int, scores: Int) throws {
    self.path = path
    var kept = ""
    for line in steps > 0 ? try TextInput.contents(of: path).split(separator: "\n") : [] {
      var line = String(line)
      // The last line may be half of one.
      guard let value = try? line.withUTF8({ try JSONValue(parsing: $0) }), case .number(let number) = value[Key.step],
        let step = Int(exactly: number)
      else { continue }
      if case .number(let loss) = value[Key.loss], step <= steps {
        losses.append((step, loss))
      } else if case .number(let exact) = value[Key.exact], case .number(let f1) = value[Key.f1], step <= scores {
        self.exact.append((step, exact))
        self.f1.append((step, f1))
      } else {
        continue
      }
      kept += line + "\n"
    }
    try Output.write(kept, toFile: path)
    descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
    guard descriptor >= 0 else { throw OutputError(name: path) }
  }

  deinit { close(descriptor) }

  func add(_ step: Trainer.Step, epoch: Double, seconds: Double) throws {
    losses.append((step.number, step.loss))
    try write([
      (Key.step, .integer(step.number)), ("epoch", .number(epoch)), (Key.loss, .number(step.loss)),
      ("learning_rate", .number(step.learningRate)), ("gradient_norm", .number(step.gradientNorm)), ("tokens", .integer(step.tokens)),
      ("seconds", .number(seconds)),
    ])
  }

  func add(exact: Double, f1: Double, questions: Int, step: Int, seconds: Double) throws {
    self.exact.append((step, exact))
    self.f1.append((step, f1))
    try write([
      (Key.step, .integer(step)), (Key.exact, .number(exact)), (Key.f1, .number(f1)), ("questions", .integer(questions)),
      ("seconds", .number(seconds)),
    ])
  }

  private func write(_ members: [(String, JSON)]) throws {
    try Output.write([UInt8]((JSON.object(members).text + "\n").utf8), to: descriptor, name: path)
  }
}
