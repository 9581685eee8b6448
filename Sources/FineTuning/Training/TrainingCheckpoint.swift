import Checkpoints
import Encoder

/// The state of a run in one file, which appears whole or not at all: parameters, AdamW's moments and the step.
///
/// A `.safetensors` file whose parameters have transformers' names, so that it is a model too.
public struct TrainingCheckpoint {
  private static let prefixes = (first: "adamw.first_moment.", second: "adamw.second_moment.")
  private enum Key {
    static let step = "spanqa.step"
    static let loss = "spanqa.loss_average"
    static let run = "spanqa.run"
  }

  /// Writes the state of `trainer`.
  ///
  /// - Parameters:
  ///   - run: what the run's steps depend on, by which a resumed run proves to be the same.
  ///   - notes: what else belongs to the state.
  /// - Throws: `CheckpointError` where the file cannot be written; one that was there stays then.
  public static func write(
    _ trainer: Trainer, run: String, notes: [String: String] = [:], to path: String
  ) throws(CheckpointError) {
    let parameters = trainer.parameters
    let tensors = blocks(of: trainer).flatMap { Self.tensors($0.storage, prefix: $0.prefix, table: parameters.table) }
    var metadata = notes
    let state = trainer.state
    metadata[Key.step] = String(state.step)
    metadata[Key.loss] = state.lossAverage.map { String($0.bitPattern) } ?? ""
    metadata[Key.run] = run
    // The views are of memory that the trainer owns.
    try withExtendedLifetime(trainer) { () throws(CheckpointError) in
      try Checkpoint.writeSafetensors(tensors, metadata: metadata, to: path)
    }
  }

  /// Writes parameters alone.
  ///
  /// - Throws: `CheckpointError` where the file cannot be written; one that was there stays then.
  public static func writeParameters(_ parameters: Parameters, to path: String) throws(CheckpointError) {
    try withExtendedLifetime(parameters) { () throws(CheckpointError) in
      try Checkpoint.writeSafetensors(tensors(parameters.values, prefix: "", table: parameters.table), to: path)
    }
  }

  /// Reads what `writeParameters` wrote.
  ///
  /// - Throws: `CheckpointError` for a file that cannot be read, `TrainingError.resume` for one of another model.
  public static func readParameters(_ path: String, into parameters: Parameters) throws {
    try read(Checkpoint(safetensors: path), prefix: "", into: parameters.values, table: parameters.table)
  }

  /// Views of a block of floats, a parameter each.
  private static func tensors(_ storage: FloatStorage, prefix: String, table: ParameterTable) -> [Checkpoint.Tensor] {
    table.entries.map { entry in
      let part = UnsafeBufferPointer(rebasing: storage.floats[entry.range])
      return Checkpoint.Tensor(
        name: prefix + entry.name, shape: entry.shape, elementType: .float32,
        bytes: ConstantBytes(unowned: UnsafeRawBufferPointer(part), owner: ()))
    }
  }

  private static func read(_ checkpoint: Checkpoint, prefix: String, into storage: FloatStorage, table: ParameterTable) throws {
    for entry in table.entries {
      guard let tensor = checkpoint[prefix + entry.name], tensor.shape == entry.shape, tensor.elementType == .float32,
        let parameter = tensor.parameter
      else {
        throw TrainingError.resume(file: checkpoint.file, reason: "it lacks '\(prefix)\(entry.name)' in the model's shape")
      }
      parameter.copyFloats(0..<entry.count, to: UnsafeMutableBufferPointer(rebasing: storage.floats[entry.range]))
    }
  }

  /// Puts `trainer` into the state that a file holds; returns the notes.
  ///
  /// - Throws: `CheckpointError` for a file that cannot be read, `TrainingError.resume` for one of another run.
  public static func read(_ path: String, into trainer: Trainer, run: String) throws -> [String: String] {
    let checkpoint = try Checkpoint(safetensors: path)
    func refusal(_ reason: String) -> TrainingError { .resume(file: path, reason: reason) }
    guard let step = checkpoint.metadata[Key.step].flatMap({ Int($0) }), step >= 0, let found = checkpoint.metadata[Key.run] else {
      throw refusal("it is not the checkpoint of a training run")
    }
    guard found == run else { throw refusal("it belongs to another run; \(Self.difference(found, run))") }
    for block in blocks(of: trainer) {
      try Self.read(checkpoint, prefix: block.prefix, into: block.storage, table: trainer.parameters.table)
    }
    let average = checkpoint.metadata[Key.loss].flatMap { UInt64($0) }.map { Double(bitPattern: $0) }
    trainer.resume(atStep: step, lossAverage: average)
    return checkpoint.metadata
  }

  /// The floats that make a trainer's state, by the prefix of their names.
  private static func blocks(of trainer: Trainer) -> [(prefix: String, storage: FloatStorage)] {
    [
      ("", trainer.parameters.values), (prefixes.first, trainer.optimizer.firstMoments),
      (prefixes.second, trainer.optimizer.secondMoments),
    ]
  }

  /// The first line in which two descriptions differ.
  private static func difference(_ found: String, _ wanted: String) -> String {
    let (found, wanted) = (found.split(separator: "\n"), wanted.split(separator: "\n"))
    for (a, b) in zip(found, wanted) where a != b { return "there: \(a); here: \(b)" }
    return "they differ in their options"
  }
}
