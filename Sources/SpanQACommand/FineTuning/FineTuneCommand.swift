import ArgumentParser
import Checkpoints
import Encoder
import FineTuning
import ModelFolders
import SQuAD
import SpanQA
import WordPiece

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `spanqa finetune`
struct FineTuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "finetune",
    abstract: "Trains a model on questions with answers, and writes it for use.",
    discussion: """
      Starts from a float32 model: a folder with an ONNX file, model.safetensors or pytorch_model.bin. A bare encoder gets a new head, \
      and a BERT becomes a DistilBERT. The output folder gets the model (ONNX, safetensors, configuration, vocabulary), metrics.jsonl, a \
      loss curve and a record of the training.

      Ctrl-C writes a checkpoint and ends; the same command with --resume goes on from there, to the same bits as without the interruption.
      """)

  @Option(help: ArgumentHelp("The model to start from.", valueName: "folder|file"))
  var model: String

  @Option(help: ArgumentHelp("The questions to train on: SQuAD 1.1 or 2.0 JSON, or JSONL with answers.", valueName: "file"))
  var train: String

  @Option(help: ArgumentHelp("Questions to score the model on meanwhile; the best model is kept.", valueName: "file"))
  var dev: String?

  @Option(help: ArgumentHelp("Where the model goes.", valueName: "folder"))
  var output: String

  @Flag(help: "Go on from the output folder's checkpoint, or begin where there is none.")
  var resume = false

  @OptionGroup(title: "Data") var data: TrainingDataOptions
  @OptionGroup(title: "Training") var training: TrainingOptions
  @OptionGroup(title: "Evaluation and checkpoints") var supervision: SupervisionOptions

  @Option(help: "How many threads compute; changes no bit. Without it: as many as this process may use.")
  var threads: Int?

  func validate() throws {
    if let threads, threads < 1 { throw ValidationError("--threads takes a number from 1 on") }
    if supervision.patience != nil, dev == nil { throw ValidationError("--patience needs --dev to tell whether the model gets better") }
  }

  func run() throws {
    let folder = try FineTuningFolder(output, resumes: resume)
    // What can be wrong with the dev set is known before hours have gone.
    let examination = try dev.map { try DevelopmentSet(path: $0, limit: supervision.devLimit) }
    let source = try ModelSource(at: URL(filePath: model), headSeed: training.seed)
    for note in source.notes { try Output.write("spanqa: \(note)", to: .standardError) }
    let (parameters, tokenizer) = (try Parameters(source.model), source.tokenizer.tokenizer)
    try data.check(positions: parameters.table.configuration.positions)
    let (examples, overview) = try trainingSet(tokenizer)
    let teacher = try training.teacher.map { try Teacher($0, threads: threads, tokenizer: tokenizer) }
    for note in teacher?.notes ?? [] { try Output.write("spanqa: the teacher: \(note)", to: .standardError) }
    let pattern = try training.freezePattern(names: parameters.table.entries.map(\.name))
    let trainer = try Trainer(
      parameters, examples: examples,
      options: training.options(dropout: DropoutProbabilities(source.configuration), threads: threads),
      frozen: { pattern?.matches($0) ?? false }, teacher: teacher.map { teacher in { try teacher.logits($0) } })

    let run = FineTuningRun(
      trainer: trainer, folder: folder, tokenizer: tokenizer, development: examination, options: supervision,
      reading: data, teacher: teacher?.digest, threads: threads)
    Interruption.begin()
    let outcome: FineTuningRun.Outcome
    do {
      outcome = try run.run(resumes: resume)
    } catch let error as FineTuningError {
      guard case .interrupted = error else { throw error }
      try Output.write("spanqa: \(error)", to: .standardError)
      throw Interruption.exitCode
    }
    try ModelFolder(model: parameters.model(), configuration: source.configuration, tokenizer: source.tokenizer).write(into: folder.url)
    try folder.writeRecord(record(overview, trainer: trainer, outcome: outcome))
    try folder.removeCheckpoints()
    for line in outcome.lines { try Output.write(line) }
  }

  private func trainingSet(_ tokenizer: Tokenizer) throws -> ([TrainingSet.Example], TrainingDataOverview) {
    var progress = ProgressBar("training questions read", total: nil)
    let set = try TrainingSet(path: train, tokenizer: tokenizer, options: data.options(seed: training.seed)) { progress.update($0) }
    progress.finish()
    let overview = TrainingDataOverview(set)
    for line in overview.warnings { try Output.write("spanqa: \(line)", to: .standardError) }
    return (set.examples, overview)
  }

  private func record(_ overview: TrainingDataOverview, trainer: Trainer, outcome: FineTuningRun.Outcome) -> JSON {
    .object(
      [
        ("spanqa_version", .string(SpanQAVersion.current)), ("model", .string(URL(filePath: model).lastPathComponent)),
        ("train", .string(URL(filePath: train).lastPathComponent)),
        ("dev", dev.map { .string(URL(filePath: $0).lastPathComponent) } ?? .null), ("data", overview.json),
        ("identity", .array(trainer.identity.split(separator: "\n").map { .string(String($0)) })),
      ] + outcome.members)
  }
}

