#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Functions of one element.
let functionOperators: [OperatorDefinition] = [
  unary("Sqrt", UnaryFunction(float: { $0.squareRoot() }, double: { $0.squareRoot() })),
  unary("Reciprocal", UnaryFunction(float: { 1 / $0 }, double: { 1 / $0 })),
  unary("Neg", UnaryFunction(float: { -$0 }, double: { -$0 }, integer: { 0 &- $0 })),
  unary(
    "Abs", UnaryFunction(float: { $0.magnitude }, double: { $0.magnitude }, integer: { $0 < 0 ? 0 &- $0 : $0 })),
  unary(
    "Sign",
    UnaryFunction(
      float: { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 }, double: { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 },
      integer: { $0.signum() }), since: 9),
  unary("Exp", UnaryFunction(float: { expf($0) }, double: { exp($0) })),
  unary("Log", UnaryFunction(float: { logf($0) }, double: { log($0) })),
  unary("Erf", UnaryFunction(float: { erff($0) }, double: { erf($0) }), since: 9),
  unary("Tanh", UnaryFunction(float: { tanhf($0) }, double: { tanh($0) })),
  unary("Sin", UnaryFunction(float: { sinf($0) }, double: { sin($0) })),
  unary("Cos", UnaryFunction(float: { cosf($0) }, double: { cos($0) })),
  unary("Sigmoid", sigmoid),
  unary("Relu", UnaryFunction(float: { $0 < 0 ? 0 : $0 }, double: { $0 < 0 ? 0 : $0 }, integer: { max($0, 0) })),
  OperatorDefinition("LeakyRelu") { call in
    let alpha = try call.node.float("alpha", default: 0.01)
    return [try leakyRelu(alpha)(try call.input(0))]
  },
  unary("Softplus", UnaryFunction(float: { log1pf(expf($0)) }, double: { log1p(exp($0)) })),
  unary("Ceil", UnaryFunction(float: { $0.rounded(.up) }, double: { $0.rounded(.up) })),
  unary("Floor", UnaryFunction(float: { $0.rounded(.down) }, double: { $0.rounded(.down) })),
  unary(
    "Round",
    UnaryFunction(float: { $0.rounded(.toNearestOrEven) }, double: { $0.rounded(.toNearestOrEven) }), since: 11),
  OperatorDefinition("Gelu", since: 20) { call in
    switch try call.node.string("approximate", default: "none") {
    case "none": [try gelu(try call.input(0))]
    case "tanh": [try tanhGelu(try call.input(0))]
    case let other: throw Failure("has no approximation '\(other)'")
    }
  },
  OperatorDefinition("Clip", since: 7) { call in
    let value = try call.input(0)
    let low = try call.node.optionalFloat("min").map { try Value(shape: [], floats: [$0]) }
    let high = try call.node.optionalFloat("max").map { try Value(shape: [], floats: [$0]) }
    return [try clipped(value, low.map { try cast($0, to: value.elementType) }, high.map { try cast($0, to: value.elementType) })]
  },
  OperatorDefinition("Clip", since: 11) { call in
    [try clipped(try call.input(0), call.optional(1), call.optional(2))]
  },
]

/// `Sigmoid`.
let sigmoid = UnaryFunction(float: { 1 / (1 + expf(-$0)) }, double: { 1 / (1 + exp(-$0)) })

/// `LeakyRelu`.
func leakyRelu(_ alpha: Float) -> UnaryFunction {
  UnaryFunction(float: { $0 < 0 ? alpha * $0 : $0 }, double: { $0 < 0 ? Double(alpha) * $0 : $0 })
}

/// x Φ(x), with the normal distribution's Φ.
let gelu = UnaryFunction(
  float: { 0.5 * $0 * (1 + erff($0 * Float(0.5).squareRoot())) },
  double: { 0.5 * $0 * (1 + erf($0 * 0.5.squareRoot())) })

/// The approximation of GELU through tanh, in the form and with the constants of ONNX's document.
let tanhGelu = UnaryFunction(
  float: { 0.5 * $0 * (1 + tanhf(Float(2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) },
  double: { 0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) })

private func unary(_ name: String, _ function: UnaryFunction, since: Int = 1) -> OperatorDefinition {
  OperatorDefinition(name, since: since) { call in [try function(try call.input(0))] }
}

/// `Clip`; where the bounds cross, the upper one wins.
private func clipped(_ value: Value, _ low: Value?, _ high: Value?) throws -> Value {
  for bound in [low, high] {
    guard let bound else { continue }
    guard bound.count == 1, bound.elementType == value.elementType else {
      throw Failure("needs bounds of one element of type \(value.elementType)")
    }
  }
  var result = value
  if let low {
    let raise = BinaryFunction(float: { $0 < $1 ? $1 : $0 }, double: { $0 < $1 ? $1 : $0 }, integer: { max($0, $1) })
    result = try raise(result, low.reshaped([]))
  }
  if let high {
    let cut = BinaryFunction(float: { $0 > $1 ? $1 : $0 }, double: { $0 > $1 ? $1 : $0 }, integer: { min($0, $1) })
    result = try cut(result, high.reshaped([]))
  }
  return result
}
