/// A constant tensor: an initialiser, or the value of an attribute.
public struct Tensor: Sendable {
  /// The tensor's name; empty for most attributes.
  public var name: String
  /// The type of its elements.
  public let elementType: ElementType
  /// Its dimensions; empty for a scalar.
  public let shape: [Int]
  /// The elements in row-major order, little-endian. Empty for strings.
  public let bytes: TensorBytes
  /// The number of elements: the product of the dimensions.
  public let count: Int

  private let stringElements: [String]

  /// A tensor of elements as they lie in `bytes`: row-major, little-endian, two to a byte for the 4-bit types.
  ///
  /// - Throws: `ONNXError.tensor` if `shape` is negative or too large, if `bytes` does not hold as many elements as it
  ///   asks for, or for strings, which ``init(name:shape:strings:)`` takes.
  public init(
    name: String = "", elementType: ElementType, shape: [Int], bytes: TensorBytes
  ) throws(ONNXError) {
    let count = try Self.elementCount(of: shape, name: name)
    guard let byteCount = elementType.byteCount(of: count) else {
      let reason = elementType == .string ? "strings are not bytes" : "shape \(shape) of \(elementType) is too large"
      throw .tensor(name: name, reason: reason)
    }
    guard byteCount == bytes.count else {
      throw .tensor(
        name: name,
        reason: "shape \(shape) of \(elementType) takes \(byteCount) bytes, but there are \(bytes.count)")
    }
    self.init(name: name, elementType: elementType, shape: shape, bytes: bytes, count: count, strings: [])
  }

  /// A tensor of an array's elements in row-major order.
  ///
  /// - Throws: `ONNXError.tensor` if `shape` does not hold as many elements.
  public init<Element: TensorElement>(
    name: String = "", shape: [Int], elements: [Element]
  ) throws(ONNXError) {
    try self.init(name: name, elementType: Element.elementType, shape: shape, bytes: TensorBytes(elements))
  }

  /// A tensor of truth values in row-major order.
  ///
  /// - Throws: `ONNXError.tensor` if `shape` does not hold as many elements.
  public init(name: String = "", shape: [Int], booleans: [Bool]) throws(ONNXError) {
    try self.init(
      name: name, elementType: .bool, shape: shape, bytes: TensorBytes(booleans.map { $0 ? 1 as UInt8 : 0 }))
  }

  /// A tensor of strings in row-major order.
  ///
  /// - Throws: `ONNXError.tensor` if `shape` does not hold as many elements.
  public init(name: String = "", shape: [Int], strings: [String]) throws(ONNXError) {
    let count = try Self.elementCount(of: shape, name: name)
    guard strings.count == count else {
      throw .tensor(name: name, reason: "shape \(shape) holds \(count) strings, but there are \(strings.count)")
    }
    self.init(
      name: name, elementType: .string, shape: shape, bytes: TensorBytes([UInt8]()), count: count, strings: strings)
  }

  private init(
    name: String, elementType: ElementType, shape: [Int], bytes: TensorBytes, count: Int, strings: [String]
  ) {
    self.name = name
    self.elementType = elementType
    self.shape = shape
    self.bytes = bytes
    self.count = count
    self.stringElements = strings
  }

  static func elementCount(of shape: [Int], name: String) throws(ONNXError) -> Int {
    var count = 1
    for dimension in shape {
      guard dimension >= 0 else { throw .tensor(name: name, reason: "shape \(shape) has a negative dimension") }
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      guard !overflow else { throw .tensor(name: name, reason: "shape \(shape) is too large") }
      count = product
    }
    return count
  }
}

extension Tensor: Equatable {
  /// Whether names, types, shapes and elements (bit for bit) are equal.
  public static func == (left: Tensor, right: Tensor) -> Bool {
    left.name == right.name && left.elementType == right.elementType && left.shape == right.shape
      && left.stringElements == right.stringElements && left.bytes == right.bytes
  }
}

// MARK: - Elements

extension Tensor {
  /// The elements of a tensor of exactly the type that `Element` stands for. The cost is a copy.
  public func elements<Element: TensorElement>(as type: Element.Type) throws(ONNXError) -> [Element] {
    guard elementType == Element.elementType else {
      throw .tensor(name: name, reason: "has elements of type \(elementType), expected \(Element.elementType)")
    }
    return load(type)
  }

