import ONNX

/// Operators that take elements from computed places, or put them there.
///
/// Each works out which elements go where as a list of positions, and then moves them, whatever their type.
let indexingOperators: [OperatorDefinition] = [
  OperatorDefinition("Gather") { call in
    let (value, indices) = (try call.input(0), try call.input(1))
    let axis = try Shape.axis(try call.node.int("axis", default: 0), rank: value.shape.count)
    return [try gather(value, indices, axis: axis)]
  },
  OperatorDefinition("GatherElements", since: 11) { call in
    let (value, indices) = (try call.input(0), try call.input(1))
    let axis = try Shape.axis(try call.node.int("axis", default: 0), rank: value.shape.count)
    return [value.picking(try elementPositions(value.shape, indices, axis: axis), shape: indices.shape)]
  },
  OperatorDefinition("GatherND", since: 11, gatherSlices),
  OperatorDefinition("ScatterElements", since: 11) { call in
    let (value, indices, updates) = (try call.input(0), try call.input(1), try call.input(2))
    let axis = try Shape.axis(try call.node.int("axis", default: 0), rank: value.shape.count)
    guard updates.shape == indices.shape else { throw Failure("needs one update for each index") }
    try refuseReduction(call)
    return [try scattered(value, updates, at: try elementPositions(value.shape, indices, axis: axis))]
  },
  OperatorDefinition("ScatterND", since: 11, scatterSlices),
  OperatorDefinition("Slice") { call in
    [try slice(
      try call.input(0), starts: try call.node.ints("starts"), ends: try call.node.ints("ends"),
      axes: try call.node.optionalInts("axes"), steps: nil)]
  },
  OperatorDefinition("Slice", since: 10) { call in
    [try slice(
      try call.input(0), starts: try call.input(1).ints(), ends: try call.input(2).ints(),
      axes: try call.optional(3)?.ints(), steps: try call.optional(4)?.ints())]
  },
  OperatorDefinition("Where", since: 9) { call in
    [try chosen(try call.input(0), try call.input(1), try call.input(2))]
  },
  OperatorDefinition("NonZero", since: 9) { call in
    let value = try call.input(0)
    let found = try value.numbers().asDoubles.indices(where: { $0 != 0 }).ranges.flatMap { $0 }
    let strides = Shape.strides(of: value.shape)
    let positions = zip(strides, value.shape).flatMap { stride, size in found.map { Int64($0 / stride % size) } }
    return [try Value(shape: [value.shape.count, found.count], int64s: positions)]
  },
  OperatorDefinition("Trilu", since: 14, triangle),
  OperatorDefinition("Pad", since: 2) { call in
    let value = try call.input(0)
    let constant = try Value(shape: [], floats: [try call.node.float("value", default: 0)])
    return [try pad(
      call, value, try call.node.ints("pads"), try cast(constant, to: value.elementType), axes: nil)]
  },
  OperatorDefinition("Pad", since: 11) { call in
    let value = try call.input(0)
    let constant = try call.optional(2) ?? cast(try Value(shape: [], floats: [0]), to: value.elementType)
    return [try pad(call, value, try call.input(1).ints(), constant, axes: try call.optional(3)?.ints())]
  },
  OperatorDefinition("OneHot", since: 9, oneHot),
  OperatorDefinition("TopK", since: 10, largest),
]

/// An index counted from the front of a dimension of `size` elements.
private func position(_ index: Int, _ size: Int) throws -> Int {
  guard index >= -size, index < size else { throw Failure("the index \(index) is out of range for \(size) elements") }
  return index < 0 ? index + size : index
}

/// `Gather`: slices along an axis.
func gather(_ value: Value, _ indices: Value, axis: Int) throws -> Value {
  let axis = try Shape.axis(axis, rank: value.shape.count)
  let (outer, size, inner) = Shape.split(value.shape, at: axis)
  let chosen = try indices.ints().map { try position($0, size) }
  let shape = value.shape[..<axis] + indices.shape + value.shape[(axis + 1)...]
  var positions: [Int] = []
  positions.reserveCapacity(try Shape.check(Array(shape)))
  for step in 0..<outer {
    for index in chosen {
      let start = (step * size + index) * inner
      positions += start..<start + inner
    }
  }
  return value.picking(positions, shape: Array(shape))
}

/// For each of `indices`, the position of the element that lies at its own place but for `axis`.
private func elementPositions(_ shape: [Int], _ indices: Value, axis: Int) throws -> [Int] {
  guard indices.shape.count == shape.count,
    shape.indices.allSatisfy({ $0 == axis || indices.shape[$0] <= shape[$0] })
  else { throw Failure("indices of shape \(indices.shape) do not fit the shape \(shape)") }
  var view = View(of: shape)
  let stride = view.strides[axis]
  view.shape = indices.shape
  view.strides[axis] = 0
  return try zip(view.indices(), try indices.ints()).map { start, index in
    start + (try position(index, shape[axis])) * stride
  }
}

