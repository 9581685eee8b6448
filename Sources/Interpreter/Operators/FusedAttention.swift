import ONNX

private let microsoft = OperatorRegistry.microsoft

/// Attention as ONNX Runtime's operators define it.
let fusedAttentionOperators: [OperatorDefinition] = [
  OperatorDefinition("Attention", domain: microsoft) { call in
    var projected = try matrixProduct(try call.input(0), try call.input(1))
    if let bias = call.optional(2) { projected = try addition(projected, bias) }
    guard !call.wants(1), call.optional(4) == nil else { throw Failure("past keys and values are not supported") }
    return [try attention(call, projected, mask: call.optional(3), bias: call.optional(5))]
  },
  OperatorDefinition("QAttention", domain: microsoft) { call in
    guard !call.wants(1), call.optional(8) == nil else { throw Failure("past keys and values are not supported") }
    let projected = try integerProduct(
      try call.input(0), try call.input(1), zeroPoints: (call.optional(6), call.optional(7)),
      scales: (try call.input(3), try call.input(4)))
    return [try attention(call, try addition(projected, try call.input(2)), mask: call.optional(5), bias: nil)]
  },
  OperatorDefinition("MultiHeadAttention", domain: microsoft, multiHeadAttention),
]

/// Attention of one projection, `[batch, tokens, queries | keys | values]`.
private func attention(_ call: Call, _ projected: Value, mask: Value?, bias: Value?) throws -> Value {
  let heads = try call.node.int("num_heads")
  guard projected.shape.count == 3 else { throw Failure("needs an input of three dimensions") }
  let third = projected.shape[2] / 3
  let sizes = try call.node.ints("qkv_hidden_sizes", default: [third, third, third])
  guard sizes.count == 3, sizes.allSatisfy({ (0...projected.shape[2]).contains($0) }), sizes.reduce(0, &+) == projected.shape[2] else {
    throw Failure("a projection of \(projected.shape[2]) columns does not hold \(sizes)")
  }
  guard try call.node.int("do_rotary", default: 0) == 0 else { throw Failure("rotary positions are not supported") }
  var start = 0
  let parts = try sizes.map { size in
    var view = View(of: projected.shape)
    view.shape[2] = size
    view.start = start
    start += size
    return try splitHeads(projected.picking(view.indices(), shape: view.shape), heads)
  }
  return try mergeHeads(try headAttention(call, mask: mask, bias: bias, parts[0], parts[1])(parts[0], parts[1], parts[2]))
}

/// The scale and masks that a node's attributes ask for.
private func headAttention(
  _ call: Call, mask: Value?, bias: Value?, _ query: Value, _ key: Value
) throws -> HeadAttention {
  let own = try call.node.float("scale", default: 0)
  var head = HeadAttention(scale: own == 0 ? 1 / Float(query.shape[3]).squareRoot() : own)
  let (batch, queries, keys) = (query.shape[0], query.shape[2], key.shape[2])
  head.isCausal = try call.node.int("unidirectional", default: 0) != 0
  head.causalOffset = keys - queries
  head.bias = bias
  guard let mask else { return head }
  let filter = try call.node.float("mask_filter_value", default: -10000)
  let kept = try keptKeys(mask, batch: batch, queries: queries, keys: keys)
  let floats = kept.elements.map { $0 ? Float(0) : filter }
  let added = try cast(try Value(shape: kept.shape, floats: floats), to: query.elementType)
  head.bias = try bias.map { try addition($0, added) } ?? added
  return head
}

/// Which keys a mask keeps, in a shape that broadcasts to `[batch, heads, queries, keys]`. ONNX Runtime's masks hold a 1
/// for each key kept, or the number of keys kept of each row, or the end and then the start of each row's keys.
private func keptKeys(
  _ mask: Value, batch: Int, queries: Int, keys: Int
) throws -> (elements: [Bool], shape: [Int]) {
  let elements = try mask.ints()
  switch mask.shape {
  case [batch, keys]: return (elements.map { $0 > 0 }, [batch, 1, 1, keys])
  case [batch, queries, keys]: return (elements.map { $0 > 0 }, [batch, 1, queries, keys])
  case [batch, 1, queries, keys]: return (elements.map { $0 > 0 }, mask.shape)
  case [batch], [2 * batch]:
    let kept = (0..<batch).flatMap { row in
      let start = elements.count > batch ? elements[batch + row] : 0
      return (0..<keys).map { $0 >= start && $0 < elements[row] }
    }
    return (kept, [batch, 1, 1, keys])
  default: throw Failure("a mask of shape \(mask.shape) is not supported")
  }
}

@Sendable private func multiHeadAttention(_ call: Call) throws -> [Value] {
  guard !call.wants(1), call.optional(6) == nil, call.optional(7) == nil else {
    throw Failure("past keys and values are not supported")
  }
  let heads = try call.node.int("num_heads")
  let query = try call.input(0)
  guard query.shape.count == 3 else { throw Failure("packed queries are not supported") }
  let (key, value) = (try call.input(1), try call.input(2))
  // One bias for queries, keys and values, in this order.
  var start = 0
  func projected(_ operand: Value) throws -> Value {
    guard operand.shape.count == 3 else {
      guard call.optional(3) == nil else { throw Failure("a bias of split keys is not supported") }
      return operand
    }
    guard let bias = call.optional(3) else { return try splitHeads(operand, heads) }
    let size = operand.shape[2]
    guard bias.shape.count == 1, size <= bias.count - start else { throw Failure("a bias is too short") }
    let part = bias.picking(Array(start..<start + size), shape: [size])
    start += size
    return try splitHeads(try addition(operand, part), heads)
  }
  let (queries, keys, values) = (try projected(query), try projected(key), try projected(value))
  guard keys.shape.count == 4, values.shape.count == 4 else {
    throw Failure("needs keys and values of three or four dimensions")
  }
  let head = try headAttention(call, mask: call.optional(4), bias: call.optional(5), queries, keys)
  return [try mergeHeads(try head(queries, keys, values))]
}
