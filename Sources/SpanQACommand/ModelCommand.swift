import ArgumentParser
import Encoder
import Lowering

/// `spanqa model`
struct ModelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model",
    abstract: "Shows what was recognised in a model's file, and what runs each linear layer.")

  @OptionGroup var model: ModelOption

  @Flag(help: "Print what each pass over the graph did.")
  var passes = false

  @Flag(help: "Print a JSON object.")
  var json = false

  func run() throws {
    let onnx = try model.onnx()
    let lowered = try LoweredModel(onnx)
    let facts = Self.facts(of: lowered)
    let linear = try CPUBackend(
      for: lowered.model, threads: model.threads, precision: model.precision, gemm: model.gemm
    ).linearReports(of: lowered.model)
    if json {
      var members = facts.map { ($0.key, $0.value) }
      members.append(("linear_layers", .array(linear.map(JSON.init))))
      if passes { members.append(("passes", .array(lowered.passes.map(JSON.init)))) }
      try Output.write(JSON.object(members).text)
      return
    }
    let width = facts.map(\.key.count).max() ?? 0
    for fact in facts {
      let name = fact.key.replacing("_", with: " ")
      try Output.write(name + String(repeating: " ", count: width - name.count + 2) + fact.value.plainText)
    }
    try Output.write("")
    for line in Self.table(of: linear).lines { try Output.write(line) }
    if passes {
      for pass in lowered.passes {
        try Output.write("\n\(pass.name): \(pass.summary) (\(pass.nodesBefore) nodes, then \(pass.nodesAfter))")
        for (form, count) in pass.counts.sorted(by: { $0.key < $1.key }) {
          try Output.write("  \(form): \(count)")
        }
      }
    }
  }

  private static func table(of layers: [LinearReport]) -> TextTable {
    var table = TextTable([
      ("linear layer", .left), ("size", .right), ("weights", .left), ("scales", .left), ("input", .left), ("kernel", .left),
      ("bytes", .right),
    ])
    for layer in layers {
      table.add([
        layer.name, "\(layer.inputs)×\(layer.outputs)", layer.weights, layer.scales, layer.input, layer.kernel,
        "\(layer.byteCount)",
      ])
    }
    return table
  }

  private static func facts(of lowered: LoweredModel) -> [(key: String, value: JSON)] {
    let configuration = lowered.model.configuration
    var inputs = [lowered.inputs.inputIDs] + [lowered.inputs.attentionMask, lowered.inputs.tokenTypes].compactMap(\.self)
    inputs += lowered.inputs.unused.map { "\($0) (unused)" }
    let outputs: [String] =
      switch lowered.outputs {
      case .spans(let start, let end): [start, end]
      case .logits(let name, let width): ["\(name) (\(width) values a token)"]
      case .hiddenState(let name, let width): ["\(name) (hidden state, \(width) values a token)"]
      }
    return [
      ("kind", .string(configuration.tokenTypes > 0 ? "BERT encoder" : "DistilBERT encoder")),
      ("layers", .integer(configuration.layers)),
      ("hidden", .integer(configuration.hidden)),
      ("heads", .integer(configuration.heads)),
      ("feed_forward", .integer(configuration.feedForward)),
      ("activation", .string(configuration.activation.rawValue)),
      ("vocabulary", .integer(configuration.vocabulary)),
      ("positions", .integer(configuration.positions)),
      ("token_types", .integer(configuration.tokenTypes)),
      ("weights", .string(lowered.weightPrecision)),
      ("word_embeddings", .string(lowered.model.embeddings.words.description)),
      ("quantised_between_operations", .integer(lowered.model.roundings?.count ?? 0)),
      ("weight_bytes", .integer(lowered.model.weightByteCount)),
      ("opset", .integer(Int(lowered.opset))),
      ("producer", .string(lowered.producer)),
      ("inputs", .array(inputs.map(JSON.string))),
      ("outputs", .array(outputs.map(JSON.string))),
    ]
  }
}

extension DistilBERT.EmbeddingTable {
  fileprivate var description: String {
    let scales = quantization.map { $0.scales.count == 1 ? ", one scale" : ", a scale a row" } ?? ""
    return "\(values.elementType.rawValue)\(scales), \(values.bytes.count) bytes"
  }
}

extension LinearReport {
  /// The type that is multiplied, and the file's where it is another.
  fileprivate var weights: String {
    computedType == storedType ? computedType.rawValue : "\(computedType.rawValue), stored as \(storedType.rawValue)"
  }

  fileprivate var scales: String {
    switch scaleCount {
    case 0: "none"
    case 1: "per tensor"
    default: "per channel"
    }
  }

  fileprivate var input: String {
    let numbers =
      switch activation {
      case nil: "float32"
      case .dynamic: "int8 by row"
      case .fixed(let scale, let zeroPoint, let signed): "\(signed ? "int8" : "uint8") \(scale), zero \(zeroPoint)"
      }
    return isSmoothed ? numbers + ", smoothed" : numbers
  }
}

extension JSON {
  fileprivate init(_ layer: LinearReport) {
    var members: [(String, JSON)] = [
      ("name", .string(layer.name)), ("inputs", .integer(layer.inputs)), ("outputs", .integer(layer.outputs)),
      ("stored_type", .string(layer.storedType.rawValue)), ("computed_type", .string(layer.computedType.rawValue)),
      ("scales", .integer(layer.scaleCount)), ("smoothed", .bool(layer.isSmoothed)),
    ]
    switch layer.activation {
    case nil: members.append(("activation", "float32"))
    case .dynamic: members.append(("activation", "dynamic"))
    case .fixed(let scale, let zeroPoint, let signed):
      members.append(("activation", "fixed"))
      members.append(("activation_type", signed ? "int8" : "uint8"))
      members.append(("activation_scale", .float(scale)))
      members.append(("activation_zero_point", .integer(Int(zeroPoint))))
    }
    self = .object(members + [("kernel", .string(layer.kernel)), ("bytes", .integer(layer.byteCount))])
  }

  fileprivate init(_ pass: PassReport) {
    self = .object([
      ("name", .string(pass.name)), ("summary", .string(pass.summary)),
      ("counts", .object(pass.counts.sorted { $0.key < $1.key }.map { ($0.key, .integer($0.value)) })),
      ("nodes_before", .integer(pass.nodesBefore)), ("nodes_after", .integer(pass.nodesAfter)),
    ])
  }

  /// A fact as a person reads it.
  fileprivate var plainText: String {
    switch self {
    case .string(let text): text
    case .array(let values): values.map(\.plainText).joined(separator: ", ")
    default: text
    }
  }
}
