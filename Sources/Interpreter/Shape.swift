/// Arithmetic on shapes, checked: they come from files.
enum Shape {
  /// The most elements that one value may have.
  static let largestCount = 1 << 28

  /// The number of elements of `shape`, if it is one that a value may have.
  @discardableResult
  static func check(_ shape: [Int]) throws -> Int {
    var count = 1
    for size in shape {
      guard size >= 0 else { throw Failure("a shape \(shape) has a negative dimension") }
      // Sizes beside a zero are bounded as well, so that strides cannot overflow.
      let (product, overflow) = count.multipliedReportingOverflow(by: max(size, 1))
      guard !overflow, product <= largestCount else { throw Failure("a value of shape \(shape) is too large") }
      count = product
    }
    return shape.contains(0) ? 0 : count
  }

  /// The product of sizes that are part of a checked shape.
  static func product(_ sizes: some Sequence<Int>) -> Int { sizes.reduce(1, *) }

  /// How far apart neighbours lie along each dimension, in row-major order.
  static func strides(of shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * max(shape[axis + 1], 1) }
    return strides
  }

  /// The shape that two shapes broadcast to.
  static func broadcast(_ first: [Int], _ second: [Int]) throws -> [Int] {
    let rank = max(first.count, second.count)
    let left = [Int](repeating: 1, count: rank - first.count) + first
    let right = [Int](repeating: 1, count: rank - second.count) + second
    let result = try zip(left, right).map { left, right in
      if left == right || right == 1 { return left }
      guard left == 1 else { throw Failure("shapes \(first) and \(second) cannot be broadcast together") }
      return right
    }
    try check(result)
    return result
  }

  /// An axis counted from the front.
  static func axis(_ axis: Int, rank: Int) throws -> Int {
    guard axis >= -rank, axis < rank else { throw Failure("the axis \(axis) is out of range for rank \(rank)") }
    return axis < 0 ? axis + rank : axis
  }

  /// Different axes counted from the front, in increasing order.
  static func axes(_ axes: [Int], rank: Int) throws -> [Int] {
    let result = try axes.map { try axis($0, rank: rank) }.sorted()
    guard Set(result).count == result.count else { throw Failure("the axes \(axes) name one axis twice") }
    return result
  }

  /// Sizes before an axis, at it and after it, multiplied.
  static func split(_ shape: [Int], at axis: Int) -> (outer: Int, size: Int, inner: Int) {
    (product(shape[..<axis]), shape[axis], product(shape[(axis + 1)...]))
  }
}

/// A way to walk over the elements of a row-major array: dimensions, each with its step.
struct View {
  var shape: [Int]
  var strides: [Int]
  var start = 0

  /// The elements of a row-major array in order.
  init(of shape: [Int]) {
    self.shape = shape
    strides = Shape.strides(of: shape)
  }

  /// The view repeated to fill `target`.
  func broadcast(to target: [Int]) throws -> View {
    let missing = target.count - shape.count
    guard missing >= 0 else { throw Failure("the shape \(shape) cannot be expanded to \(target)") }
    var result = self
    result.shape = target
    result.strides = [Int](repeating: 0, count: missing) + strides
    for (axis, size) in shape.enumerated() where size != target[missing + axis] {
      guard size == 1 else { throw Failure("the shape \(shape) cannot be expanded to \(target)") }
      result.strides[missing + axis] = 0
    }
    try Shape.check(target)
    return result
  }

  /// The view with dimension `permutation[i]` as the i-th.
  func permuted(_ permutation: [Int]) throws -> View {
    guard permutation.sorted() == Array(shape.indices) else {
      throw Failure("\(permutation) is not a permutation of \(shape.count) dimensions")
    }
    var result = self
    result.shape = permutation.map { shape[$0] }
    result.strides = permutation.map { strides[$0] }
    return result
  }

  /// The position of each element in the array, in the view's order.
  func indices() -> [Int] {
    guard !shape.contains(0) else { return [] }
    var result = [start]
    result.reserveCapacity(Shape.product(shape))
    // From the last dimension to the first, each repeats what is there so far.
    for (size, stride) in zip(shape, strides).reversed() {
      let block = result.count
      for step in 1..<max(size, 1) {
        for index in 0..<block { result.append(result[index] + step * stride) }
      }
    }
    return result
  }
}
