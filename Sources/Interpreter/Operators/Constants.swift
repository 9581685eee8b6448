import ONNX

/// Values that come from the graph itself or from shapes.
let constantOperators: [OperatorDefinition] = [
  OperatorDefinition("Constant") { call in [try constant(call.node)] },
  OperatorDefinition("ConstantOfShape", since: 9) { call in
    let shape = try call.input(0).ints()
    let value = try call.node.optionalTensor("value").map { try Value($0) } ?? Value(shape: [1], floats: [0])
    guard value.count == 1 else { throw Failure("needs a value of one element") }
    return [try value.reshaped([]).expanded(to: shape)]
  },
  OperatorDefinition("Shape") { call in [try shape(of: try call.input(0), from: 0, to: nil)] },
  OperatorDefinition("Shape", since: 15) { call in
    [try shape(
      of: try call.input(0), from: try call.node.int("start", default: 0), to: try call.node.optionalInt("end"))]
  },
  OperatorDefinition("Size") { call in [try Value(shape: [], int64s: [Int64(try call.input(0).count)])] },
  OperatorDefinition("Range", since: 11, range),
  OperatorDefinition("EyeLike", since: 9) { call in
    let like = try call.input(0)
    guard like.shape.count == 2 else { throw Failure("needs a matrix, but got the shape \(like.shape)") }
    let type = try call.node.optionalInt("dtype").flatMap { Int32(exactly: $0) }.flatMap(ElementType.init)
    let offset = try call.node.int("k", default: 0)
    let elements = (0..<like.shape[0]).flatMap { row in
      (0..<like.shape[1]).map { column in column - row == offset ? Int64(1) : 0 }
    }
    return [try cast(Value(.int64, like.shape, .int64(elements)), to: type ?? like.elementType)]
  },
]

private func constant(_ node: Node) throws -> Value {
  if let tensor = try node.optionalTensor("value") { return try Value(tensor) }
  if let value = try node.optionalFloat("value_float") { return try Value(shape: [], floats: [value]) }
  if let values = try node.optionalFloats("value_floats") { return try Value(shape: [values.count], floats: values) }
  if let value = try node.optionalInt("value_int") { return try Value(shape: [], int64s: [Int64(value)]) }
  if let values = try node.optionalInts("value_ints") {
    return try Value(shape: [values.count], int64s: values.map { Int64($0) })
  }
  throw Failure("holds no value of a supported kind")
}

private func shape(of value: Value, from start: Int, to end: Int?) throws -> Value {
  let rank = value.shape.count
  func position(_ axis: Int) -> Int { min(max(axis < 0 ? axis.addingReportingOverflow(rank).partialValue : axis, 0), rank) }
  let (low, high) = (position(start), position(end ?? rank))
  let sizes = low < high ? value.shape[low..<high].map { Int64($0) } : []
  return try Value(shape: [sizes.count], int64s: sizes)
}

/// `Range`: start, start + delta, … before the limit.
@Sendable private func range(_ call: Call) throws -> [Value] {
  let (start, limit, delta) = (try call.input(0), try call.input(1), try call.input(2))
  guard start.elementType == limit.elementType, start.elementType == delta.elementType, start.count == 1,
    limit.count == 1, delta.count == 1
  else { throw Failure("needs three scalars of one type") }
  if start.elementType.isInteger {
    let (first, end, step) = (try start.int64s()[0], try limit.int64s()[0], try delta.int64s()[0])
    guard step != 0 else { throw Failure("has a step of zero") }
    // Counted in floating point first: the difference may not fit.
    let estimate = (Double(end) - Double(first)) / Double(step)
    guard estimate <= Double(Shape.largestCount) else { throw Failure("has too many elements") }
    let elements = estimate <= 0 ? [] : Array(stride(from: first, to: end, by: Int(step)))
    return [try Value(start.elementType, [elements.count], .integers(elements))]
  }
  let (first, end, step) = (try start.doubles()[0], try limit.doubles()[0], try delta.doubles()[0])
  let count = ((end - first) / step).rounded(.up)
  guard !count.isNaN, count <= Double(Shape.largestCount) else { throw Failure("has a wrong step or too many elements") }
  let steps = 0..<Int(max(count, 0))
  if case .float = start.storage {
    let elements = steps.map { Float(first) + Float($0) * Float(step) }
    return [try Value(start.elementType, [elements.count], .floats(elements))]
  }
  return [try Value(start.elementType, [steps.count], .doubles(steps.map { first + Double($0) * step }))]
}
