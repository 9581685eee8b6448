import ONNX

// What elementwise operators share.

/// A function of two elements, in each type that elements are computed in; nil where the operator takes no such type.
struct BinaryFunction: Sendable {
  var float: (@Sendable (Float, Float) -> Float)?
  var double: (@Sendable (Double, Double) -> Double)?
  var integer: (@Sendable (Int64, Int64) throws -> Int64)?

  /// The function of each pair of elements, after broadcasting.
  func callAsFunction(_ first: Value, _ second: Value) throws -> Value {
    guard first.elementType == second.elementType else {
      throw Failure("takes values of one type, but got \(first.elementType) and \(second.elementType)")
    }
    let shape = try Shape.broadcast(first.shape, second.shape)
    let pair = (try first.expanded(to: shape).numbers(), try second.expanded(to: shape).numbers())
    let result: Numbers
    switch pair {
    case (.floats(let left), .floats(let right)):
      guard let float else { throw Failure("does not take elements of type \(first.elementType)") }
      result = .floats(zip(left, right).map(float))
    case (.doubles(let left), .doubles(let right)):
      guard let double else { throw Failure("does not take elements of type \(first.elementType)") }
      result = .doubles(zip(left, right).map(double))
    case (.integers(let left), .integers(let right)):
      guard let integer else { throw Failure("does not take elements of type \(first.elementType)") }
      result = .integers(try zip(left, right).map(integer))
    default: throw Failure("takes values of one type")
    }
    return try Value(first.elementType, shape, result)
  }
}

/// A function of one element, in each type that elements are computed in; nil where the operator takes no such type.
struct UnaryFunction: Sendable {
  var float: (@Sendable (Float) -> Float)?
  var double: (@Sendable (Double) -> Double)?
  var integer: (@Sendable (Int64) -> Int64)?

  /// The function of each element.
  func callAsFunction(_ value: Value) throws -> Value {
    let result: Numbers? =
      switch try value.numbers() {
      case .floats(let elements): float.map { .floats(elements.map($0)) }
      case .doubles(let elements): double.map { .doubles(elements.map($0)) }
      case .integers(let elements): integer.map { .integers(elements.map($0)) }
      }
    guard let result else { throw Failure("does not take elements of type \(value.elementType)") }
    return try Value(value.elementType, value.shape, result)
  }
}
