import ONNX

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// One element of a tensor that is known while lowering.
enum Scalar: Hashable, Sendable {
  case integer(Size)
  case real(Double)
  case truth(Bool)

  /// The element as a number, where no symbol takes part.
  var number: Double? {
    switch self {
    case .integer(let size): size.constant.map { Double($0) }
    case .real(let value): value
    case .truth(let value): value ? 1 : 0
    }
  }

  var size: Size? { if case .integer(let size) = self { size } else { nil } }
  var int: Int? { size?.constant }
  var truth: Bool? { if case .truth(let value) = self { value } else { nil } }
}

/// The ONNX operators that work element by element, on known elements.
///
/// A result of nil means that nothing is known: the operator is none of these, or its value depends on sizes.
enum ScalarOperator {
  static let unary: Set<String> = ["Neg", "Abs", "Sqrt", "Reciprocal", "Not", "Floor", "Ceil", "IsNaN", "IsInf"]
  static let binary: Set<String> = [
    "Add", "Sub", "Mul", "Div", "Pow", "Mod", "Max", "Min", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual",
    "And", "Or", "Xor",
  ]

  /// - Parameter type: The result's element type, to which floating-point results are rounded.
  static func apply(_ name: String, _ operands: [Scalar], type: ElementType?) -> Scalar? {
    guard let result = evaluate(name, operands) else { return nil }
    return rounded(result, to: type)
  }

  static func cast(_ value: Scalar, to type: ElementType) -> Scalar? {
    if type == .bool {
      switch value {
      case .truth: return value
      case .real(let real): return .truth(real != 0)
      case .integer(let size):
        if let constant = size.constant { return .truth(constant != 0) }
        return size.isPositive ? .truth(true) : nil
      }
    }
    if type.isFloatingPoint { return value.number.flatMap { rounded(.real($0), to: type) } }
    guard type == .int64 || type == .int32 else {
      guard type.isInteger, let number = value.number, (0...127).contains(number) else { return nil }
      return .integer(Size(Int(number)))
    }
    switch value {
    case .integer(let size):
      // A symbolic size fits 32 bits, or the model could not run.
      guard let constant = size.constant, type == .int32 else { return value }
      return Int32(exactly: constant) == nil ? nil : value
    case .truth(let truth): return .integer(Size(truth ? 1 : 0))
    case .real(let real):
      return Int32(exactly: real.rounded(.towardZero)).map { .integer(Size(Int($0))) }
    }
  }

  /// ONNX QuantizeLinear: x / scale rounded half to even, plus the zero point, saturated.
  static func quantize(_ value: Scalar, scale: Scalar, zeroPoint: Scalar, type: ElementType?) -> Scalar? {
    let range: ClosedRange<Double>
    switch type {
    case .int8: range = -128...127
    case .uint8: range = 0...255
    case .int16: range = -32_768...32_767
    case .uint16: range = 0...65_535
    default: return nil
    }
    guard case .real(let real) = value, !real.isNaN, let step = scale.number, step > 0, let zero = zeroPoint.number
    else { return nil }
    let quotient = Double(Float(real) / Float(step)).rounded(.toNearestOrEven) + zero
    return .integer(Size(Int(min(max(quotient, range.lowerBound), range.upperBound))))
  }

  /// ONNX DequantizeLinear: (q − zero point) · scale.
  static func dequantize(_ value: Scalar, scale: Scalar, zeroPoint: Scalar, type: ElementType?) -> Scalar? {
    guard let number = value.int, let zero = zeroPoint.int, let step = scale.number else { return nil }
    let (difference, overflow) = number.subtractingReportingOverflow(zero)
    return overflow ? nil : rounded(.real(Double(difference) * step), to: type)
  }

  static func rounded(_ value: Scalar, to type: ElementType?) -> Scalar? {
    guard case .real(let real) = value else { return value }
    switch type {
    case .double: return value
    case .float: return .real(Double(Float(real)))
    // Half types: their constants are read as they are; their arithmetic is not followed but for exact results.
    case .float16, .bfloat16: return .real(Double(Float(real)))
    default: return nil
    }
  }

