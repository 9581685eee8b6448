#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif
import ONNX

/// Operators that scale the elements of a row by what the row holds.
let normalizationOperators: [OperatorDefinition] = [
  // Before version 13, everything from the axis on is one row.
  OperatorDefinition("Softmax") { call in [try softmax(call, defaultAxis: 1, flattens: true, exponentials)] },
  OperatorDefinition("Softmax", since: 13) { call in
    [try softmax(call, defaultAxis: -1, flattens: false, exponentials)]
  },
  OperatorDefinition("LogSoftmax") { call in [try softmax(call, defaultAxis: 1, flattens: true, logarithms)] },
  OperatorDefinition("LogSoftmax", since: 13) { call in
    [try softmax(call, defaultAxis: -1, flattens: false, logarithms)]
  },
  OperatorDefinition("LayerNormalization", since: 1) { call in
    let value = try call.input(0)
    let axis = try Shape.axis(try call.node.int("axis", default: -1), rank: value.shape.count)
    let epsilon = try call.node.float("epsilon", default: 1e-5)
    let result = try normalized(value, axis: axis, epsilon: epsilon)
    var output = try multiplication(result.output, try call.input(1))
    if let bias = call.optional(2) { output = try addition(output, bias) }
    return [output, result.mean, result.inverseDeviation]
  },
  OperatorDefinition("RMSNormalization", since: 23) { call in
    let value = try call.input(0)
    let axis = try Shape.axis(try call.node.int("axis", default: -1), rank: value.shape.count)
    let epsilon = try call.node.float("epsilon", default: 1e-5)
    let result = try normalized(value, axis: axis, epsilon: epsilon, centred: false)
    return [try multiplication(result.output, try call.input(1))]
  },
]

/// Exponentials that add up to 1.
func exponentials(_ row: ArraySlice<Double>) -> [Double] {
  let largest = row.max() ?? 0
  let powers = row.map { exp($0 - largest) }
  let sum = powers.reduce(0, +)
  return powers.map { $0 / sum }
}

private func logarithms(_ row: ArraySlice<Double>) -> [Double] {
  let largest = row.max() ?? 0
  let logSum = log(row.reduce(0) { $0 + exp($1 - largest) })
  return row.map { $0 - largest - logSum }
}

private func softmax(
  _ call: Call, defaultAxis: Int, flattens: Bool, _ function: (ArraySlice<Double>) -> [Double]
) throws -> Value {
  let value = try call.input(0)
  // A scalar is a row of its own.
  guard !value.shape.isEmpty else {
    return try Value(value.elementType, [], .doubles(function(try value.doubles()[...])))
  }
  let axis = try Shape.axis(try call.node.int("axis", default: defaultAxis), rank: value.shape.count)
  if flattens { return try rows(of: value, length: Shape.product(value.shape[axis...]), function) }
  return try alongAxis(value, axis, function)
}

/// A function of each row along an axis.
func alongAxis(_ value: Value, _ axis: Int, _ function: (ArraySlice<Double>) -> [Double]) throws -> Value {
  // Swapping two dimensions twice gives the first order again.
  var swap = Array(value.shape.indices)
  swap.swapAt(axis, value.shape.count - 1)
  let result = try rows(of: try value.transposed(swap), length: value.shape[axis], function)
  return try result.transposed(swap)
}

private func rows(of value: Value, length: Int, _ function: (ArraySlice<Double>) -> [Double]) throws -> Value {
  let elements = try value.doubles()
  let starts = stride(from: 0, to: elements.count, by: max(length, 1))
  let results = starts.flatMap { function(elements[$0..<$0 + length]) }
  return try Value(value.elementType, value.shape, .doubles(results))
}

/// Rows (everything from `axis` on) with mean 0 and variance 1, and what they were scaled by, as `LayerNormalization`
/// defines it; without subtracting the mean if not `centred`. Statistics are computed in double precision.
func normalized(
  _ value: Value, axis: Int, epsilon: Float, centred: Bool = true
) throws -> (output: Value, mean: Value, inverseDeviation: Value) {
  let length = Shape.product(value.shape[axis...])
  let elements = try value.doubles()
  guard length > 0 || elements.isEmpty else { throw Failure("normalises empty rows") }
  var (output, means, inverses): ([Double], [Double], [Double]) = ([], [], [])
  output.reserveCapacity(elements.count)
  for start in stride(from: 0, to: elements.count, by: max(length, 1)) {
    let row = elements[start..<start + length]
    let mean = centred ? row.reduce(0, +) / Double(length) : 0
    let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(length)
    let inverse = 1 / (variance + Double(epsilon)).squareRoot()
    output += row.map { ($0 - mean) * inverse }
    means.append(mean)
    inverses.append(inverse)
  }
  let shape = value.shape[..<axis] + [Int](repeating: 1, count: value.shape.count - axis)
  guard means.count == Shape.product(shape) else { throw Failure("normalises empty rows") }
  return (
    try Value(value.elementType, value.shape, .doubles(output)),
    try Value(.float, Array(shape), .doubles(means)),
    try Value(.float, Array(shape), .doubles(inverses))
  )
}