extension DropoutProbabilities {
  /// Those of a model's `config.json`.
  fileprivate init(_ configuration: ModelConfiguration) {
    self.init(hidden: configuration.dropout, attention: configuration.attentionDropout, head: configuration.headDropout)
  }
}

/// What a training set holds, to be told.
struct TrainingDataOverview {
  private let set: (questions: Int, windows: Int, negatives: Int, tokens: Int)
  private let unplaced: [TrainingSet.Unplaced]

  init(_ set: TrainingSet) {
    self.set = (
      set.questions, set.examples.count, set.examples.count { $0.target.start == 0 }, set.examples.reduce(0) { $0 + $1.ids.count }
    )
    unplaced = set.unplaced
  }

  /// Of questions that cannot be trained on the first few; the record has all.
  var warnings: [String] {
    guard !unplaced.isEmpty else { return [] }
    let shown = unplaced.prefix(5).map { "  \($0)" }
    let rest = unplaced.count > 5 ? ["  … \(FineTuningFolder.Name.record) lists them all"] : []
    return ["\(unplaced.count) of \(set.questions) questions cannot be trained on and are left out:"] + shown + rest
  }

  var json: JSON {
    .object([
      ("questions", .integer(set.questions)), ("windows", .integer(set.windows)),
      ("windows_without_answer", .integer(set.negatives)), ("tokens", .integer(set.tokens)),
      ("unplaced", .integer(unplaced.count)), ("unplaced_questions", .array(unplaced.map { .string($0.description) })),
    ])
  }
}

/// A model whose logits another one learns.
struct Teacher {
  private let runner: ModelRunner
  /// Tells this teacher from others.
  let digest: String
  /// What was done to the model on the way, a line each.
  let notes: [String]

  /// Takes any ONNX model that answers, quantised or not, and where there is none, what training can start from (`ModelSource`), if its head
  /// has been trained.
  init(_ path: String, threads: Int?, tokenizer: Tokenizer) throws {
    let (location, engine) = (URL(filePath: path), EngineOptions(threads: threads))
    let (answerer, weights): (QuestionAnswerer, URL)
    if let onnx = try Self.onnxFile(at: location) {
      (answerer, weights, notes) = (try QuestionAnswerer(modelFolder: location, engine: engine), onnx, [])
    } else {
      let source = try ModelSource(at: location)
      guard !source.hasFreshHead else { throw TeacherError.noHead(weights: source.weightsFile.path) }
      answerer = try QuestionAnswerer(model: source.model, tokenizer: source.tokenizer.tokenizer, engine: engine)
      (weights, notes) = (source.weightsFile, source.notes)
    }
    guard answerer.tokenizer.vocabulary.hasSameTokens(as: tokenizer.vocabulary) else { throw TeacherError.vocabulary(path: path) }
    runner = answerer.encoder
    var digest = Digest()
    let bytes = try Data(contentsOf: weights, options: .mappedIfSafe)
    bytes.withUnsafeBytes { digest.add($0) }
    self.digest = digest.description
  }

  /// The graph at `location`; `nil` where a checkpoint lies there instead.
  private static func onnxFile(at location: URL) throws(ModelFilesError) -> URL? {
    do {
      let file = try ModelFiles(at: location).onnx
      return ModelSource.isCheckpoint(file) ? nil : file
    } catch .noONNXFile {
      return nil
    }
  }

  /// `[tokens, 2]`
  func logits(_ batch: PackedBatch) throws -> [Float] { try runner.forward(batch).values }
}

enum TeacherError: Error, CustomStringConvertible {
  case vocabulary(path: String)
  case noHead(weights: String)

  var description: String {
    switch self {
    case .vocabulary(let path):
      "\(path): the teacher's vocabulary is another one than the model's; choose a teacher that reads the same tokens"
    case .noHead(let weights):
      "\(weights): the teacher has no head for question answering; train it first, or choose one that has been trained"
    }
  }
}
