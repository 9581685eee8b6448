#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif
import ONNX

private let microsoft = OperatorRegistry.microsoft

/// Floating-point operators of ONNX Runtime that stand for several of ONNX's.
let fusedOperators: [OperatorDefinition] = [
  OperatorDefinition("Gelu", domain: microsoft) { call in [try gelu(try call.input(0))] },
  OperatorDefinition("BiasGelu", domain: microsoft) { call in
    [try gelu(try addition(try call.input(0), try call.input(1)))]
  },
  OperatorDefinition("FastGelu", domain: microsoft) { call in
    let value = try call.input(0)
    return [try tanhGelu(try call.optional(1).map { try addition(value, $0) } ?? value)]
  },
  OperatorDefinition("QuickGelu", domain: microsoft) { call in
    let alpha = try call.node.float("alpha", default: 1.702)
    let function = UnaryFunction(
      float: { $0 / (1 + expf(-alpha * $0)) }, double: { $0 / (1 + exp(-Double(alpha) * $0)) })
    return [try function(try call.input(0))]
  },
  OperatorDefinition("FusedMatMul", domain: microsoft, fusedMatrixProduct),
  OperatorDefinition("SkipLayerNormalization", domain: microsoft) { call in
    var sum = try addition(try call.input(0), try call.input(1))
    if let bias = call.optional(4) { sum = try addition(sum, bias) }
    let result = try normalizedRows(call, sum, scale: try call.input(2), bias: call.optional(3))
    return [result.output, result.mean, result.inverseDeviation, sum]
  },
  OperatorDefinition("EmbedLayerNormalization", domain: microsoft, embeddings),
  OperatorDefinition("QEmbedLayerNormalization", domain: microsoft) { call in
    // Tables, scale and bias are integers here; their scales and then their zero points follow the mask.
    var inputs = call.inputs
    for place in 2...6 {
      guard let table = call.optional(place) else { continue }
      inputs[place] = try dequantized(
        table, scale: try call.input(place + 6), zeroPoint: try call.input(place + 11), layout: .tensor)
    }
    inputs = Array(inputs.prefix(8))
    return try embeddings(Call(node: call.node, inputs: inputs, version: call.version, runGraph: call.runGraph))
  },
  // ONNX Runtime writes its own of these where a graph's operator set lacks them.
  OperatorDefinition("LayerNormalization", domain: microsoft) { call in
    let result = try normalizedRows(
      call, try call.input(0), scale: try call.input(1), bias: call.optional(2), defaultEpsilon: 1e-5)
    return [result.output, result.mean, result.inverseDeviation]
  },
]

/// Layer normalisation of the last dimension with the epsilon of the node.
private func normalizedRows(
  _ call: Call, _ value: Value, scale: Value, bias: Value?, defaultEpsilon: Float = 1e-12
) throws -> (output: Value, mean: Value, inverseDeviation: Value) {
  guard !value.shape.isEmpty else { throw Failure("does not normalise scalars") }
  let epsilon = try call.node.float("epsilon", default: defaultEpsilon)
  var result = try normalized(value, axis: value.shape.count - 1, epsilon: epsilon)
  result.output = try multiplication(result.output, scale)
  if let bias { result.output = try addition(result.output, bias) }
  return result
}

/// `FusedMatMul`: alpha · A B, with operands transposed in their last two dimensions.
@Sendable private func fusedMatrixProduct(_ call: Call) throws -> [Value] {
  for name in ["transBatchA", "transBatchB"] where try call.node.int(name, default: 0) != 0 {
    throw Failure("'\(name)' is not supported")
  }
  func operand(_ index: Int, _ name: String) throws -> Value {
    let value = try call.input(index)
    guard try call.node.int(name, default: 0) != 0, value.shape.count >= 2 else { return value }
    var order = Array(value.shape.indices)
    order.swapAt(order.count - 1, order.count - 2)
    return try value.transposed(order)
  }
  let product = try matrixProduct(try operand(0, "transA"), try operand(1, "transB"))
  return [try scaled(product, by: try call.node.float("alpha", default: 1))]
}

/// `EmbedLayerNormalization`: the sum of word, position and segment embeddings, normalised; and how many tokens of each
/// row the mask keeps.
@Sendable private func embeddings(_ call: Call) throws -> [Value] {
  let ids = try call.input(0)
  guard ids.shape.count == 2 else { throw Failure("needs ids of the shape [batch, tokens], but got \(ids.shape)") }
  let (batch, tokens) = (ids.shape[0], ids.shape[1])
  let places = try call.optional(8)
    ?? Value(shape: [1, tokens], int64s: (0..<tokens).map { Int64($0) })
  var sum = try gather(try call.input(2), ids, axis: 0)
  sum = try addition(sum, try gather(try call.input(3), places, axis: 0))
  if let segments = call.optional(1) { sum = try addition(sum, try gather(try call.input(4), segments, axis: 0)) }
  let output = try normalizedRows(call, sum, scale: try call.input(5), bias: try call.input(6)).output
  var lengths = [Int32](repeating: 0, count: batch)
  if let mask = call.optional(7) {
    guard mask.shape == ids.shape else { throw Failure("a mask of shape \(mask.shape) does not fit the ids") }
    for (index, kept) in try mask.int64s().enumerated() where kept == 1 { lengths[index / tokens] += 1 }
  }
  return [output, try Value(shape: [batch], int32s: lengths), sum]
}
