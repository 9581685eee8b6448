import ArgumentParser
import Checkpoints
import Encoder
import Inspection
import Observation
import SpanQA

/// `spanqa dump`
struct DumpCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dump",
    abstract: "Writes intermediate values of a pass for NumPy, or as safetensors.",
    discussion: """
      --tensors chooses by name: * stands for any characters, commas separate patterns, as in \
      'embeddings,layer.*.attention.probabilities'. docs/inside.md lists the names and shapes; --list prints the names. A graph that \
      runs node by node has the names of its own values. What products in int8 multiply is called *.int8.*. The file holds \
      input_ids too; numpy.load reads an .npz, the safetensors library a .safetensors.
      """)

  @OptionGroup var input: InspectionInput

  @Option(help: ArgumentHelp("Which values, by name.", valueName: "pattern,pattern,…"))
  var tensors = "*"

  @Option(help: ArgumentHelp("Where the values go: a name that ends in .npz or .safetensors.", valueName: "file"))
  var output: String?

  @Flag(help: "Print the names and shapes of what --tensors chooses.")
  var list = false

  @OptionGroup var ablation: AblationOptions
  @OptionGroup var model: ModelOption

  private static let safetensors = ".safetensors"

  func validate() throws {
    if output == nil && !list { throw ValidationError("give a file with --output, or --list") }
    if let output, !output.hasSuffix(".npz"), !output.hasSuffix(Self.safetensors) {
      throw ValidationError("--output takes a name that ends in .npz or .safetensors")
    }
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
      guard ablation.isEmpty else { throw InspectionError.notFused }
      _ = try runner.forward(batch, observer: observer)
      if found.isEmpty { throw InspectionInputError.noTensor(pattern: tensors, examples: runner.outputNames) }
    }
    if list { for tensor in found { try Output.write("\(tensor.name)  \(tensor.shape)  \(tensor.elements.typeName)") } }
    guard let output else { return }
    let ids = ObservedTensor(name: "input_ids", shape: [batch.tokenCount], elements: .int32(batch.tokenIDs))
    if output.hasSuffix(Self.safetensors) {
      try Checkpoint.writeSafetensors(
        ([ids] + found).map(Checkpoint.Tensor.init), metadata: ["precision": model.precision.rawValue], to: output)
      return
    }
    var archive = NumPyArchive()
    for tensor in [ids] + found { try archive.add(tensor.name, shape: tensor.shape, tensor.elements) }
    try Output.write(archive.data, toFile: output)
  }
}

extension Checkpoint.Tensor {
  fileprivate init(_ tensor: ObservedTensor) {
    let (type, bytes): (Checkpoint.ElementType, ConstantBytes) =
      switch tensor.elements {
      case .float32(let values): (.float32, ConstantBytes(values))
      case .int32(let values): (.int32, ConstantBytes(values))
      case .int8(let values): (.int8, ConstantBytes(values))
      case .uint8(let values): (.uint8, ConstantBytes(values))
      }
    self.init(name: tensor.name, shape: tensor.shape, elementType: type, bytes: bytes)
  }
}
