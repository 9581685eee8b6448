/// The type of a tensor's elements. Raw values are those of ONNX's `TensorProto.DataType`.
public enum ElementType: Int32, Sendable, CaseIterable {
  case float = 1
  case uint8 = 2
  case int8 = 3
  case uint16 = 4
  case int16 = 5
  case int32 = 6
  case int64 = 7
  case string = 8
  case bool = 9
  case float16 = 10
  case double = 11
  case uint32 = 12
  case uint64 = 13
  case bfloat16 = 16
  /// Two elements a byte, the first in the low half.
  case uint4 = 21
  /// Two elements a byte, the first in the low half, two's complement.
  case int4 = 22

  /// The size of one element in bits; nil for strings, which have no fixed size.
  public var bitWidth: Int? {
    switch self {
    case .uint4, .int4: 4
    case .uint8, .int8, .bool: 8
    case .uint16, .int16, .float16, .bfloat16: 16
    case .float, .int32, .uint32: 32
    case .double, .int64, .uint64: 64
    case .string: nil
    }
  }

  /// The size in bytes of `count` elements, or nil where it overflows or has no fixed size.
  public func byteCount(of count: Int) -> Int? {
    guard let bitWidth, count >= 0 else { return nil }
    if bitWidth < 8 { return count / 2 + count % 2 }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: bitWidth / 8)
    return overflow ? nil : bytes
  }

  /// Whether values are integers (`bool` is not one).
  public var isInteger: Bool {
    switch self {
    case .uint4, .int4, .uint8, .int8, .uint16, .int16, .int32, .uint32, .int64, .uint64: true
    case .float, .float16, .bfloat16, .double, .bool, .string: false
    }
  }

  /// Whether values are floating-point numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .float, .float16, .bfloat16, .double: true
    default: false
    }
  }
}

extension ElementType: CustomStringConvertible {
  /// The type's name as ONNX's documents spell it, in small letters.
  public var description: String {
    switch self {
    case .float: "float"
    case .uint8: "uint8"
    case .int8: "int8"
    case .uint16: "uint16"
    case .int16: "int16"
    case .int32: "int32"
    case .int64: "int64"
    case .string: "string"
    case .bool: "bool"
    case .float16: "float16"
    case .double: "double"
    case .uint32: "uint32"
    case .uint64: "uint64"
    case .bfloat16: "bfloat16"
    case .uint4: "uint4"
    case .int4: "int4"
    }
  }
}

/// A Swift type whose arrays hold a tensor's elements bit for bit.
public protocol TensorElement: BitwiseCopyable, Sendable {
  /// The element type that the Swift type stands for.
  static var elementType: ElementType { get }
}

extension Float: TensorElement { public static var elementType: ElementType { .float } }
extension Double: TensorElement { public static var elementType: ElementType { .double } }
extension Int8: TensorElement { public static var elementType: ElementType { .int8 } }
extension Int16: TensorElement { public static var elementType: ElementType { .int16 } }
extension Int32: TensorElement { public static var elementType: ElementType { .int32 } }
extension Int64: TensorElement { public static var elementType: ElementType { .int64 } }
extension UInt8: TensorElement { public static var elementType: ElementType { .uint8 } }
extension UInt16: TensorElement { public static var elementType: ElementType { .uint16 } }
extension UInt32: TensorElement { public static var elementType: ElementType { .uint32 } }
extension UInt64: TensorElement { public static var elementType: ElementType { .uint64 } }
