import Encoder
import ONNX

/// The passes in their order.
struct Lowering {
  private let model: Model
  private var graph: WorkGraph
  private let requested: RequestedOutputs
  private let expansion: PassReport
  private let takesMaskAsLength: Bool

  private static let passes: [any Pass.Type] = [
    ConstantFolding.self, ShapeArithmetic.self, IdentityRemoval.self, MaskRecognition.self,
    QuantizationRecognition.self, LayerNormRecognition.self, LinearRecognition.self, GELURecognition.self,
    AttentionRecognition.self, EmbeddingRecognition.self,
  ]

  init(_ model: Model) throws(LoweringError) {
    self.model = model
    requested = try RequestedOutputs(model.graph.outputs)
    let fused: FusedOperators
    (graph, fused) = try WorkGraph.expanding(
      model.graph, opset: Int(clamping: model.opsetImports[""] ?? 0), outputs: requested.names)
    takesMaskAsLength = fused.takesMaskAsLength
    expansion = PassReport(
      name: "fused operators", summary: "fused and quantised operators become the nodes that they stand for",
      counts: fused.counts, nodesBefore: model.graph.nodes.count, nodesAfter: graph.nodes.count)
  }

  func run() throws(LoweringError) -> LoweredModel {
    var graph = graph
    var reports = [expansion]
    for pass in Self.passes {
      let before = graph.nodes.count
      var counts: [String: Int] = [:]
      try pass.run(&graph, &counts)
      graph.removeDeadNodes()
      reports.append(
        PassReport(
          name: pass.name, summary: pass.summary, counts: counts, nodesBefore: before, nodesAfter: graph.nodes.count))
    }
    let assembly = EncoderAssembly(graph)
    let (encoder, outputs, layerOutputs) = try assembly.assemble(requested)
    let roles = graph.inputs
    var used = usedInputs()
    let mask = try assembly.isMasked() ? roles.attentionMask : nil
    if let name = roles.attentionMask, mask == nil { used.remove(name) }
    let types = roles.tokenTypes.flatMap { used.contains($0) ? $0 : nil }
    return LoweredModel(
      model: encoder, passes: reports, opset: Int64(graph.opset),
      producer: [model.producerName, model.producerVersion].filter { !$0.isEmpty }.joined(separator: " "),
      weightPrecision: WeightPrecision.describe(encoder),
      inputs: LoweredModel.Inputs(
        inputIDs: roles.inputIDs, attentionMask: mask, maskIsLength: takesMaskAsLength, tokenTypes: types,
        unused: model.graph.inputs.map(\.name).filter { !used.contains($0) }),
      outputs: outputs, layerOutputs: layerOutputs)
  }

  /// The inputs that the outputs depend on.
  private func usedInputs() -> Set<String> {
    graph.nodes.reduce(into: Set<String>()) { $0.formUnion($1.inputs) }
  }
}

/// Which of a graph's outputs are lowered.
enum RequestedOutputs {
  case spans(start: String, end: String)
  case single(String)

  /// Start and end logits where there are both, else the first output.
  init(_ outputs: [ValueInfo]) throws(LoweringError) {
    func first(_ part: String) -> String? { outputs.first { $0.name.lowercased().contains(part) }?.name }
    if let start = first("start"), let end = first("end"), start != end {
      self = .spans(start: start, end: end)
    } else if let output = outputs.first {
      self = .single(output.name)
    } else {
      throw .interface(name: "outputs", expected: "at least one output")
    }
  }

  var names: [String] {
    switch self {
    case .spans(let start, let end): [start, end]
    case .single(let name): [name]
    }
  }
}

extension WorkGraph {
  /// A graph as far as the given outputs need it, fused operators written out, with what is known of its values.
  static func expanding(
    _ source: Graph, opset: Int, outputs names: [String]
  ) throws(LoweringError) -> (WorkGraph, FusedOperators) {
    let roles = try InputRoles(source.inputs)
    var facts = roles.facts(source.inputs)
    var fused = FusedOperators(constants: source.initializers, attentionMask: roles.attentionMask)
    let evaluator = FactEvaluator(opset: opset)
    for (name, tensor) in source.initializers { facts[name] = Fact(tensor) }
    var nodes: [WorkNode] = []
    for original in source.nodes {
      let expansion = fused.expand(original, facts: facts)
      for (name, tensor) in expansion.constants { facts[name] = Fact(tensor) }
      for node in expansion.nodes {
        let outputs = evaluator.outputs(of: node, inputs: node.inputs.map { $0.isEmpty ? nil : facts[$0] ?? .unknown })
        for (name, fact) in zip(node.outputs, outputs) where !name.isEmpty { facts[name] = fact }
        nodes.append(WorkNode(node, operatorType: original.operatorType))
      }
    }
    var graph = WorkGraph(
      nodes: nodes, constants: fused.constants, facts: facts, inputs: roles, outputs: names.map { ($0, $0) },
      opset: opset, batch: roles.batch, sequence: roles.sequence, remarks: fused.remarks)
    graph.removeDeadNodes()
    return (graph, fused)
  }
}
