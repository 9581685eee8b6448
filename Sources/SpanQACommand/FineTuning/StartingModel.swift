import Checkpoints
import Encoder
import Export
import FineTuning
import Lowering
import ONNX
import SpanQA
import WordPiece

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The model that a training starts from.
struct StartingModel {
  let parameters: Parameters
  let tokenizer: Tokenizer
  let dropout: DropoutProbabilities
  /// What a person should know of how the file became the model.
  private(set) var notes: [String] = []
  private let folder: URL
  private let configuration: ModelConfiguration

  init(at path: String, headSeed: UInt64) throws {
    folder = URL(filePath: path)
    configuration = try ModelConfiguration(contentsOf: folder.appending(path: "config.json").path)
    var ignored: [String] = []
    let model = try DistilBERT(
      Checkpoint(safetensors: folder.appending(path: "model.safetensors").path), configuration: configuration, ignored: &ignored)
    tokenizer = try Tokenizer(folder: folder)
    dropout = DropoutProbabilities(
      hidden: configuration.dropout, attention: configuration.attentionDropout, head: configuration.headDropout)
    parameters = try Parameters(model, headSeed: headSeed)
    if model.head == nil { notes.append("the model has no question-answering head; it gets a new one") }
  }

  func write(_ model: DistilBERT, to output: URL) throws {
    try Checkpoint.writeSafetensors(model.checkpointTensors(), metadata: ["format": "pt"], to: output.appending(path: "model.safetensors").path)
    try Output.write(configuration.json(model.configuration), toFile: output.appending(path: "config.json").path)
    try Output.write(Data(contentsOf: folder.appending(path: "vocab.txt")), toFile: output.appending(path: "vocab.txt").path)
    try Output.write(
      Data(contentsOf: folder.appending(path: "tokenizer_config.json")), toFile: output.appending(path: "tokenizer_config.json").path)
    try Model(model, producerVersion: SpanQAVersion.current).write(to: output.appending(path: "model.onnx"))
  }
}