  private static func evaluate(_ name: String, _ operands: [Scalar]) -> Scalar? {
    switch operands.count {
    case 1: return unary(name, operands[0])
    case 2:
      switch (operands[0], operands[1]) {
      case (.integer(let a), .integer(let b)): return binary(name, a, b)
      case (.real(let a), .real(let b)): return binary(name, a, b)
      case (.truth(let a), .truth(let b)): return binary(name, a, b)
      case (.real(let a), .integer(let b)) where name == "Pow": return b.constant.map { .real(pow(a, Double($0))) }
      default: return nil
      }
    default: return nil
    }
  }

  private static func unary(_ name: String, _ operand: Scalar) -> Scalar? {
    switch (name, operand) {
    case ("Neg", .integer(let a)): return Size(0).minus(a).map { .integer($0) }
    case ("Neg", .real(let a)): return .real(-a)
    case ("Abs", .real(let a)): return .real(abs(a))
    case ("Abs", .integer(let a)): return a.isPositive || a.constant == 0 ? operand : nil
    case ("Sqrt", .real(let a)): return .real(a.squareRoot())
    case ("Reciprocal", .real(let a)): return .real(1 / a)
    case ("Floor", .real(let a)): return .real(a.rounded(.down))
    case ("Ceil", .real(let a)): return .real(a.rounded(.up))
    case ("Not", .truth(let a)): return .truth(!a)
    case ("IsNaN", .real(let a)): return .truth(a.isNaN)
    case ("IsInf", .real(let a)): return .truth(a.isInfinite)
    default: return nil
    }
  }

  private static func binary(_ name: String, _ a: Size, _ b: Size) -> Scalar? {
    switch name {
    case "Add": return a.plus(b).map { .integer($0) }
    case "Sub": return a.minus(b).map { .integer($0) }
    case "Mul": return a.times(b).map { .integer($0) }
    case "Div":
      if let a = a.constant, let b = b.constant {
        let (quotient, overflow) = a.dividedReportingOverflow(by: b)
        return overflow ? nil : .integer(Size(quotient))
      }
      return a.dividedExactly(by: b).map { .integer($0) }
    case "Mod":
      guard let a = a.constant, let b = b.constant, a >= 0, b > 0 else { return nil }
      return .integer(Size(a % b))
    case "Max", "Min":
      guard let less = isLess(a, b) else { return a == b ? .integer(a) : nil }
      return .integer((name == "Max") == less ? b : a)
    case "Equal":
      if a == b { return .truth(true) }
      return isLess(a, b) == nil ? nil : .truth(false)
    case "Less", "GreaterOrEqual": return isLess(a, b).map { .truth((name == "Less") == $0) }
    case "Greater", "LessOrEqual": return isLess(b, a).map { .truth((name == "Greater") == $0) }
    default: return nil
    }
  }

  /// Whether a < b; nil where it depends on the symbols.
  private static func isLess(_ a: Size, _ b: Size) -> Bool? {
    guard let difference = b.minus(a) else { return nil }
    if let constant = difference.constant { return constant > 0 }
    if difference.isPositive { return true }
    return difference.times(Size(-1))?.isPositive == true ? false : nil
  }

  private static func binary(_ name: String, _ a: Double, _ b: Double) -> Scalar? {
    switch name {
    case "Add": .real(a + b)
    case "Sub": .real(a - b)
    case "Mul": .real(a * b)
    case "Div": .real(a / b)
    case "Pow": .real(pow(a, b))
    case "Max": .real(max(a, b))
    case "Min": .real(min(a, b))
    case "Equal": .truth(a == b)
    case "Less": .truth(a < b)
    case "LessOrEqual": .truth(a <= b)
    case "Greater": .truth(a > b)
    case "GreaterOrEqual": .truth(a >= b)
    default: nil
    }
  }

  private static func binary(_ name: String, _ a: Bool, _ b: Bool) -> Scalar? {
    switch name {
    case "And": .truth(a && b)
    case "Or": .truth(a || b)
    case "Xor", "NotEqual": .truth(a != b)
    case "Equal": .truth(a == b)
    default: nil
    }
  }
}