/// Where the slices begin that the last dimension of `indices` names by their leading coordinates, after `batch`
/// dimensions that both share; and how long a slice is.
private func slicePositions(_ shape: [Int], _ indices: Value, batch: Int) throws -> (starts: [Int], length: Int) {
  guard let depth = indices.shape.last, batch >= 0, batch < indices.shape.count, batch + depth <= shape.count,
    indices.shape[..<batch] == shape[..<batch]
  else { throw Failure("indices of shape \(indices.shape) do not fit the shape \(shape)") }
  let strides = Shape.strides(of: shape)
  let coordinates = try indices.ints()
  let count = Shape.product(indices.shape.dropLast())
  let perBatch = max(Shape.product(indices.shape[batch..<(indices.shape.count - 1)]), 1)
  let batchStride = Shape.product(shape[batch...])
  let starts = try (0..<count).map { slice in
    try (0..<depth).reduce(slice / perBatch * batchStride) { start, step in
      let index = try position(coordinates[slice * depth + step], shape[batch + step])
      return start + index * strides[batch + step]
    }
  }
  return (starts, Shape.product(shape[(batch + depth)...]))
}

@Sendable private func gatherSlices(_ call: Call) throws -> [Value] {
  let (value, indices) = (try call.input(0), try call.input(1))
  let batch = try call.node.int("batch_dims", default: 0)
  let (starts, length) = try slicePositions(value.shape, indices, batch: batch)
  let depth = indices.shape.last ?? 0
  let shape = Array(indices.shape.dropLast() + value.shape[(batch + depth)...])
  try Shape.check(shape)
  return [value.picking(starts.flatMap { $0..<$0 + length }, shape: shape)]
}

@Sendable private func scatterSlices(_ call: Call) throws -> [Value] {
  let (value, indices, updates) = (try call.input(0), try call.input(1), try call.input(2))
  try refuseReduction(call)
  let (starts, length) = try slicePositions(value.shape, indices, batch: 0)
  guard updates.count == starts.count * length else { throw Failure("needs one update for each slice") }
  return [try scattered(value, updates, at: starts.flatMap { $0..<$0 + length })]
}

private func refuseReduction(_ call: Call) throws {
  let reduction = try call.node.string("reduction", default: "none")
  guard reduction == "none" else { throw Failure("the reduction '\(reduction)' is not supported") }
}

/// The value with the elements at `positions` replaced by `updates`, in order.
private func scattered(_ value: Value, _ updates: Value, at positions: [Int]) throws -> Value {
  var sources = Array(0..<value.count)
  for (update, position) in positions.enumerated() { sources[position] = value.count + update }
  return Value(
    value.elementType, value.shape, try value.storage.joined(with: updates.storage).picking(sources))
}

/// `Slice`: starts and ends may lie outside, and count from the end if negative.
private func slice(_ value: Value, starts: [Int], ends: [Int], axes: [Int]?, steps: [Int]?) throws -> Value {
  let axes = try (axes ?? Array(starts.indices)).map { try Shape.axis($0, rank: value.shape.count) }
  let steps = steps ?? [Int](repeating: 1, count: starts.count)
  guard ends.count == starts.count, axes.count == starts.count, steps.count == starts.count,
    Set(axes).count == axes.count
  else { throw Failure("needs as many ends, axes and steps as starts, and each axis once") }
  var view = View(of: value.shape)
  for (index, axis) in axes.enumerated() {
    let (size, step) = (value.shape[axis], steps[index])
    guard step != 0 else { throw Failure("has a step of zero") }
    // Backwards, the end may be before the first element: -1 after counting from the front.
    let bounds = step > 0 ? (low: 0, high: size) : (low: -1, high: size - 1)
    func place(_ position: Int) -> Int {
      let place = position < 0 ? position.addingReportingOverflow(size).partialValue : position
      return min(max(place, bounds.low), bounds.high)
    }
    let (start, end) = (place(starts[index]), place(ends[index]))
    let distance = step > 0 ? end - start : start - end
    let count = distance <= 0 ? 0 : (distance - 1) / Int(clamping: step.magnitude) + 1
    view.start += count == 0 ? 0 : start * view.strides[axis]
    view.shape[axis] = count
    // A step is taken only where there is a second element, so that it is at most the size.
    view.strides[axis] *= count > 1 ? step : 1
  }
  return value.picking(view.indices(), shape: view.shape)
}

/// `Trilu`: the upper or lower triangle of matrices, zero elsewhere.
@Sendable private func triangle(_ call: Call) throws -> [Value] {
  let value = try call.input(0)
  guard value.shape.count >= 2 else { throw Failure("needs matrices, but got the shape \(value.shape)") }
  let (rows, columns) = (value.shape[value.shape.count - 2], value.shape[value.shape.count - 1])
  // Far diagonals are all the same.
  let offset = min(max(try call.optional(1)?.scalarInt() ?? 0, -rows - columns), rows + columns)
  let upper = try call.node.int("upper", default: 1) != 0
  let zero = try cast(try Value(shape: [1], floats: [0]), to: value.elementType)
  let sources = (0..<value.count).map { index in
    let (row, column) = (index / columns % rows, index % columns)
    let kept = upper ? column - row >= offset : column - row <= offset
    return kept ? index : value.count
  }
  return [Value(value.elementType, value.shape, try value.storage.joined(with: zero.storage).picking(sources))]
}

