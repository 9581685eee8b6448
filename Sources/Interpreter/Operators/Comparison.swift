/// Comparisons and logic, with boolean results.
let comparisonOperators: [OperatorDefinition] = [
  comparison("Equal", { $0 == $1 }, { $0 == $1 }, { $0 == $1 }),
  comparison("Greater", { $0 > $1 }, { $0 > $1 }, { $0 > $1 }),
  comparison("GreaterOrEqual", since: 12, { $0 >= $1 }, { $0 >= $1 }, { $0 >= $1 }),
  comparison("Less", { $0 < $1 }, { $0 < $1 }, { $0 < $1 }),
  comparison("LessOrEqual", since: 12, { $0 <= $1 }, { $0 <= $1 }, { $0 <= $1 }),
  logic("And") { $0 && $1 },
  logic("Or") { $0 || $1 },
  logic("Xor") { $0 != $1 },
  OperatorDefinition("Not") { call in
    let value = try call.input(0)
    return [Value(value.shape, booleans: try value.booleans().map { !$0 })]
  },
  test("IsNaN", since: 9) { _ in { $0.isNaN } },
  test("IsInf", since: 10) { call in
    let negative = try call.node.int("detect_negative", default: 1) != 0
    let positive = try call.node.int("detect_positive", default: 1) != 0
    return { $0.isInfinite && ($0 < 0 ? negative : positive) }
  },
]

private func comparison(
  _ name: String, since: Int = 7, _ float: @escaping @Sendable (Float, Float) -> Bool,
  _ double: @escaping @Sendable (Double, Double) -> Bool, _ integer: @escaping @Sendable (Int64, Int64) -> Bool
) -> OperatorDefinition {
  OperatorDefinition(name, since: since) { call in
    let (first, second) = (try call.input(0), try call.input(1))
    guard first.elementType == second.elementType else {
      throw Failure("compares values of one type, but got \(first.elementType) and \(second.elementType)")
    }
    let shape = try Shape.broadcast(first.shape, second.shape)
    let pair = (try first.expanded(to: shape).numbers(), try second.expanded(to: shape).numbers())
    let result: [Bool] =
      switch pair {
      case (.floats(let left), .floats(let right)): zip(left, right).map(float)
      case (.doubles(let left), .doubles(let right)): zip(left, right).map(double)
      case (.integers(let left), .integers(let right)): zip(left, right).map(integer)
      default: throw Failure("compares values of one type")
      }
    return [Value(shape, booleans: result)]
  }
}

private func logic(_ name: String, _ function: @escaping @Sendable (Bool, Bool) -> Bool) -> OperatorDefinition {
  OperatorDefinition(name) { call in
    let (first, second) = (try call.input(0), try call.input(1))
    let shape = try Shape.broadcast(first.shape, second.shape)
    let pairs = zip(try first.expanded(to: shape).booleans(), try second.expanded(to: shape).booleans())
    return [Value(shape, booleans: pairs.map(function))]
  }
}

/// A question about each element of a floating-point value.
private func test(
  _ name: String, since: Int, _ predicate: @escaping @Sendable (Call) throws -> ((Double) -> Bool)
) -> OperatorDefinition {
  OperatorDefinition(name, since: since) { call in
    let value = try call.input(0)
    return [Value(value.shape, booleans: try value.doubles().map(try predicate(call)))]
  }
}
