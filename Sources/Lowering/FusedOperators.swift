import ONNX

/// Writes ONNX Runtime's fused operators (domain `com.microsoft`) as the standard nodes that they stand for, so that every check
/// on those holds for them too.
///
/// Their meaning: the operator documents of ONNX Runtime (ContribOperators). A form not covered here stays as it is, and is the
/// node that an error names.
struct FusedOperators {
  private(set) var graph: Graph
  private(set) var counts: [String: Int] = [:]

  init(expandedIn graph: Graph) {
    self.graph = graph
    var nodes: [Node] = []
    for node in graph.nodes {
      if node.domain == "com.microsoft", let expansion = try? expand(node) {
        nodes += expansion
        counts[node.operatorType, default: 0] += 1
      } else {
        nodes.append(node)
      }
    }
    self.graph.nodes = nodes
  }

  private mutating func expand(_ node: Node) throws -> [Node]? {
    switch node.operatorType {
    case "BiasGelu": biasGELU(node)
    case "FastGelu": fastGELU(node)
    case "SkipLayerNormalization": try skipLayerNorm(node)
    case "MatMulNBits": try blockQuantisedProduct(node)
    default: nil
    }
  }

  /// A node that bears the fused node's label, so that errors name it.
  private func node(
    _ type: String, of fused: Node, _ inputs: [String], _ output: String, _ attributes: [String: Attribute] = [:]
  ) -> Node {
    Node(name: fused.label, operatorType: type, inputs: inputs, outputs: [output], attributes: attributes)
  }

  private func name(_ part: String, of node: Node) -> String { "\(node.outputs.first ?? node.name)/fused/\(part)" }

  private func biasGELU(_ fused: Node) -> [Node]? {
    guard fused.inputs.count == 2, let output = fused.output(0) else { return nil }
    let sum = name("sum", of: fused)
    return [node("Add", of: fused, fused.inputs, sum), node("Gelu", of: fused, [sum], output)]
  }

  private func fastGELU(_ fused: Node) -> [Node]? {
    guard let x = fused.input(0), let output = fused.output(0) else { return nil }
    let tanh: [String: Attribute] = ["approximate": .string("tanh")]
    guard let bias = fused.input(1) else { return [node("Gelu", of: fused, [x], output, tanh)] }
    let sum = name("sum", of: fused)
    return [node("Add", of: fused, [x, bias], sum), node("Gelu", of: fused, [sum], output, tanh)]
  }

  /// Normalises input + skip (+ bias); a fourth output is that sum.
  private func skipLayerNorm(_ fused: Node) throws -> [Node]? {
    guard let x = fused.input(0), let skip = fused.input(1), let scale = fused.input(2), let output = fused.output(0),
      fused.output(1) == nil, fused.output(2) == nil
    else { return nil }
    var nodes: [Node] = []
    var value = x
    if let bias = fused.input(4) {
      // The bias belongs to the linear layer, the input that is not the residual; the sum is the same.
      let side = graph.nodes.contains { $0.outputs.contains(x) && $0.operatorType.contains("MatMul") } ? x : skip
      value = name("biased", of: fused)
      nodes.append(node("Add", of: fused, [side, bias], value))
      let sum = fused.output(3) ?? name("sum", of: fused)
      nodes.append(node("Add", of: fused, [value, side == x ? skip : x], sum))
      value = sum
    } else {
      value = fused.output(3) ?? name("sum", of: fused)
      nodes.append(node("Add", of: fused, [x, skip], value))
    }
    let epsilon = try fused.float("epsilon", default: 1e-12)
    let inputs = [value, scale] + (fused.input(3).map { [$0] } ?? [])
    nodes.append(
      node("LayerNormalization", of: fused, inputs, output, ["epsilon": .float(epsilon), "axis": .int(-1)]))
    return nodes
  }

  /// 4-bit weights in blocks along the inputs, dequantised to float32.
  private mutating func blockQuantisedProduct(_ fused: Node) throws -> [Node]? {
    guard let x = fused.input(0), let output = fused.output(0), let packed = fused.input(1).flatMap({ graph.initializers[$0] }),
      let scaleTensor = fused.input(2).flatMap({ graph.initializers[$0] }), fused.input(4) == nil, fused.input(5) == nil,
      packed.elementType == .uint8
    else { return nil }
    let (inputs, outputs) = (try fused.int("K"), try fused.int("N"))
    let block = try fused.int("block_size")
    guard try fused.int("bits", default: 4) == 4, (1...1 << 20).contains(inputs), (1...1 << 20).contains(outputs),
      block >= 16, block <= 4096, block % 2 == 0
    else { return nil }
    let blocks = (inputs + block - 1) / block
    let bytes = try packed.elements(as: UInt8.self)
    let scales = try scaleTensor.floats()
    guard bytes.count == outputs * blocks * (block / 2), scales.count == outputs * blocks else { return nil }
    var zeros: [UInt8]?
    let zeroStride = (blocks + 1) / 2
    if let name = fused.input(3) {
      guard let tensor = graph.initializers[name], tensor.elementType == .uint8 else { return nil }
      let values = try tensor.elements(as: UInt8.self)
      guard values.count == outputs * zeroStride else { return nil }
      zeros = values
    }
    func nibble(_ byte: UInt8, _ index: Int) -> Float { Float(index % 2 == 0 ? byte & 0x0F : byte >> 4) }
    var values = [Float](repeating: 0, count: outputs * inputs)
    for row in 0..<outputs {
      for column in 0..<inputs {
        let (index, offset) = column.quotientAndRemainder(dividingBy: block)
        let byte = bytes[(row * blocks + index) * (block / 2) + offset / 2]
        let zero = zeros.map { nibble($0[row * zeroStride + index / 2], index) } ?? 8
        values[row * inputs + column] = (nibble(byte, offset) - zero) * scales[row * blocks + index]
      }
    }
    let (table, transposed) = (name("weights", of: fused), name("transposed", of: fused))
    graph.initializers[table] = try Tensor(name: table, shape: [outputs, inputs], elements: values)
    return [
      node("Transpose", of: fused, [table], transposed, ["perm": .ints([1, 0])]),
      node("MatMul", of: fused, [x, transposed], output),
    ]
  }
}
