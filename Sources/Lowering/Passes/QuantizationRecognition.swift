import Encoder
import ONNX

/// Recognises values that are quantised and dequantised again.
///
/// Before a linear layer with integer weights, that is how its input is quantised, and the layer keeps it. Everywhere
/// else (a product's result, a residual sum, a softmax) the value is taken as it was before: the
/// encoder computes there in float32, closer to the float model than the file is. What is taken so is listed. Refused are
/// steps so coarse that the file computes another function than the float model, and later, by their recognisers, layer
/// norms and activations that are quantised inside.
enum QuantizationRecognition: Pass {
  static let name = "quantisation"
  static let summary = "quantised and dequantised again: a linear layer's input keeps it, other values are float"

  /// The largest step of an 8-bit quantisation that is taken as float. Its range spans over 1,000, which values between
  /// a BERT's layers do not; masks of −10,000 added to the scores before quantisation do, and leave nothing of the
  /// scores.
  static let maximumStep: Float = 4

  /// The largest step of attention's scores: half of one moves a probability by a factor of up to 1.3.
  static let maximumScoreStep: Float = 0.5

  static func run(_ graph: inout WorkGraph, _ counts: inout [String: Int]) throws(LoweringError) {
    foldQuantizers(&graph, &counts)
    foldVectors(&graph, &counts)
    var tracer = QuantizationTracer(graph)
    tracer.trace()
    try tracer.apply(to: &graph, &counts)
  }

  /// Weights that the graph quantises itself become integers.
  private static func foldQuantizers(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    graph.nodes = graph.nodes.filter { node in
      guard let onnx = node.onnx("QuantizeLinear"), let source = node.input(0), let output = node.outputs.first,
        let weights = graph.constants[source], (1...2).contains(weights.shape.count),
        let values = try? weights.floats(), let scale = node.input(1), let scales = graph.floats(scale),
        let axis = (try? onnx.int("axis", default: 1)).flatMap({
          FactEvaluator.axis(weights.shape.count == 1 ? 0 : $0, rank: weights.shape.count)
        }), scales.count == 1 || scales.count == weights.shape[axis], scales.allSatisfy({ $0 > 0 && $0.isFinite }),
        (try? onnx.int("block_size", default: 0)) == 0,
        let point = node.input(2).flatMap({ graph.constants[$0] }), point.elementType == .int8,
        let zeros = try? point.elements(as: Int8.self), zeros.count == scales.count
      else { return true }
      let stride = axis == weights.shape.count - 1 ? 1 : weights.shape[1]
      let integers = values.indices.map { index in
        let channel = scales.count == 1 ? 0 : index / stride % scales.count
        let quotient = (values[index] / scales[channel]).rounded(.toNearestOrEven)
        return Int8(clamping: Int(max(-1000, min(1000, quotient))) + Int(zeros[channel]))
      }
      guard !values.contains(where: \.isNaN), let folded = try? Tensor(shape: weights.shape, elements: integers) else {
        return true
      }
      graph.constants[output] = folded
      graph.facts[output] = Fact(folded)
      counts["weights", default: 0] += 1
      return false
    }
  }

  private static let integerTypes: Set<ElementType> = [.int8, .uint8, .int16, .uint16, .int32]

  /// Biases and norms that are stored as integers become floats.
  private static func foldVectors(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    graph.nodes = graph.nodes.filter { node in
      guard let onnx = node.onnx("DequantizeLinear"), let source = node.input(0), let output = node.outputs.first,
        let tensor = graph.constants[source], tensor.shape.count <= 1, integerTypes.contains(tensor.elementType),
        let integers = try? tensor.ints(),
        let scale = node.input(1), let scales = graph.floats(scale),
        scales.count == 1 || scales.count == integers.count, (try? onnx.int("block_size", default: 0)) == 0
      else { return true }
      var zeros = [0]
      if let name = node.input(2) {
        guard let point = graph.constants[name], point.elementType == tensor.elementType,
          let values = try? point.ints(), values.count == 1 || values.count == integers.count
        else { return true }
        zeros = values
      }
      let values = integers.indices.map { index in
        Float(integers[index] - zeros[zeros.count == 1 ? 0 : index]) * scales[scales.count == 1 ? 0 : index]
      }
      guard let folded = try? Tensor(shape: tensor.shape, elements: values) else { return true }
      graph.constants[output] = folded
      graph.facts[output] = Fact(folded)
      counts["constants", default: 0] += 1
      return false
    }
  }
}

