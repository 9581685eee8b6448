import ONNX

/// Operators that give the same elements in another shape or order.
let layoutOperators: [OperatorDefinition] = [
  OperatorDefinition("Reshape", since: 5, reshape),
  OperatorDefinition("Flatten") { call in
    let value = try call.input(0)
    let axis = try call.node.int("axis", default: 1)
    let rank = value.shape.count
    guard axis >= -rank, axis <= rank else { throw Failure("the axis \(axis) is out of range for rank \(rank)") }
    let split = axis < 0 ? axis + rank : axis
    return [value.reshaped([Shape.product(value.shape[..<split]), Shape.product(value.shape[split...])])]
  },
  OperatorDefinition("Squeeze") { call in [try squeeze(try call.input(0), try call.node.optionalInts("axes"))] },
  OperatorDefinition("Squeeze", since: 13) { call in
    [try squeeze(try call.input(0), try call.optional(1)?.ints())]
  },
  OperatorDefinition("Unsqueeze") { call in [try unsqueeze(try call.input(0), try call.node.ints("axes"))] },
  OperatorDefinition("Unsqueeze", since: 13) { call in
    [try unsqueeze(try call.input(0), try call.input(1).ints())]
  },
  OperatorDefinition("Transpose") { call in
    let value = try call.input(0)
    let reversed = Array(value.shape.indices.reversed())
    return [try value.transposed(try call.node.ints("perm", default: reversed))]
  },
  OperatorDefinition("Expand", since: 8) { call in
    let value = try call.input(0)
    return [try value.expanded(to: try Shape.broadcast(value.shape, try call.input(1).ints()))]
  },
  OperatorDefinition("Tile", since: 6, tile),
  OperatorDefinition("Concat", since: 4) { call in
    [try concatenate(try call.allInputs(), axis: try call.node.int("axis"))]
  },
  OperatorDefinition("Split", since: 2) { call in
    try split(call, sizes: try call.node.optionalInts("split"))
  },
  OperatorDefinition("Split", since: 13) { call in try split(call, sizes: try call.optional(1)?.ints()) },
]

/// `Reshape`: -1 stands for what is left, 0 for the input's size there (unless `allowzero` is set).
@Sendable private func reshape(_ call: Call) throws -> [Value] {
  let value = try call.input(0)
  let asked = try call.input(1).ints()
  let keepsZeros = try call.node.int("allowzero", default: 0) != 0
  var shape = try asked.enumerated().map { axis, size in
    guard size >= -1 else { throw Failure("the shape \(asked) has a negative dimension") }
    guard size == 0, !keepsZeros else { return size }
    guard axis < value.shape.count else { throw Failure("the shape \(asked) copies a dimension that is not there") }
    return value.shape[axis]
  }
  if let open = shape.firstIndex(of: -1) {
    shape[open] = 1
    let known = try Shape.check(shape)
    guard !shape.contains(-1), known > 0 || value.count == 0, known == 0 || value.count % known == 0 else {
      throw Failure("cannot reshape \(value.shape) to \(asked)")
    }
    shape[open] = known == 0 ? 0 : value.count / known
  }
  guard try Shape.check(shape) == value.count else { throw Failure("cannot reshape \(value.shape) to \(asked)") }
  return [value.reshaped(shape)]
}

private func squeeze(_ value: Value, _ axes: [Int]?) throws -> Value {
  let removed = try axes.map { try Shape.axes($0, rank: value.shape.count) }
    ?? value.shape.indices.filter { value.shape[$0] == 1 }
  for axis in removed where value.shape[axis] != 1 {
    throw Failure("cannot remove dimension \(axis) of the shape \(value.shape)")
  }
  return value.reshaped(value.shape.indices.filter { !removed.contains($0) }.map { value.shape[$0] })
}

