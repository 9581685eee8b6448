#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif
import ONNX

/// Attention as ONNX defines it.
let attentionOperators: [OperatorDefinition] = [OperatorDefinition("Attention", since: 23, attention)]

/// Softmax(scale · Q Kᵀ + bias) V of one or more heads.
struct HeadAttention {
  /// What scores are multiplied by.
  var scale: Float
  /// Added to the scores; of a shape that broadcasts to `[batch, heads, queries, keys]`.
  var bias: Value?
  /// Scores s become c tanh(s / c), if not 0.
  var softcap: Float = 0
  /// Whether a query sees only keys up to its own place, the first query at the place `causalOffset`.
  var isCausal = false
  var causalOffset = 0

  /// - Parameters:
  ///   - query: `[batch, heads, queries, size]`.
  ///   - key: `[batch, heads, keys, size]`.
  ///   - value: `[batch, heads, keys, value size]`.
  /// - Returns: `[batch, heads, queries, value size]`, and the scores before the softmax as they came from each step.
  func callAsFunction(_ query: Value, _ key: Value, _ value: Value) throws -> Value {
    guard query.shape.count == 4, key.shape.count == 4, value.shape.count == 4 else {
      throw Failure("needs queries, keys and values of four dimensions")
    }
    var scores = try scaled(try matrixProduct(query, try key.transposed([0, 1, 3, 2])), by: scale)
    let (queries, keys) = (scores.shape[2], scores.shape[3])
    if let bias {
      guard try Shape.broadcast(scores.shape, bias.shape) == scores.shape else {
        throw Failure("a mask of shape \(bias.shape) does not fit scores of shape \(scores.shape)")
      }
      scores = try addition(scores, bias)
    }
    if softcap != 0 {
      let cap = softcap
      let soften = UnaryFunction(float: { cap * tanhf($0 / cap) }, double: { Double(cap) * tanh($0 / Double(cap)) })
      scores = try soften(scores)
    }
    if isCausal {
      let masked = (0..<queries).flatMap { row in
        (0..<keys).map { column in column > row + causalOffset ? -Float.infinity : 0 }
      }
      let mask = try cast(try Value(shape: [queries, keys], floats: masked), to: scores.elementType)
      scores = try addition(scores, mask)
    }
    return try matrixProduct(try alongAxis(scores, 3, exponentials), value)
  }
}

/// A value `[batch, tokens, heads × size]` as `[batch, heads, tokens, size]`.
func splitHeads(_ value: Value, _ heads: Int) throws -> Value {
  guard value.shape.count == 3, heads > 0, value.shape[2] % heads == 0 else {
    throw Failure("cannot split the shape \(value.shape) into \(heads) heads")
  }
  let (batch, tokens, width) = (value.shape[0], value.shape[1], value.shape[2])
  return try value.reshaped([batch, tokens, heads, width / heads]).transposed([0, 2, 1, 3])
}

/// The inverse of ``splitHeads(_:_:)``.
func mergeHeads(_ value: Value) throws -> Value {
  let shape = value.shape
  return try value.transposed([0, 2, 1, 3]).reshaped([shape[0], shape[2], shape[1] * shape[3]])
}

@Sendable private func attention(_ call: Call) throws -> [Value] {
  let node = call.node
  guard call.optional(6) == nil, node.attributes["left_window_size"] == nil, node.attributes["right_window_size"] == nil
  else { throw Failure("key lengths and windows are not supported") }
  guard !call.wants(3) else { throw Failure("the scores as an output are not supported") }
  var (query, key, value) = (try call.input(0), try call.input(1), try call.input(2))
  let isFlat = query.shape.count == 3
  if isFlat {
    query = try splitHeads(query, try node.int("q_num_heads"))
    key = try splitHeads(key, try node.int("kv_num_heads"))
    value = try splitHeads(value, try node.int("kv_num_heads"))
  }
  guard query.shape.count == 4, key.shape.count == 4, value.shape.count == 4 else {
    throw Failure("needs queries, keys and values of three or four dimensions")
  }
  if let past = call.optional(4) { key = try concatenate([past, key], axis: 2) }
  if let past = call.optional(5) { value = try concatenate([past, value], axis: 2) }
  let present = [key, value]
  let size = query.shape[3]
  var head = HeadAttention(scale: try node.float("scale", default: 1 / Float(size).squareRoot()))
  head.softcap = try node.float("softcap", default: 0)
  head.isCausal = try node.int("is_causal", default: 0) != 0
  head.causalOffset = try call.optional(4).map { _ in try call.input(4).shape[2] } ?? 0
  if let mask = call.optional(3) {
    guard mask.elementType == .bool else {
      head.bias = mask
      return try finish(head)
    }
    let floats = try mask.booleans().map { $0 ? 0 : -Float.infinity }
    head.bias = try cast(try Value(shape: mask.shape, floats: floats), to: query.elementType)
  }
  return try finish(head)

  func finish(_ head: HeadAttention) throws -> [Value] {
    let output = try head(query, try repeated(key), try repeated(value))
    return [isFlat ? try mergeHeads(output) : output] + present
  }

  /// Keys or values for each of the queries' heads: groups of neighbouring heads share one.
  func repeated(_ value: Value) throws -> Value {
    let (heads, own) = (query.shape[1], value.shape[1])
    guard own > 0, heads % own == 0 else { throw Failure("\(heads) query heads do not fit \(own) key heads") }
    guard heads != own else { return value }
    let numbers = (0..<heads).map { Int64($0 / (heads / own)) }
    return try gather(value, try Value(shape: [heads], int64s: numbers), axis: 1)
  }
}
