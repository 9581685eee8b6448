import ArgumentParser
import Encoder
import Inspection
import Observation
import SpanQA

/// `spanqa dump`
struct DumpCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dump",
    abstract: "Writes intermediate values of a pass as a NumPy archive.",
    discussion: """
      --tensors chooses by name: * stands for any characters, commas separate patterns, as in \
      'embeddings,layer.*.attention.probabilities'. docs/inside.md lists the names and shapes; --list prints the names. A graph that \
      runs node by node has the names of its own values. The archive holds input_ids too, and numpy.load reads it.
      """)

  @OptionGroup var input: InspectionInput

  @Option(help: ArgumentHelp("Which values, by name.", valueName: "pattern,pattern,…"))
  var tensors = "*"

  @Option(help: ArgumentHelp("Where the archive goes, a name that ends in .npz.", valueName: "file"))
  var output: String?

  @Flag(help: "Print the names and shapes of what --tensors chooses.")
  var list = false

  @OptionGroup var ablation: AblationOptions
  @OptionGroup var model: ModelOption

  func validate() throws {
    if output == nil && !list { throw ValidationError("give a file with --output, or --list") }
    if let output, !output.hasSuffix(".npz") { throw InspectionInputError.noSafetensors }
  }

  func run() throws {
    if let output { try Output.checkWritable(output) }
    let batch = try input.batch(model)
    let pattern = NamePattern(tensors)
    var found: [ObservedTensor] = []
    let observer = Observer(selecting: pattern.matches, tensor: { found.append($0) })
    let (runner, ablation) = (try model.runner(), try ablation.ablation())
    if case .fused(let encoder, _) = runner {
      _ = try encoder.forward(batch, observer: observer, ablation: ablation)
      if found.isEmpty { throw InspectionInputError.noTensor(pattern: tensors, examples: Array(encoder.tensorNames.prefix(8))) }
    } else {
      guard ablation.isEmpty else { throw InspectionInputError.notFused }
      _ = try runner.forward(batch, observer: observer)
      if found.isEmpty { throw InspectionInputError.noTensor(pattern: tensors, examples: runner.outputNames) }
    }
    if list { for tensor in found { try Output.write("\(tensor.name)  \(tensor.shape)") } }
    guard let output else { return }
    var archive = NumPyArchive()
    try archive.add("input_ids", shape: [batch.tokenCount], batch.tokenIDs)
    for tensor in found { try archive.add(tensor.name, shape: tensor.shape, tensor.values) }
    try Output.write(archive.data, toFile: output)
  }
}