/// Follows quantised values to where they are dequantised.
private struct QuantizationTracer {
  /// How the integers of a value stand for real numbers.
  enum Code: Equatable {
    case fixed(scale: Float, zeroPoint: Int32, type: ElementType)
    /// By the two other outputs of a DynamicQuantizeLinear.
    case dynamic(scale: String, zeroPoint: String)

    var step: Float? {
      switch self {
      case .fixed(let scale, _, let type): type == .int8 || type == .uint8 ? scale : nil
      case .dynamic: nil
      }
    }

    var activation: DistilBERT.ActivationQuantization? {
      switch self {
      case .fixed(let scale, _, _) where !scale.isFinite: nil
      case .fixed(let scale, let zeroPoint, .int8): .fixed(scale: scale, zeroPoint: zeroPoint, signed: true)
      case .fixed(let scale, let zeroPoint, .uint8): .fixed(scale: scale, zeroPoint: zeroPoint, signed: false)
      case .fixed: nil
      case .dynamic: .dynamic
      }
    }
  }

  struct Quantized {
    var code: Code
    /// The quantised value that it comes from.
    var root: String
    var isMoved: Bool
  }

  private let graph: WorkGraph
  private let matcher: Matcher
  private var quantized: [String: Quantized] = [:]
  /// The value before quantisation, by the quantised one.
  private var originals: [String: String] = [:]
  /// Roots whose moved integers are used as integers.
  private var blocked: Set<String> = []
  /// Dequantised values, by name.
  private var closed: [String: Quantized] = [:]

  init(_ graph: WorkGraph) {
    self.graph = graph
    matcher = Matcher(graph)
  }

  mutating func trace() {
    for node in graph.nodes {
      if let (code, original) = opening(node), let output = node.outputs.first {
        quantized[output] = Quantized(code: code, root: output, isMoved: false)
        originals[output] = original
        continue
      }
      guard let source = node.inputs.first(where: { quantized[$0] != nil }), let value = quantized[source] else {
        continue
      }
      if node.onnx("DequantizeLinear") != nil, node.input(0) == source, code(of: node) == value.code,
        let output = node.outputs.first
      {
        closed[output] = value
      } else if moves(node), node.inputs.first == source {
        for output in node.outputs {
          quantized[output] = Quantized(code: value.code, root: value.root, isMoved: true)
        }
      } else {
        for input in node.inputs { if let value = quantized[input], value.isMoved { blocked.insert(value.root) } }
      }
    }
    for output in graph.outputs { if let value = quantized[output.value] { blocked.insert(value.root) } }
    closed = closed.filter { !blocked.contains($0.value.root) || !$0.value.isMoved }
  }

  /// How a node quantises, and what.
  private func opening(_ node: WorkNode) -> (Code, original: String)? {
    if node.onnx("DynamicQuantizeLinear") != nil, node.outputs.count == 3, let x = node.input(0) {
      return (.dynamic(scale: node.outputs[1], zeroPoint: node.outputs[2]), x)
    }
    guard node.onnx("QuantizeLinear") != nil, let x = node.input(0), !matcher.isConstant(x),
      let code = code(of: node)
    else { return nil }
    return (code, x)
  }

  /// The scale and zero point of a QuantizeLinear or DequantizeLinear node.
  private func code(of node: WorkNode) -> Code? {
    guard let scale = node.input(1) else { return nil }
    // An infinite scale is a file's mistake that is told where it is used.
    if let number = matcher.scalar(scale), number > 0 {
      guard let zero = node.input(2) else {
        guard node.onnx?.attributes["output_dtype"] == nil else { return nil }
        let type = node.onnx("QuantizeLinear") == nil ? node.input(0).flatMap { graph.fact($0).type } : .uint8
        return type.map { .fixed(scale: Float(number), zeroPoint: 0, type: $0) }
      }
      guard let type = graph.fact(zero).type, let point = matcher.scalar(zero).flatMap({ Int32(exactly: $0) }),
        [.int8, .uint8, .int16, .uint16].contains(type)
      else { return nil }
      return .fixed(scale: Float(number), zeroPoint: point, type: type)
    }
    guard let zero = node.input(2), matcher.node(scale, "DynamicQuantizeLinear") != nil else { return nil }
    return .dynamic(scale: scale, zeroPoint: zero)
  }

