#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Sums, products and their like, of two values or of any number.
let arithmeticOperators: [OperatorDefinition] = [
  binary("Add", addition),
  binary("Sub", BinaryFunction(float: { $0 - $1 }, double: { $0 - $1 }, integer: { $0 &- $1 })),
  binary("Mul", multiplication),
  binary("Div", BinaryFunction(float: { $0 / $1 }, double: { $0 / $1 }, integer: quotient)),
  OperatorDefinition("Mod") { call in
    let function = try call.node.int("fmod", default: 0) == 0 ? moduloOfDivisor : moduloOfDividend
    return [try function(try call.input(0), try call.input(1))]
  },
  OperatorDefinition("Pow", power),
  folding("Min", minimum),
  folding("Max", maximum),
  folding("Sum", BinaryFunction(float: { $0 + $1 }, double: { $0 + $1 })),
  OperatorDefinition("Mean") { call in
    let values = try call.allInputs()
    let sum = try values.dropFirst().reduce(values[0]) { try addition($0, $1) }
    let count = values.count
    let division = UnaryFunction(float: { $0 / Float(count) }, double: { $0 / Double(count) })
    return [try division(sum)]
  },
]

/// `Add`.
let addition = BinaryFunction(float: { $0 + $1 }, double: { $0 + $1 }, integer: { $0 &+ $1 })

/// `Mul`.
let multiplication = BinaryFunction(float: { $0 * $1 }, double: { $0 * $1 }, integer: { $0 &* $1 })

// NaN wins over numbers in both.
private let minimum = BinaryFunction(
  float: { $0.isNaN || $0 < $1 ? $0 : $1 }, double: { $0.isNaN || $0 < $1 ? $0 : $1 }, integer: { min($0, $1) })
private let maximum = BinaryFunction(
  float: { $0.isNaN || $0 > $1 ? $0 : $1 }, double: { $0.isNaN || $0 > $1 ? $0 : $1 }, integer: { max($0, $1) })

/// `Mod` with a result of the divisor's sign.
private let moduloOfDivisor = BinaryFunction(integer: { left, right in
  let remainder = try remainder(left, right)
  return remainder != 0 && (remainder < 0) != (right < 0) ? remainder + right : remainder
})

/// `Mod` as C's `fmod`, with a result of the dividend's sign.
private let moduloOfDividend = BinaryFunction(
  float: { fmodf($0, $1) }, double: { fmod($0, $1) }, integer: { try remainder($0, $1) })

private func binary(_ name: String, _ function: BinaryFunction) -> OperatorDefinition {
  OperatorDefinition(name) { call in [try function(try call.input(0), try call.input(1))] }
}

private func folding(_ name: String, _ function: BinaryFunction) -> OperatorDefinition {
  OperatorDefinition(name) { call in
    let values = try call.allInputs()
    return [try values.dropFirst().reduce(values[0]) { try function($0, $1) }]
  }
}

@Sendable private func quotient(_ left: Int64, _ right: Int64) throws -> Int64 {
  guard right != 0 else { throw Failure("divides an integer by zero") }
  return left.dividedReportingOverflow(by: right).partialValue
}

@Sendable private func remainder(_ left: Int64, _ right: Int64) throws -> Int64 {
  guard right != 0 else { throw Failure("divides an integer by zero") }
  return left.remainderReportingOverflow(dividingBy: right).partialValue
}

/// `Pow`: the result has the base's type; the exponent may have another since version 12.
@Sendable private func power(_ call: Call) throws -> [Value] {
  let (base, exponent) = (try call.input(0), try call.input(1))
  let shape = try Shape.broadcast(base.shape, exponent.shape)
  let bases = try base.expanded(to: shape).numbers()
  let exponents = try exponent.expanded(to: shape).numbers()
  let result: Numbers =
    switch (bases, exponents) {
    case (.floats(let left), .floats(let right)): .floats(zip(left, right).map { powf($0, $1) })
    case (.floats(let left), .integers(let right)): .floats(zip(left, right).map { powf($0, Float($1)) })
    case (.floats(let left), .doubles(let right)): .floats(zip(left, right).map { Float(pow(Double($0), $1)) })
    case (.doubles(let left), _): .doubles(zip(left, exponents.asDoubles).map { pow($0, $1) })
    case (.integers(let left), _):
      .integers(try zip(left, exponents.asDoubles).map { base, exponent in
        let result = pow(Double(base), exponent)
        guard let result = Int64(exactly: result.rounded(.towardZero)) else {
          throw Failure("\(base) to the power of \(exponent) is not an integer of 64 bits")
        }
        return result
      })
    }
  return [try Value(base.elementType, shape, result)]
}

extension Numbers {
  /// The elements as doubles; integers of more than 53 bits are rounded.
  var asDoubles: [Double] {
    switch self {
    case .floats(let elements): elements.map { Double($0) }
    case .doubles(let elements): elements
    case .integers(let elements): elements.map { Double($0) }
    }
  }
}