/// `Pad`: elements added before and after (or, if negative, removed).
private func pad(_ call: Call, _ value: Value, _ pads: [Int], _ constant: Value, axes: [Int]?) throws -> Value {
  let mode = try call.node.string("mode", default: "constant")
  let axes = try axes?.map { try Shape.axis($0, rank: value.shape.count) } ?? Array(value.shape.indices)
  guard pads.count == 2 * axes.count, Set(axes).count == axes.count, constant.count == 1,
    pads.allSatisfy({ $0.magnitude <= UInt(Shape.largestCount) })
  else { throw Failure("needs two pads for each of its axes, and one constant") }
  var before = [Int](repeating: 0, count: value.shape.count)
  var shape = value.shape
  for (index, axis) in axes.enumerated() {
    before[axis] = pads[index]
    shape[axis] += pads[index] + pads[index + axes.count]
  }
  let count = try Shape.check(shape)
  let (strides, ownStrides) = (Shape.strides(of: shape), Shape.strides(of: value.shape))
  let sources = try (0..<count).map { index in
    var source = 0
    for axis in shape.indices {
      let size = value.shape[axis]
      var place = index / strides[axis] % shape[axis] - before[axis]
      if place < 0 || place >= size {
        switch mode {
        case "constant": return value.count
        case "edge": place = min(max(place, 0), size - 1)
        case "reflect": place = place < 0 ? -place : 2 * (size - 1) - place
        case "wrap": place = size == 0 ? 0 : (place % size + size) % size
        default: throw Failure("has no mode '\(mode)'")
        }
        guard place >= 0, place < size else { throw Failure("pads a dimension of \(size) by too much") }
      }
      source += place * ownStrides[axis]
    }
    return source
  }
  return Value(value.elementType, shape, try value.storage.joined(with: constant.storage).picking(sources))
}

/// `OneHot`: of two values, the second at each index and the first elsewhere, along a new axis.
@Sendable private func oneHot(_ call: Call) throws -> [Value] {
  let (indices, values) = (try call.input(0), try call.input(2))
  guard values.count == 2 else { throw Failure("needs two values, but got the shape \(values.shape)") }
  let depth = Int(try cast(try call.input(1), to: .int64).scalarInt())
  guard depth > 0 else { throw Failure("needs a positive depth") }
  let axis = try Shape.axis(try call.node.int("axis", default: -1), rank: indices.shape.count + 1)
  var shape = indices.shape
  shape.insert(depth, at: axis)
  let count = try Shape.check(shape)
  let hot = try cast(indices, to: .int64).ints()
  let inner = Shape.product(shape[(axis + 1)...])
  let sources = (0..<count).map { position in
    let index = hot[position / (inner * depth) * inner + position % inner]
    let column = position / inner % depth
    return index == column || index == column - depth ? 1 : 0
  }
  return [values.picking(sources, shape: shape)]
}

/// `TopK`: the largest (or smallest) elements along an axis and their indices; of equal ones the first come first.
@Sendable private func largest(_ call: Call) throws -> [Value] {
  let value = try call.input(0)
  let axis = try Shape.axis(try call.node.int("axis", default: -1), rank: value.shape.count)
  let descending = try call.node.int("largest", default: 1) != 0
  let (outer, size, inner) = Shape.split(value.shape, at: axis)
  let count = try call.input(1).scalarInt()
  guard count >= 0, count <= size else { throw Failure("asks for \(count) of \(size) elements") }
  let elements = try value.numbers().asDoubles
  var shape = value.shape
  shape[axis] = count
  var sources = [Int](repeating: 0, count: outer * count * inner)
  var ranks = [Int64](repeating: 0, count: sources.count)
  for step in 0..<outer {
    for column in 0..<inner {
      let order = (0..<size).sorted { left, right in
        let a = elements[(step * size + left) * inner + column]
        let b = elements[(step * size + right) * inner + column]
        return a == b ? left < right : (a > b) == descending
      }
      for (rank, index) in order.prefix(count).enumerated() {
        sources[(step * count + rank) * inner + column] = (step * size + index) * inner + column
        ranks[(step * count + rank) * inner + column] = Int64(index)
      }
    }
  }
  return [value.picking(sources, shape: shape), try Value(shape: shape, int64s: ranks)]
}

/// The elements of `first` where the condition is true, of `second` elsewhere, all broadcast together.
func chosen(_ condition: Value, _ first: Value, _ second: Value) throws -> Value {
  guard first.elementType == second.elementType else {
    throw Failure("takes values of one type, but got \(first.elementType) and \(second.elementType)")
  }
  let shape = try Shape.broadcast(condition.shape, try Shape.broadcast(first.shape, second.shape))
  let truths = try condition.expanded(to: shape).booleans()
  let both = try first.expanded(to: shape).storage.joined(with: try second.expanded(to: shape).storage)
  let indices = truths.enumerated().map { $1 ? $0 : truths.count + $0 }
  return Value(first.elementType, shape, both.picking(indices))
}
