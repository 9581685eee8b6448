import ONNX

/// From floating point to small integers and back.
let quantizationOperators: [OperatorDefinition] = ["", OperatorRegistry.microsoft].flatMap { domain in
  [
    // ONNX Runtime's own versions take more types, and mean the same for those that both take.
    OperatorDefinition("QuantizeLinear", domain: domain) { call in
      let code = try call.node.int("output_dtype", default: 0)
      let stated = code == 0 ? nil : Int32(exactly: code).flatMap(ElementType.init)
      guard code == 0 || stated != nil else { throw Failure("quantises to an unknown type") }
      return [try quantized(
        try call.input(0), scale: try call.input(1), zeroPoint: call.optional(2),
        to: call.optional(2)?.elementType ?? stated ?? .uint8, layout: try ScaleLayout(call))]
    },
    OperatorDefinition("DequantizeLinear", domain: domain) { call in
      [try dequantized(
        try call.input(0), scale: try call.input(1), zeroPoint: call.optional(2), layout: try ScaleLayout(call))]
    },
  ]
} + [
  OperatorDefinition("DynamicQuantizeLinear", since: 11) { call in
    let result = try dynamicallyQuantized(try call.input(0))
    return [result.value, result.scale, result.zeroPoint]
  },
  OperatorDefinition("QLinearMatMul", since: 10) { call in
    let first = try dequantizedRows(try call.input(0), try call.input(1), try call.input(2), rows: true)
    let second = try dequantizedRows(try call.input(3), try call.input(4), try call.input(5), rows: false)
    let product = try cast(try matrixProduct(first.integers, second.integers), to: .float)
    let ratio = try multiplication(try first.scale.divided(by: try call.input(6)), second.scale)
    let unit = try Value(shape: [], floats: [1])
    return [try quantized(
      try multiplication(product, ratio), scale: unit, zeroPoint: try call.input(7),
      to: try call.input(7).elementType, layout: .tensor)]
  },
]

/// How scales lie over a tensor.
enum ScaleLayout {
  /// One scale.
  case tensor
  /// A scale for each slice along an axis.
  case axis(Int)
  /// A scale for each so many elements along an axis.
  case blocks(Int, size: Int)

  /// What a node's attributes and the scale's rank say.
  init(_ call: Call) throws {
    let value = try call.input(0)
    let scale = try call.input(1)
    let blockSize = try call.node.int("block_size", default: 0)
    if scale.count == 1, blockSize == 0 {
      self = .tensor
      return
    }
    let axis = try Shape.axis(try call.node.int("axis", default: 1), rank: value.shape.count)
    self = blockSize == 0 ? .axis(axis) : .blocks(axis, size: blockSize)
  }

  /// A scale or zero point with the shape of the tensor that it belongs to.
  func spread(_ parameter: Value, over shape: [Int]) throws -> Value {
    switch self {
    case .tensor:
      guard parameter.count == 1 else { throw Failure("needs one scale and zero point") }
      return try parameter.reshaped([]).expanded(to: shape)
    case .axis(let axis):
      guard parameter.shape.count <= 1, parameter.count == shape[axis] || parameter.count == 1 else {
        throw Failure("a scale or zero point of shape \(parameter.shape) does not fit \(shape) along axis \(axis)")
      }
      var slices = [Int](repeating: 1, count: shape.count)
      slices[axis] = parameter.count
      return try parameter.reshaped(slices).expanded(to: shape)
    case .blocks(let axis, let size):
      var blocks = shape
      guard size > 0 else { throw Failure("needs a positive block size") }
      blocks[axis] = shape[axis] / size + (shape[axis] % size == 0 ? 0 : 1)
      guard parameter.shape == blocks else {
        throw Failure("blocks of \(size) need scales of shape \(blocks), but got \(parameter.shape)")
      }
      let numbers = (0..<shape[axis]).map { Int64($0 / size) }
      return try gather(parameter, try Value(shape: [numbers.count], int64s: numbers), axis: axis)
    }
  }
}