private func unsqueeze(_ value: Value, _ axes: [Int]) throws -> Value {
  let rank = value.shape.count + axes.count
  var shape = value.shape
  for axis in try Shape.axes(axes, rank: rank) { shape.insert(1, at: axis) }
  return value.reshaped(shape)
}

@Sendable private func tile(_ call: Call) throws -> [Value] {
  let value = try call.input(0)
  let repeats = try call.input(1).ints()
  guard repeats.count == value.shape.count, repeats.allSatisfy({ $0 >= 0 }) else {
    throw Failure("needs a repeat count for each of \(value.shape.count) dimensions, but got \(repeats)")
  }
  try Shape.check(repeats)
  let shape = try zip(value.shape, repeats).map { size, times in
    let (product, overflow) = size.multipliedReportingOverflow(by: times)
    guard !overflow else { throw Failure("repeats \(repeats) are too large") }
    return product
  }
  try Shape.check(shape)
  // Each dimension becomes two: the repeats, which do not move in the array, and the dimension itself.
  let own = View(of: value.shape)
  var view = own
  view.shape = zip(repeats, value.shape).flatMap { [$0, $1] }
  view.strides = own.strides.flatMap { [0, $0] }
  return [value.picking(view.indices(), shape: shape)]
}

/// Values of one type joined along an axis.
func concatenate(_ values: [Value], axis: Int) throws -> Value {
  let first = values[0]
  let axis = try Shape.axis(axis, rank: first.shape.count)
  var shape = first.shape
  for value in values.dropFirst() {
    guard value.elementType == first.elementType, value.shape.count == shape.count,
      value.shape.indices.allSatisfy({ $0 == axis || value.shape[$0] == shape[$0] })
    else { throw Failure("cannot join the shapes \(first.shape) and \(value.shape) along dimension \(axis)") }
    let (size, overflow) = shape[axis].addingReportingOverflow(value.shape[axis])
    guard !overflow else { throw Failure("a joined dimension is too large") }
    shape[axis] = size
  }
  try Shape.check(shape)
  // Laid end to end, then taken in turns.
  var starts = [0]
  var storage = first.storage
  for value in values.dropFirst() {
    starts.append(storage.count)
    storage = try storage.joined(with: value.storage)
  }
  let outer = Shape.product(shape[..<axis])
  var indices: [Int] = []
  indices.reserveCapacity(storage.count)
  for step in 0..<outer {
    for (start, value) in zip(starts, values) {
      let length = Shape.product(value.shape[axis...])
      indices += start + step * length..<start + (step + 1) * length
    }
  }
  return Value(first.elementType, shape, storage.picking(indices))
}

/// The parts of a value along an axis: of the sizes given, or else equal but for a smaller last one.
private func split(_ call: Call, sizes: [Int]?) throws -> [Value] {
  let value = try call.input(0)
  let axis = try Shape.axis(try call.node.int("axis", default: 0), rank: value.shape.count)
  let size = value.shape[axis]
  let parts = try call.node.int("num_outputs", default: call.node.outputs.count)
  guard parts == call.node.outputs.count, parts > 0 else {
    throw Failure("has \(call.node.outputs.count) outputs, expected \(parts)")
  }
  let chunk = size / parts + (size % parts == 0 ? 0 : 1)
  let sizes = sizes ?? (0..<parts).map { max(min(chunk, size - $0 * chunk), 0) }
  guard sizes.count == parts, sizes.allSatisfy({ (0...size).contains($0) }), Shape.sum(sizes) == size else {
    throw Failure("cannot split a dimension of \(size) into \(sizes)")
  }
  var start = 0
  return sizes.map { part in
    var view = View(of: value.shape)
    view.shape[axis] = part
    view.start = start * view.strides[axis]
    start += part
    return value.picking(view.indices(), shape: view.shape)
  }
}

extension Shape {
  /// The sum of sizes that are each part of a checked shape.
  fileprivate static func sum(_ sizes: [Int]) -> Int { sizes.reduce(0, &+) }
}
