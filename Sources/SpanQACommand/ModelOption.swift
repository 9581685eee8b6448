import ArgumentParser
import Encoder
import Inspection
import Kernels
import Lowering
import ONNX
import SpanQA
import SpanQADefaultModel
import WordPiece

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Which model a subcommand works with.
struct ModelOption: ParsableArguments {
  @Option(help: ArgumentHelp("A model folder or an .onnx file. Without it: the embedded model.", valueName: "folder|file"))
  var model: String?

  @Option(help: "What computes: automatic (as SPANQA_BACKEND says, or the fastest available), cpu, neon or cuda.")
  var backend = BackendChoice.automatic

  @Option(help: "How many threads compute. Without it: as many as this process may use.")
  var threads: Int?

  @Option(help: "In which numbers linear layers compute: auto (as the file has them), float32 or int8.")
  var precision = Precision.automatic

  @Option(help: "Who multiplies float32 matrices: auto (the faster one, as measured), openblas or packed (our own kernel).")
  var gemm = GEMMChoice.automatic

  @Option(help: "In which numbers attention computes: float32 or fixed-point. Without it: fixed-point after int8 layers, float32 after others.")
  var attention: KernelSet.AttentionArithmetic?

  @Flag(help: "Fail where the graph is not understood, instead of running it node by node, which is slow.")
  var requireFused = false

  func validate() throws {
    let counts = 1...CPUBackend.mostThreads
    if let threads, !counts.contains(threads) { throw ValidationError("--threads takes a number from 1 to \(CPUBackend.mostThreads)") }
  }

  /// The model, ready to answer.
  func questionAnswerer(batching: BatchingOptions? = nil) throws -> QuestionAnswerer {
    var engine = engine
    if let batching { (engine.tokenBudget, engine.padding) = (batching.tokenBudget, batching.padding) }
    guard let model else { return try DefaultModel.questionAnswerer(engine: engine) }
    let answerer = try QuestionAnswerer(modelFolder: URL(filePath: model), engine: engine)
    try warn(answerer.encoder)
    return answerer
  }

  /// The model, ready to run on token ids.
  func runner() throws -> ModelRunner {
    let runner = try ModelRunner(onnx(), engine: engine)
    try warn(runner)
    return runner
  }

  /// The model, ready to be looked into.
  func inspector() throws -> Inspector {
    try Inspector(
      onnx: onnx(), tokenizer: tokenizer(), engine: engine, name: model.map { URL(filePath: $0).lastPathComponent } ?? "spanqa-mini (embedded)")
  }

  /// Says on standard error where a model runs node by node.
  private func warn(_ runner: ModelRunner) throws {
    if let warning = runner.warning { try Output.warn(warning) }
  }

  /// The model's graph as it was read.
  func onnx() throws -> Model {
    guard let file = try file() else { return try DefaultModel.onnx() }
    return try Model(contentsOf: file)
  }

  /// The file that holds the graph; `nil` for the embedded model.
  func file() throws -> URL? { try model.map { try ModelFiles(at: URL(filePath: $0)).onnx } }

  /// The model's tokeniser alone.
  func tokenizer() throws -> Tokenizer {
    guard let model else { return try DefaultModel.tokenizer() }
    let location = URL(filePath: model)
    do {
      let files = try ModelFiles(at: location)
      guard let folder = files.tokenizerFolder else { throw ModelFilesError.noTokenizer(onnx: files.onnx.path) }
      return try Tokenizer(folder: folder)
    } catch ModelFilesError.noONNXFile, ModelFilesError.severalONNXFiles {
      // A folder without a graph can still hold a tokeniser.
      return try Tokenizer(folder: location)
    }
  }

  /// The options of `engine`, but for the fused encoder alone.
  var fusedEngine: EngineOptions { engineOptions(requiresFused: true) }

  var engine: EngineOptions { engineOptions(requiresFused: requireFused) }

  private func engineOptions(requiresFused: Bool) -> EngineOptions {
    EngineOptions(
      backend: backend, threads: threads, precision: precision, gemm: gemm, attention: attention, requiresFused: requiresFused)
  }
}

extension Precision: ExpressibleByArgument {}
extension BackendChoice: ExpressibleByArgument {}
extension GEMMChoice: ExpressibleByArgument {}
extension KernelSet.AttentionArithmetic: ExpressibleByArgument {}
