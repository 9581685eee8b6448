import ArgumentParser
import ModelFolders

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `spanqa export`
struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes a model from any format as a complete folder: ONNX, safetensors, configuration, vocabulary.",
    discussion: """
      The model is an ONNX graph in float, or transformers' DistilBERT or BERT as model.safetensors or pytorch_model.bin with its \
      config.json. BERT becomes DistilBERT (token type 0 goes into the positions), and an encoder without a question-answering head gets \
      a fresh one, to be trained. The folder works with this command, transformers, ONNX Runtime and others. What was done is printed.
      """)

  @Option(help: ArgumentHelp("A model folder, or an .onnx, .safetensors or .bin file.", valueName: "folder|file"))
  var model: String

  @Option(help: ArgumentHelp("The folder to be written; it must not be there, or be empty.", valueName: "folder"))
  var output: String

  @Option(help: "What a fresh head's numbers are drawn from.")
  var seed: UInt64 = 0

  @Flag(help: "Replace the folder where it is there and holds nothing but a model.")
  var force = false

  func run() throws {
    let source = try ModelSource(at: URL(filePath: model), headSeed: seed)
    let folder = ModelFolder(source)
    try folder.write(to: URL(filePath: output), replaces: force)
    for note in source.notes { try Output.write(note) }
    let sizes = folder.model.configuration
    try Output.write(
      "\(output): \(folder.fileNames.sorted().joined(separator: ", ")); \(sizes.layers) layers of \(sizes.hidden), "
        + "\(sizes.vocabulary) tokens, \(sizes.positions) positions")
  }
}
