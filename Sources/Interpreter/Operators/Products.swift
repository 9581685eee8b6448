import ONNX

/// Matrix products.
let productOperators: [OperatorDefinition] = [
  OperatorDefinition("MatMul") { call in [try matrixProduct(try call.input(0), try call.input(1))] },
  OperatorDefinition("Gemm", since: 7) { call in
    let first = try call.node.int("transA", default: 0) != 0 ? try call.input(0).transposed([1, 0]) : try call.input(0)
    let second = try call.node.int("transB", default: 0) != 0 ? try call.input(1).transposed([1, 0]) : try call.input(1)
    guard first.shape.count == 2, second.shape.count == 2 else { throw Failure("multiplies matrices only") }
    let product = try scaled(try matrixProduct(first, second), by: try call.node.float("alpha", default: 1))
    guard let bias = call.optional(2) else { return [product] }
    guard try Shape.broadcast(product.shape, bias.shape) == product.shape else {
      throw Failure("a bias of shape \(bias.shape) does not fit the product's shape \(product.shape)")
    }
    return [try addition(product, try scaled(bias, by: try call.node.float("beta", default: 1)))]
  },
  OperatorDefinition("MatMulInteger", since: 10) { call in
    let first = try centred(try call.input(0), zeroPoint: call.optional(2), rows: true)
    let second = try centred(try call.input(1), zeroPoint: call.optional(3), rows: false)
    return [try matrixProduct(first, second)]
  },
]

/// The value times a number, unless that is 1.
func scaled(_ value: Value, by factor: Float) throws -> Value {
  guard factor != 1 else { return value }
  let multiply = UnaryFunction(
    float: { $0 * factor }, double: { $0 * Double(factor) }, integer: { integer(Double(Float($0) * factor), in: Int64.min...Int64.max) })
  return try multiply(value)
}

/// The product of `[…, m, k]` and `[…, k, n]`, with leading dimensions broadcast, as numpy's `matmul` defines it.
///
/// Floats are summed as floats, in order of k; integers wrap.
func matrixProduct(_ first: Value, _ second: Value) throws -> Value {
  guard first.elementType == second.elementType else {
    throw Failure("multiplies values of one type, but got \(first.elementType) and \(second.elementType)")
  }
  guard !first.shape.isEmpty, !second.shape.isEmpty else { throw Failure("does not multiply scalars") }
  // A vector is a row on the left and a column on the right.
  let left = first.shape.count == 1 ? [1] + first.shape : first.shape
  let right = second.shape.count == 1 ? second.shape + [1] : second.shape
  let (rows, depth, columns) = (left[left.count - 2], left[left.count - 1], right[right.count - 1])
  guard right[right.count - 2] == depth else {
    throw Failure("cannot multiply the shapes \(first.shape) and \(second.shape)")
  }
  let batch = try Shape.broadcast(Array(left.dropLast(2)), Array(right.dropLast(2)))
  try Shape.check(batch + [rows, columns])
  // Which matrix of each operand belongs to each matrix of the result.
  let leftMatrices = try View(of: Array(left.dropLast(2))).broadcast(to: batch).indices()
  let rightMatrices = try View(of: Array(right.dropLast(2))).broadcast(to: batch).indices()
  let matrices = Array(zip(leftMatrices, rightMatrices))
  let sizes = ProductSizes(rows: rows, depth: depth, columns: columns)
  let result: Numbers =
    switch (first.storage, second.storage) {
    case (.float(let a), .float(let b)): .floats(sizes.multiply(a, b, matrices, zero: 0) { $0 + $1 * $2 })
    case (.double(let a), .double(let b)): .doubles(sizes.multiply(a, b, matrices, zero: 0) { $0 + $1 * $2 })
    case (.int32(let a), .int32(let b)):
      .integers(sizes.multiply(a, b, matrices, zero: 0) { $0 &+ $1 &* $2 }.map { Int64($0) })
    default: .integers(sizes.multiply(try first.int64s(), try second.int64s(), matrices, zero: 0) { $0 &+ $1 &* $2 })
    }
  var shape = batch
  if first.shape.count > 1 { shape.append(rows) }
  if second.shape.count > 1 { shape.append(columns) }
  return try Value(first.elementType, shape, result)
}

/// The sizes of a matrix product.
private struct ProductSizes {
  let rows: Int
  let depth: Int
  let columns: Int

  /// The product of each pair of `matrices`, which are numbers of matrices in `a` and `b`.
  ///
  /// - Parameter add: A sum and two factors to the new sum.
  @inline(__always)
  func multiply<Element>(
    _ a: [Element], _ b: [Element], _ matrices: [(Int, Int)], zero: Element,
    _ add: (Element, Element, Element) -> Element
  ) -> [Element] {
    var result = [Element](repeating: zero, count: matrices.count * rows * columns)
    // Every index below is less than the counts that the shapes were checked against; plain pointers let the loop
    // over columns become vector code.
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        result.withUnsafeMutableBufferPointer { result in
          for (number, (left, right)) in matrices.enumerated() {
            for row in 0..<rows {
              let sums = UnsafeMutableBufferPointer(
                rebasing: result[(number * rows + row) * columns..<(number * rows + row + 1) * columns])
              for step in 0..<depth {
                let factor = a[(left * rows + row) * depth + step]
                let line = UnsafeBufferPointer(
                  rebasing: b[(right * depth + step) * columns..<(right * depth + step + 1) * columns])
                for column in 0..<columns { sums[column] = add(sums[column], factor, line[column]) }
              }
            }
          }
        }
      }
    }
    return result
  }
}
