import Encoder
import ONNX

/// Recognises values that are quantised and dequantised again, wherever they stand: each becomes one operation.
///
/// Which places an encoder can have them at is told by the recognisers of its operations: those look through them and keep
/// them. Where none does (inside a layer norm, say), the graph is refused.
enum QuantizationRecognition: Pass {
  static let name = "quantisation"
  static let summary = "quantised and dequantised again: one operation that rounds"

  static func run(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    foldQuantizers(&graph, &counts)
    foldVectors(&graph, &counts)
    writeOutProducts(&graph, &counts)
    var tracer = QuantizationTracer(graph)
    tracer.trace()
    tracer.apply(to: &graph, &counts)
  }

  /// Weights and other constants that the graph quantises itself become integers.
  private static func foldQuantizers(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    graph.nodes = graph.nodes.filter { node in
      guard let onnx = node.onnx("QuantizeLinear"), let source = node.input(0), let output = node.outputs.first,
        let weights = graph.constants[source], weights.shape.count <= 2,
        let values = try? weights.floats(), let scale = node.input(1), let scales = graph.floats(scale),
        let axis = try? onnx.int("axis", default: 1), scales.allSatisfy({ $0 > 0 && $0.isFinite }),
        let stride = stride(ofChannels: scales.count, along: axis, shape: weights.shape),
        (try? onnx.int("block_size", default: 0)) == 0,
        let point = node.input(2).flatMap({ graph.constants[$0] }), [.int8, .uint8].contains(point.elementType),
        let zeros = try? point.ints(), zeros.count == scales.count, !values.contains(where: \.isNaN)
      else { return true }
      let integers = values.indices.map { index in
        let channel = index / stride % scales.count
        let quotient = (values[index] / scales[channel]).rounded(.toNearestOrEven)
        return Int(max(-1000, min(1000, quotient))) + Int(zeros[channel])
      }
      let tensor =
        point.elementType == .int8
        ? try? Tensor(shape: weights.shape, elements: integers.map { Int8(clamping: $0) })
        : try? Tensor(shape: weights.shape, elements: integers.map { UInt8(clamping: $0) })
      guard let folded = tensor else { return true }
      graph.constants[output] = folded
      graph.facts[output] = Fact(folded)
      counts["weights", default: 0] += 1
      return false
    }
  }

  /// A product of two values that are both quantised as they come becomes the product of the two, dequantised.
  private static func writeOutProducts(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    let matcher = Matcher(graph)
    graph.nodes = graph.nodes.flatMap { node -> [WorkNode] in
      guard node.onnx("Mul") != nil, let output = node.outputs.first,
        let (product, scale) = matcher.pairs(node).lazy.compactMap({ sums, scale in
          matcher.node(sums, "Cast").flatMap { matcher.node($0.input(0), "MatMulInteger") }.map { ($0, scale) }
        }).first,
        product.inputs.count == 4, let scales = matcher.node(scale, "Mul")
      else { return [node] }
      let quantizers = [0, 1].compactMap { side -> WorkNode? in
        guard let quantizer = matcher.node(product.inputs[side], "DynamicQuantizeLinear"),
          quantizer.outputs[0] == product.inputs[side], quantizer.outputs[2] == product.inputs[side + 2]
        else { return nil }
        return quantizer
      }
      guard quantizers.count == 2, scales.inputs.sorted() == quantizers.map({ $0.outputs[1] }).sorted() else { return [node] }
      let sides = zip(quantizers, ["left", "right"]).map { quantizer, side in
        let name = "\(output)/\(side)"
        graph.facts[name] = quantizer.input(0).map(graph.fact) ?? .unknown
        return WorkNode(
          Node(operatorType: "DequantizeLinear", inputs: quantizer.outputs, outputs: [name]), operatorType: node.operatorType)
      }
      counts["products of two such values", default: 0] += 1
      let matrices = Node(operatorType: "MatMul", inputs: sides.flatMap(\.outputs), outputs: [output])
      return sides + [node.becoming(.onnx(matrices), inputs: matrices.inputs)]
    }
  }

  /// How many elements lie between one channel and the next; nil where the channels do not fit.
  private static func stride(ofChannels count: Int, along axis: Int, shape: [Int]) -> Int? {
    if count == 1 { return 1 }
    guard let axis = FactEvaluator.axis(shape.count == 1 ? 0 : axis, rank: shape.count), shape[axis] == count else { return nil }
    return shape[(axis + 1)...].reduce(1, *)
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

    /// What quantising and dequantising does to a value; nil where that is not understood.
    var quantization: ValueQuantization? {
      guard case .fixed(let scale, let zeroPoint, let type) = self else { return .dynamic }
      let integers: Rounding.Integers
      switch type {
      case .int8: integers = .int8
      case .uint8: integers = .uint8
      case .int16: integers = .int16
      case .uint16: integers = .uint16
      default: return nil
      }
      return Rounding(scale: scale, zeroPoint: zeroPoint, integers: integers).map { .fixed($0) }
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
        value.code.quantization != nil, let output = node.outputs.first
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
    guard let scale = node.input(1), let onnx = node.onnx else { return nil }
    // The division's and the result's types, which operator set 23 lets a node choose.
    for name in ["precision", "output_dtype"] where node.onnx("DequantizeLinear") != nil || name == "precision" {
      guard [0, 1].contains((try? onnx.int(name, default: 0)) ?? -1) else { return nil }
    }
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

  func apply(to graph: inout WorkGraph, _ counts: inout [String: Int]) {
    /// Values that stand for others, by those.
    var sources: [String: String] = [:]
    /// What was made of a value and a code already: a value that is dequantised for each of its users is one value.
    var made: [String: [(code: Code, output: String)]] = [:]
    var nodes: [WorkNode] = []
    for var node in graph.nodes {
      if let output = node.outputs.first, let value = closed[output], let integers = node.input(0),
        let quantization = value.code.quantization
      {
        let original = value.isMoved ? integers : originals[value.root] ?? integers
        let source = sources[original] ?? original
        if let known = made[source]?.first(where: { $0.code == value.code }) {
          sources[output] = known.output
          continue
        }
        made[source, default: []].append((value.code, output))
        nodes.append(node.becoming(.quantization(quantization), inputs: [source]))
        counts[quantization == .dynamic ? "from their own range" : "with fixed scales", default: 0] += 1
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
    graph.nodes = nodes
    graph.outputs = graph.outputs.map { ($0.name, sources[$0.value] ?? $0.value) }
  }
}
