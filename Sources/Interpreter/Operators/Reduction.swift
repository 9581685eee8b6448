#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif
import ONNX

/// Sums and their like along axes.
let reductionOperators: [OperatorDefinition] = [
  // The version from which the axes are an input.
  reduction("ReduceSum", axesAsInputSince: 13, sum, { $0.reduce(0, &+) }),
  reduction("ReduceMean", axesAsInputSince: 18, { sum($0) / Double($0.count) }, { slice in
    slice.isEmpty ? 0 : slice.reduce(0, &+) / Int64(slice.count)
  }),
  reduction(
    "ReduceMax", axesAsInputSince: 18, { $0.reduce(-.infinity) { $0.isNaN || $0 > $1 ? $0 : $1 } },
    { $0.max() ?? .min }),
  reduction(
    "ReduceMin", axesAsInputSince: 18, { $0.reduce(.infinity) { $0.isNaN || $0 < $1 ? $0 : $1 } },
    { $0.min() ?? .max }),
  reduction("ReduceProd", axesAsInputSince: 18, { $0.reduce(1, *) }, { $0.reduce(1, &*) }),
  reduction(
    "ReduceSumSquare", axesAsInputSince: 18, { $0.reduce(0) { $0 + $1 * $1 } }, { $0.reduce(0) { $0 &+ $1 &* $1 } }),
  reduction("ReduceL1", axesAsInputSince: 18, { $0.reduce(0) { $0 + abs($1) } }, { slice in
    slice.reduce(0) { $0 &+ ($1 < 0 ? 0 &- $1 : $1) }
  }),
  reduction("ReduceL2", axesAsInputSince: 18, { $0.reduce(0) { $0 + $1 * $1 }.squareRoot() }, { slice in
    wholePart(Double(slice.reduce(0) { $0 &+ $1 &* $1 }).squareRoot())
  }),
  reduction("ReduceLogSum", axesAsInputSince: 18, { log(sum($0)) }, { slice in
    wholePart(log(Double(slice.reduce(0, &+))))
  }),
  reduction("ReduceLogSumExp", axesAsInputSince: 18, { slice in
    let largest = slice.max() ?? -.infinity
    guard largest.isFinite else { return largest }
    return largest + log(slice.reduce(0) { $0 + exp($1 - largest) })
  }, { slice in
    // Of integers, ONNX Runtime cuts each power to its whole part: those below 1 add nothing.
    guard let largest = slice.max() else { return .min }
    return largest &+ wholePart(log(Double(slice.count { $0 == largest })))
  }),
  [
    OperatorDefinition("ArgMax") { call in [try extremeIndex(call) { $0 > $1 }] },
    OperatorDefinition("ArgMin") { call in [try extremeIndex(call) { $0 < $1 }] },
    OperatorDefinition("CumSum", since: 11, runningSum),
  ],
].flatMap { $0 }

private func wholePart(_ number: Double) -> Int64 { integer(number, in: Int64.min...Int64.max) }

@Sendable private func sum(_ elements: ArraySlice<Double>) -> Double { elements.reduce(0, +) }

/// A reduction in both of its forms. Floating-point elements are reduced in double precision and rounded once.
private func reduction(
  _ name: String, axesAsInputSince inputVersion: Int,
  _ float: @escaping @Sendable (ArraySlice<Double>) -> Double,
  _ integer: @escaping @Sendable (ArraySlice<Int64>) -> Int64
) -> [OperatorDefinition] {
  @Sendable func reduce(_ call: Call, _ axes: [Int]?) throws -> [Value] {
    let value = try call.input(0)
    let keepsDimensions = try call.node.int("keepdims", default: 1) != 0
    let named = axes ?? []
    // Without axes all are reduced, or none, so that each element is a slice of its own.
    let reducesAll = try call.node.int("noop_with_empty_axes", default: 0) == 0
    let reduced = try named.isEmpty && reducesAll
      ? Array(value.shape.indices) : Shape.axes(named, rank: value.shape.count)
    let kept = value.shape.indices.filter { !reduced.contains($0) }
    let rows = try value.transposed(kept + reduced)
    let length = Shape.product(reduced.map { value.shape[$0] })
    let count = Shape.product(kept.map { value.shape[$0] })
    func slices<Element, Result>(_ elements: [Element], _ body: (ArraySlice<Element>) -> Result) -> [Result] {
      (0..<count).map { body(elements[$0 * length..<($0 + 1) * length]) }
    }
    let result: Numbers
    switch try rows.numbers() {
    case .integers(let elements): result = .integers(slices(elements, integer))
    case let floating: result = .doubles(slices(floating.asDoubles, float))
    }
    let shape = value.shape.indices.compactMap { axis in
      reduced.contains(axis) ? (keepsDimensions ? 1 : nil) : value.shape[axis]
    }
    return [try Value(value.elementType, shape, result)]
  }
  return [
    OperatorDefinition(name) { call in try reduce(call, try call.node.optionalInts("axes")) },
    OperatorDefinition(name, since: inputVersion) { call in try reduce(call, try call.optional(1)?.ints()) },
  ]
}

/// `ArgMax` and `ArgMin`: the place of the first (or last) element that no other beats.
private func extremeIndex(_ call: Call, _ beats: (Double, Double) -> Bool) throws -> Value {
  let value = try call.input(0)
  let axis = try Shape.axis(try call.node.int("axis", default: 0), rank: value.shape.count)
  let takesLast = try call.node.int("select_last_index", default: 0) != 0
  let (outer, size, inner) = Shape.split(value.shape, at: axis)
  guard size > 0 || outer * inner == 0 else { throw Failure("looks for an element in an empty dimension") }
  let elements = try value.numbers().asDoubles
  var result: [Int64] = []
  for step in 0..<outer {
    for column in 0..<inner {
      var best = 0
      for index in 1..<max(size, 1) {
        let new = elements[(step * size + index) * inner + column]
        let old = elements[(step * size + best) * inner + column]
        if beats(new, old) || (takesLast && new == old) { best = index }
      }
      result.append(Int64(best))
    }
  }
  var shape = value.shape
  if try call.node.int("keepdims", default: 1) != 0 { shape[axis] = 1 } else { shape.remove(at: axis) }
  return try Value(shape: shape, int64s: result)
}

/// `CumSum`: sums of the elements up to each one along an axis.
@Sendable private func runningSum(_ call: Call) throws -> [Value] {
  let value = try call.input(0)
  let axis = try Shape.axis(try call.input(1).scalarInt(), rank: value.shape.count)
  let excludesOwn = try call.node.int("exclusive", default: 0) != 0
  let backwards = try call.node.int("reverse", default: 0) != 0
  let (outer, size, inner) = Shape.split(value.shape, at: axis)
  func sums<Element>(_ elements: [Element], _ zero: Element, _ add: (Element, Element) -> Element) -> [Element] {
    var result = elements
    for step in 0..<outer {
      for column in 0..<inner {
        var total = zero
        for index in 0..<size {
          let place = (step * size + (backwards ? size - 1 - index : index)) * inner + column
          let next = add(total, elements[place])
          result[place] = excludesOwn ? total : next
          total = next
        }
      }
    }
    return result
  }
  let result: Numbers =
    switch try value.numbers() {
    case .floats(let elements): .floats(sums(elements, 0, +))
    case .doubles(let elements): .doubles(sums(elements, 0, +))
    case .integers(let elements): .integers(sums(elements, 0, &+))
    }
  return [try Value(value.elementType, value.shape, result)]
}