/// round(value / scale) + zero point, ties to even, kept within the type's range.
func quantized(
  _ value: Value, scale: Value, zeroPoint: Value?, to type: ElementType, layout: ScaleLayout
) throws -> Value {
  let range = try type.integerRange
  let scales = try layout.spread(scale, over: value.shape).floats()
  let zeroPoints = try zeroPoint.map { try layout.spread($0, over: value.shape).int64s() }
  // An int32 is quantised as a float.
  let elements = try cast(value, to: .float).floats()
  var result: [Int64] = []
  result.reserveCapacity(elements.count)
  for (index, element) in elements.enumerated() {
    let rounded = Double((element / scales[index]).rounded(.toNearestOrEven)) + Double(zeroPoints?[index] ?? 0)
    let kept = min(max(rounded, Double(range.lowerBound)), Double(range.upperBound))
    result.append(kept.isNaN ? range.lowerBound : integer(kept, in: range))
  }
  return try Value(type, value.shape, .integers(result))
}

/// (value - zero point) × scale, in the scale's type.
func dequantized(_ value: Value, scale: Value, zeroPoint: Value?, layout: ScaleLayout) throws -> Value {
  let scales = try layout.spread(scale, over: value.shape).floats()
  let zeroPoints = try zeroPoint.map { try layout.spread($0, over: value.shape).int64s() }
  let elements = try value.int64s()
  let result = elements.indices.map { Float(elements[$0] &- (zeroPoints?[$0] ?? 0)) * scales[$0] }
  return try Value(scale.elementType, value.shape, .floats(result))
}

/// A value in bytes, with the scale and zero point that its range asks for (which always holds 0).
func dynamicallyQuantized(_ value: Value) throws -> (value: Value, scale: Value, zeroPoint: Value) {
  let elements = try value.floats()
  let low = min(elements.min() ?? 0, 0)
  let high = max(elements.max() ?? 0, 0)
  let scale = high == low ? 1 : (high - low) / 255
  let zeroPoint = min(max(-low / scale, 0), 255).rounded(.toNearestOrEven)
  guard zeroPoint.isFinite else { throw Failure("quantises values that are not finite") }
  let scaleValue = try Value(shape: [], floats: [scale])
  let zeroPointValue = Value(.uint8, [], .uint8([UInt8(zeroPoint)]))
  let result = try quantized(value, scale: scaleValue, zeroPoint: zeroPointValue, to: .uint8, layout: .tensor)
  return (result, scaleValue, zeroPointValue)
}

/// A matrix (or a batch of them) of integers less its zero point, as `int32`.
///
/// - Parameter rows: Whether a vector of zero points holds one for each row, rather than for each column.
func centred(_ value: Value, zeroPoint: Value?, rows: Bool) throws -> Value {
  let integers = try cast(value, to: .int32)
  guard let zeroPoint else { return integers }
  let subtraction = BinaryFunction(integer: { $0 &- $1 })
  return try subtraction(integers, try aligned(try cast(zeroPoint, to: .int32), with: value, rows: rows))
}

/// A scale or zero point of matrices, shaped to broadcast over them.
func aligned(_ parameter: Value, with value: Value, rows: Bool) throws -> Value {
  if parameter.count == 1 { return parameter.reshaped([]) }
  return rows && parameter.shape.count == 1 ? parameter.reshaped([parameter.count, 1]) : parameter
}

private func dequantizedRows(
  _ value: Value, _ scale: Value, _ zeroPoint: Value, rows: Bool
) throws -> (integers: Value, scale: Value) {
  let scale = try cast(scale, to: .float)
  return (try centred(value, zeroPoint: zeroPoint, rows: rows), try aligned(scale, with: value, rows: rows))
}

extension Value {
  /// The quotient by a single number.
  func divided(by scale: Value) throws -> Value {
    let divisor = try cast(scale, to: .float).scalarFloat()
    return try UnaryFunction(float: { $0 / divisor })(self)
  }
}
