import ONNX

/// Changes of type, and operators that hand their input on.
let castingOperators: [OperatorDefinition] = [
  OperatorDefinition("Cast") { call in
    guard let code = Int32(exactly: try call.node.int("to")), let type = ElementType(rawValue: code) else {
      throw Failure("casts to an unknown type")
    }
    return [try cast(try call.input(0), to: type)]
  },
  OperatorDefinition("CastLike", since: 15) { call in
    [try cast(try call.input(0), to: try call.input(1).elementType)]
  },
  OperatorDefinition("Identity") { call in [try call.input(0)] },
  // ONNX Runtime's mask marks what is dropped before version 12, what is kept from then on.
  OperatorDefinition("Dropout", since: 7) { call in try dropout(call, mask: false) },
  OperatorDefinition("Dropout", since: 12) { call in
    if let training = call.optional(2), try training.scalarBool() {
      throw Failure("drops elements at random (training_mode), which has no one result")
    }
    return try dropout(call, mask: true)
  },
]

/// `Dropout` while not training: the input, and a mask of one truth value.
private func dropout(_ call: Call, mask: Bool) throws -> [Value] {
  let value = try call.input(0)
  return [value, Value(value.shape, booleans: [Bool](repeating: mask, count: value.count))]
}

/// The value's elements in another type: towards zero from floating point to integers, at the ends of the range where
/// they do not fit; wrapped from integers to smaller ones.
func cast(_ value: Value, to type: ElementType) throws -> Value {
  guard type != value.elementType else { return value }
  guard type != .string else { throw Failure("casts to strings, which are not supported") }
  let numbers: Numbers
  if case .uint64(let elements) = value.storage {
    // The only integers that `Int64` cannot hold.
    return try Value(
      type, value.shape,
      type == .double ? .doubles(elements.map { Double($0) })
        : type.isFloatingPoint ? .floats(elements.map { Float($0) })
        : .integers(elements.map { Int64(truncatingIfNeeded: $0) }))
  }
  switch (try value.numbers(), type) {
  case (.integers(let elements), .double): numbers = .doubles(elements.map { Double($0) })
  case (.integers(let elements), _):
    numbers = type.isFloatingPoint ? .floats(elements.map { Float($0) }) : .integers(elements)
  case (.floats(let elements), .double): numbers = .doubles(elements.map { Double($0) })
  case (let floating, .bool): numbers = .integers(floating.asDoubles.map { $0 != 0 ? 1 : 0 })
  case (let floating, _):
    if type.isFloatingPoint {
      numbers = floating
    } else {
      let range = try type.integerRange
      numbers = .integers(floating.asDoubles.map { integer($0, in: range) })
    }
  }
  return try Value(type, value.shape, numbers)
}

/// The integer part of `number`, or the end of `range` next to it; 0 for NaN.
func integer(_ number: Double, in range: ClosedRange<Int64>) -> Int64 {
  guard !number.isNaN else { return 0 }
  guard let result = Int64(exactly: number.rounded(.towardZero)) else {
    return number < 0 ? range.lowerBound : range.upperBound
  }
  return min(max(result, range.lowerBound), range.upperBound)
}

extension ElementType {
  /// The integers that the type holds, as far as `Int64` does.
  var integerRange: ClosedRange<Int64> {
    get throws {
      switch self {
      case .int4: -8...7
      case .uint4: 0...15
      case .int8: -128...127
      case .uint8: 0...255
      case .int16: -32768...32767
      case .uint16: 0...65535
      case .int32: Int64(Int32.min)...Int64(Int32.max)
      case .uint32: 0...Int64(UInt32.max)
      case .int64: Int64.min...Int64.max
      case .uint64: 0...Int64.max
      case .bool, .float, .float16, .bfloat16, .double, .string: throw Failure("\(self) is not a type of integers")
      }
    }
  }
}