  /// Whether a node only moves or picks elements of its first input.
  private func moves(_ node: WorkNode) -> Bool {
    switch node.operation {
    case .reshape, .transpose: true
    case .onnx(let onnx):
      onnx.domain.isEmpty && ["Identity", "Gather", "Split", "Slice", "Expand"].contains(onnx.operatorType)
    default: false
    }
  }

  // MARK: Rewriting

  func apply(to graph: inout WorkGraph, _ counts: inout [String: Int]) throws(LoweringError) {
    var sources: [String: String] = [:]
    var nodes: [WorkNode] = []
    for var node in graph.nodes {
      if let output = node.outputs.first, let value = closed[output], let source = node.input(0) {
        let original = value.isMoved ? sources[source] ?? source : originals[value.root] ?? source
        sources[output] = sources[original] ?? original
        continue
      }
      if let moved = node.outputs.first.flatMap({ quantized[$0] }), moved.isMoved, !blocked.contains(moved.root),
        let input = node.inputs.first, let value = quantized[input]
      {
        if !value.isMoved, let original = originals[value.root] { node.inputs[0] = sources[original] ?? original }
        for output in node.outputs { graph.facts[output]?.type = .float }
      }
      node.inputs = node.inputs.map { sources[$0] ?? $0 }
      nodes.append(node)
    }
    try keepInputs(of: graph.nodes, sources: sources, in: &graph, &counts)
    graph.nodes = nodes
    graph.outputs = graph.outputs.map { ($0.name, sources[$0.value] ?? $0.value) }
  }

  /// Keeps how the inputs of linear layers are quantised, and lists all other quantised values.
  private func keepInputs(
    of nodes: [WorkNode], sources: [String: String], in graph: inout WorkGraph, _ counts: inout [String: Int]
  ) throws(LoweringError) {
    let resolver = WeightResolver(matcher)
    var takenAsFloat: Set<String> = []
    for node in nodes {
      switch node.operation {
      // Who uses what they give looks through them.
      case .reshape, .transpose: continue
      default: break
      }
      for (index, input) in node.inputs.enumerated() {
        guard let value = dequantized(input) else { continue }
        let isProduct = node.onnx("MatMul") != nil || node.onnx("Gemm") != nil
        if index == 0, isProduct, let activation = value.code.activation, let name = node.input(1),
          (try? resolver.weights(name))?.quantization != nil, let output = node.outputs.first
        {
          graph.inputQuantization[output] = activation
          counts[activation == .dynamic ? "dynamic inputs" : "fixed inputs", default: 0] += 1
        } else if node.outputs.first.flatMap({ quantized[$0]?.code }) != value.code {
          takenAsFloat.insert(value.root)
        }
      }
    }
    for output in graph.outputs { if let value = dequantized(output.value) { takenAsFloat.insert(value.root) } }
    for node in nodes {
      guard let root = node.outputs.first, takenAsFloat.contains(root) else { continue }
      let step = quantized[root]?.code.step ?? 0
      if step > QuantizationRecognition.maximumStep {
        throw .node(
          operator: node.operatorType, name: node.label,
          expected: "a quantisation that can be taken as float32: steps of at most "
            + "\(QuantizationRecognition.maximumStep), not \(step)")
      }
      let original = originals[root] ?? root
      graph.valuesTakenAsFloat.append((sources[original] ?? original, step))
    }
    counts["taken as float"] = takenAsFloat.isEmpty ? nil : takenAsFloat.count
  }

  /// A dequantised value, seen through reshapes and transposes after it.
  private func dequantized(_ name: String) -> Quantized? {
    var name = name
    while true {
      if let value = closed[name] { return value }
      guard let node = matcher.producer(of: name), let source = node.input(0) else { return nil }
      switch node.operation {
      case .reshape, .transpose: name = source
      default: return nil
      }
    }
  }
}