  /// The elements of a floating-point tensor, converted to `Float` (exactly, but for `double`, which is rounded).
  public func floats() throws(ONNXError) -> [Float] {
    switch elementType {
    case .float: load(Float.self)
    case .double: load(Double.self).map { Float($0) }
    case .float16: load(UInt16.self).map { Float(float16Bits: $0) }
    case .bfloat16: load(UInt16.self).map { Float(bitPattern: UInt32($0) << 16) }
    default: throw .tensor(name: name, reason: "has elements of type \(elementType), expected floating point")
    }
  }

  /// The elements of a floating-point tensor as `Double`, exactly.
  public func doubles() throws(ONNXError) -> [Double] {
    if elementType == .double { return load(Double.self) }
    return try floats().map { Double($0) }
  }

  /// The elements of an integer or boolean tensor as `Int64`.
  ///
  /// - Throws: `ONNXError.tensor` for other types, and for a `uint64` that `Int64` cannot hold.
  public func int64s() throws(ONNXError) -> [Int64] {
    switch elementType {
    case .int64: return load(Int64.self)
    case .int32: return load(Int32.self).map { Int64($0) }
    case .int16: return load(Int16.self).map { Int64($0) }
    case .int8: return load(Int8.self).map { Int64($0) }
    case .uint8: return load(UInt8.self).map { Int64($0) }
    case .uint16: return load(UInt16.self).map { Int64($0) }
    case .uint32: return load(UInt32.self).map { Int64($0) }
    case .bool: return load(UInt8.self).map { $0 == 0 ? 0 : 1 }
    case .int4: return nibbles().map { Int64($0 >= 8 ? Int8($0) - 16 : Int8($0)) }
    case .uint4: return nibbles().map { Int64($0) }
    case .uint64:
      return try load(UInt64.self).map { value throws(ONNXError) in
        guard let value = Int64(exactly: value) else {
          throw .tensor(name: name, reason: "holds \(value), which is too large for a signed 64-bit integer")
        }
        return value
      }
    case .float, .float16, .bfloat16, .double, .string:
      throw .tensor(name: name, reason: "has elements of type \(elementType), expected integers")
    }
  }

  /// The elements of an integer or boolean tensor as `Int`, as ``int64s()`` gives them.
  public func ints() throws(ONNXError) -> [Int] { try int64s().map { Int($0) } }

  /// The elements of a boolean tensor.
  public func booleans() throws(ONNXError) -> [Bool] {
    guard elementType == .bool else {
      throw .tensor(name: name, reason: "has elements of type \(elementType), expected bool")
    }
    return load(UInt8.self).map { $0 != 0 }
  }

  /// The elements of a tensor of strings.
  public func strings() throws(ONNXError) -> [String] {
    guard elementType == .string else {
      throw .tensor(name: name, reason: "has elements of type \(elementType), expected string")
    }
    return stringElements
  }

  /// The single element of a floating-point tensor of any rank.
  public func scalarFloat() throws(ONNXError) -> Float {
    try requireOneElement()
    return try floats()[0]
  }

  /// The single element of an integer or boolean tensor of any rank.
  public func scalarInt() throws(ONNXError) -> Int {
    try requireOneElement()
    return try ints()[0]
  }

  private func requireOneElement() throws(ONNXError) {
    guard count == 1 else { throw .tensor(name: name, reason: "holds \(count) elements of shape \(shape), expected 1") }
  }

  /// The elements as values of a type of the same size. The mapped bytes may have any alignment, hence a copy.
  private func load<Element: BitwiseCopyable>(_ type: Element.Type) -> [Element] {
    [Element](unsafeUninitializedCapacity: count) { elements, initialized in
      bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(elements).copyMemory(from: $0) }
      initialized = count
    }
  }

  private func nibbles() -> [UInt8] {
    bytes.withUnsafeBytes { bytes in
      (0..<count).map { index in
        let byte = bytes[index / 2]
        return index % 2 == 0 ? byte & 0x0F : byte >> 4
      }
    }
  }
}

extension Float {
  /// The value of an IEEE 754 binary16 number, exactly. (`Float16` is missing on some platforms.)
  init(float16Bits bits: UInt16) {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10 & 0x1F)
    let fraction = UInt32(bits & 0x3FF)
    switch exponent {
    case 0:
      // Zero or subnormal: fraction × 2⁻²⁴, which a float holds exactly.
      let magnitude = Float(fraction) * 0x1p-24
      self = sign == 0 ? magnitude : -magnitude
    case 0x1F:
      self.init(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default:
      self.init(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }
}
