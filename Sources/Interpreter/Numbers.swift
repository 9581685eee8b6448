import ONNX

/// The elements of a value in the type that operators compute in.
///
/// The small floating-point types are computed as `Float`, all integers and booleans as `Int64`; making a value of the
/// result rounds or wraps to the type that it must have.
enum Numbers {
  case floats([Float])
  case doubles([Double])
  case integers([Int64])
}

extension Value {
  /// The elements to compute with.
  func numbers() throws -> Numbers {
    switch storage {
    case .float(let elements): .floats(elements)
    case .double(let elements): .doubles(elements)
    default: .integers(try int64s())
    }
  }

  /// A value of `numbers` in the type `elementType`, which must be of their kind: rounded to even if it is a small
  /// floating-point type, wrapped if it is a small integer.
  init(_ elementType: ElementType, _ shape: [Int], _ numbers: Numbers) throws {
    let storage: Storage =
      switch (elementType, numbers) {
      case (.float, .floats(let elements)): .float(elements)
      case (.float16, .floats(let elements)): .float(elements.map { $0.roundedToFloat16 })
      case (.bfloat16, .floats(let elements)): .float(elements.map { $0.roundedToBFloat16 })
      case (.float, .doubles(let elements)): .float(elements.map { Float($0) })
      case (.float16, .doubles(let elements)): .float(elements.map { Float($0).roundedToFloat16 })
      case (.bfloat16, .doubles(let elements)): .float(elements.map { Float($0).roundedToBFloat16 })
      case (.double, .doubles(let elements)): .double(elements)
      case (.int64, .integers(let elements)): .int64(elements)
      case (.int32, .integers(let elements)): .int32(elements.map { Int32(truncatingIfNeeded: $0) })
      case (.int16, .integers(let elements)): .int16(elements.map { Int16(truncatingIfNeeded: $0) })
      case (.int8, .integers(let elements)): .int8(elements.map { Int8(truncatingIfNeeded: $0) })
      case (.uint64, .integers(let elements)): .uint64(elements.map { UInt64(truncatingIfNeeded: $0) })
      case (.uint32, .integers(let elements)): .uint32(elements.map { UInt32(truncatingIfNeeded: $0) })
      case (.uint16, .integers(let elements)): .uint16(elements.map { UInt16(truncatingIfNeeded: $0) })
      case (.uint8, .integers(let elements)): .uint8(elements.map { UInt8(truncatingIfNeeded: $0) })
      case (.int4, .integers(let elements)): .int8(elements.map { Int8(truncatingIfNeeded: ($0 << 60) >> 60) })
      case (.uint4, .integers(let elements)): .uint8(elements.map { UInt8(truncatingIfNeeded: $0 & 0xF) })
      case (.bool, .integers(let elements)): .bool(elements.map { $0 != 0 })
      default: throw Failure("does not give elements of type \(elementType)")
      }
    self.init(elementType, shape, storage)
  }

  /// A tensor of truth values.
  init(_ shape: [Int], booleans: [Bool]) { self.init(.bool, shape, .bool(booleans)) }

  /// The single element of an integer tensor of any rank.
  func scalarInt() throws -> Int { Int(try onlyElement(try int64s())) }

  /// The single element of a floating-point tensor of any rank.
  func scalarFloat() throws -> Float { try onlyElement(try floats()) }

  /// The single element of a boolean tensor of any rank.
  func scalarBool() throws -> Bool { try onlyElement(try booleans()) }

  private func onlyElement<Element>(_ elements: [Element]) throws -> Element {
    guard elements.count == 1 else { throw Failure("needs one element, but got the shape \(shape)") }
    return elements[0]
  }

  /// The elements of an integer tensor, as sizes, axes or positions.
  func ints() throws -> [Int] { try int64s().map { Int($0) } }
}

extension Float {
  /// The nearest IEEE 754 binary16 number, ties to even. (`Float16` is missing on some platforms.)
  var roundedToFloat16: Float {
    guard isFinite, self != 0 else { return self }
    // Half way between the largest number and the next power of two.
    guard magnitude < 65520 else { return self < 0 ? -.infinity : .infinity }
    let quantum = Float(sign: .plus, exponent: Swift.max(exponent, -14) - 10, significand: 1)
    return (self / quantum).rounded(.toNearestOrEven) * quantum
  }

  /// The nearest bfloat16 number, ties to even.
  var roundedToBFloat16: Float {
    guard isFinite else { return self }
    let half = 0x7FFF + (bitPattern >> 16 & 1)
    return Float(bitPattern: (bitPattern &+ half) & 0xFFFF_0000)
  }
}
