import ONNX

/// Derives what is known of a node's outputs from what is known of its inputs.
///
/// Every rule follows the operator's document; where a rule does not cover a case, nothing is said of the output.
struct FactEvaluator {
  /// The default domain's operator set.
  let opset: Int

  func outputs(of node: Node, inputs: [Fact?]) -> [Fact] {
    // A wrong attribute means that nothing is known; the recognisers then refuse the node.
    let facts = (try? evaluate(node, inputs)) ?? []
    return (0..<node.outputs.count).map { facts.indices.contains($0) ? facts[$0] : .unknown }
  }

  private func evaluate(_ node: Node, _ inputs: [Fact?]) throws(ONNXError) -> [Fact] {
    let arguments = Arguments(node: node, facts: inputs)
    if node.domain.isEmpty {
      if let fact = try elementwise(arguments) { return [fact] }
      if let fact = try rearrangement(arguments) { return [fact] }
      return try computation(arguments)
    }
    return try contributed(arguments)
  }

  struct Arguments {
    let node: Node
    let facts: [Fact?]

    subscript(_ index: Int) -> Fact { (facts.indices.contains(index) ? facts[index] : nil) ?? .unknown }
    func has(_ index: Int) -> Bool { facts.indices.contains(index) && facts[index] != nil }
    /// An input that older operator sets have as an attribute.
    func ints(_ index: Int, orAttribute name: String) throws(ONNXError) -> [Int]? {
      has(index) ? self[index].ints : try node.optionalInts(name)
    }
  }

  // MARK: Operators that compute floats: shapes only

  private func computation(_ x: Arguments) throws(ONNXError) -> [Fact] {
    let node = x.node
    switch node.operatorType {
    case "Erf", "Tanh", "Round", "Softmax", "LayerNormalization", "Gelu", "Dropout", "Exp", "Sigmoid", "Relu", "LogSoftmax":
      return [Fact(type: x[0].type, shape: x[0].shape)]
    case "MatMul":
      return [Fact(type: x[0].type, shape: Self.matrixProduct(x[0].shape, x[1].shape))]
    case "MatMulInteger":
      return [Fact(type: .int32, shape: Self.matrixProduct(x[0].shape, x[1].shape))]
    case "Gemm":
      guard let a = x[0].shape, let b = x[1].shape, a.count == 2, b.count == 2 else { return [] }
      let rows = try node.int("transA", default: 0) == 0 ? a[0] : a[1]
      let columns = try node.int("transB", default: 0) == 0 ? b[1] : b[0]
      return [Fact(type: x[0].type, shape: [rows, columns])]
    case "DynamicQuantizeLinear":
      return [
        Fact(type: .uint8, shape: x[0].shape), Fact(type: .float, shape: []), Fact(type: .uint8, shape: []),
      ]
    case "QuantizeLinear": return [Fact(type: x.has(2) ? x[2].type : .uint8, shape: x[0].shape)]
    case "DequantizeLinear": return [Fact(type: x[1].type, shape: x[0].shape)]
    case "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd":
      guard let shape = x[0].shape, let axes = try x.ints(1, orAttribute: "axes") else { return [] }
      let axesSet = Set(axes.map { $0 < 0 ? $0 + shape.count : $0 })
      let keep = try node.int("keepdims", default: 1) != 0
      var reduced: [Size] = []
      for (axis, size) in shape.enumerated() {
        if !axesSet.contains(axis) { reduced.append(size) } else if keep { reduced.append(Size(1)) }
      }
      var result = Fact(type: x[0].type, shape: reduced)
      if node.operatorType == "ReduceSum", shape.count == 2, axesSet == [1], !keep,
        case .mask(_, _, let one, let zero) = x[0].content, one.int == 1, zero.int == 0
      {
        result.content = .lengths
      }
      return [result]
    case "Split":
      guard let shape = x[0].shape else { return [] }
      guard let axis = Self.axis(try node.int("axis", default: 0), rank: shape.count) else { return [] }
      let count = node.outputs.count
      let sizes: [Int]
      if let given = try x.ints(1, orAttribute: "split") {
        sizes = given
      } else {
        guard let size = shape[axis].constant, count > 0, size % count == 0 else { return [] }
        sizes = Array(repeating: size / count, count: count)
      }
      guard sizes.count == count else { return [] }
      return sizes.map { size in
        var part = shape
        part[axis] = Size(size)
        return Fact(type: x[0].type, shape: part)
      }
    case "Attention":
      // ONNX Attention-23 gives Q's shape with V's head size; only equal head sizes are lowered.
      return [Fact(type: x[0].type, shape: x[0].shape)]
    default: return []
    }
  }

  private func contributed(_ x: Arguments) throws(ONNXError) -> [Fact] {
    switch x.node.operatorType {
    case "Gelu":
      return [Fact(type: x[0].type, shape: x[0].shape)]
    default: return []
    }
  }

  // MARK: Shapes

  static func axis(_ axis: Int, rank: Int) -> Int? {
    let positive = axis < 0 ? axis + rank : axis
    return (0..<rank).contains(positive) ? positive : nil
  }

  static func broadcast(_ shapes: [[Size]]) -> [Size]? {
    let rank = shapes.map(\.count).max() ?? 0
    var result = [Size](repeating: Size(1), count: rank)
    for shape in shapes {
      for (index, size) in shape.enumerated() {
        let position = rank - shape.count + index
        if size == result[position] || size == Size(1) { continue }
        guard result[position] == Size(1) else { return nil }
        result[position] = size
      }
    }
    return result
  }

  static func matrixProduct(_ a: [Size]?, _ b: [Size]?) -> [Size]? {
    guard let a, let b, a.count >= 2, b.count >= 2, a[a.count - 1] == b[b.count - 2] else { return nil }
    guard let batch = broadcast([Array(a.dropLast(2)), Array(b.dropLast(2))]) else { return nil }
    return batch + [a[a.count - 2], b[b.count - 1]]
  }
}
