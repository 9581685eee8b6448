import ONNX

/// A tensor while a graph runs: the type and shape of ONNX's, and its elements as a Swift array.
public struct Value: Sendable, Equatable {
  /// The elements in row-major order.
  ///
  /// `float16` and `bfloat16` are held as the floats that they stand for, 4-bit integers in bytes; ``Value/elementType``
  /// tells them apart.
  public enum Storage: Sendable, Equatable {
    case float([Float])
    case double([Double])
    case int64([Int64])
    case int32([Int32])
    case int16([Int16])
    case int8([Int8])
    case uint64([UInt64])
    case uint32([UInt32])
    case uint16([UInt16])
    case uint8([UInt8])
    case bool([Bool])
  }

  /// The type of the elements.
  public let elementType: ElementType
  /// The dimensions; empty for a scalar.
  public let shape: [Int]
  /// The elements.
  public let storage: Storage

  /// The number of elements.
  public var count: Int { storage.count }

  /// A value whose storage is known to fit its type and shape.
  init(_ elementType: ElementType, _ shape: [Int], _ storage: Storage) {
    self.elementType = elementType
    self.shape = shape
    self.storage = storage
  }

  /// A tensor of floats.
  ///
  /// - Throws: `InterpreterError.value` if `shape` does not hold as many elements; so do the other initialisers.
  public init(shape: [Int], floats: [Float]) throws(InterpreterError) {
    try self.init(checked: .float, shape, .float(floats))
  }

  /// A tensor of 64-bit integers.
  public init(shape: [Int], int64s: [Int64]) throws(InterpreterError) {
    try self.init(checked: .int64, shape, .int64(int64s))
  }

  /// A tensor of whole numbers in the type `type`, which must hold them.
  public init(shape: [Int], int64s: [Int64], as type: ElementType) throws(InterpreterError) {
    let integers = try Value(shape: shape, int64s: int64s)
    do {
      self = try cast(integers, to: type)
    } catch {
      throw .value(reason: "whole numbers cannot be given as \(type)")
    }
  }

  /// A tensor of 32-bit integers.
  public init(shape: [Int], int32s: [Int32]) throws(InterpreterError) {
    try self.init(checked: .int32, shape, .int32(int32s))
  }

  /// The elements of a tensor of a model; the cost is a copy. Strings are not supported.
  public init(_ tensor: Tensor) throws(InterpreterError) {
    do {
      try Shape.check(tensor.shape)
      let storage: Storage =
        switch tensor.elementType {
        case .float, .float16, .bfloat16: .float(try tensor.floats())
        case .double: .double(try tensor.doubles())
        case .int64: .int64(try tensor.int64s())
        case .int32: .int32(try tensor.elements(as: Int32.self))
        case .int16: .int16(try tensor.elements(as: Int16.self))
        case .int8: .int8(try tensor.elements(as: Int8.self))
        case .int4: .int8(try tensor.int64s().map { Int8($0) })
        case .uint64: .uint64(try tensor.elements(as: UInt64.self))
        case .uint32: .uint32(try tensor.elements(as: UInt32.self))
        case .uint16: .uint16(try tensor.elements(as: UInt16.self))
        case .uint8: .uint8(try tensor.elements(as: UInt8.self))
        case .uint4: .uint8(try tensor.int64s().map { UInt8($0) })
        case .bool: .bool(try tensor.booleans())
        case .string: throw Failure("strings are not supported")
        }
      self.init(tensor.elementType, tensor.shape, storage)
    } catch let failure as Failure {
      throw .value(reason: failure.reason)
    } catch {
      throw .value(reason: "\(error)")
    }
  }

  private init(checked type: ElementType, _ shape: [Int], _ storage: Storage) throws(InterpreterError) {
    do {
      guard try Shape.check(shape) == storage.count else { throw Failure("it has \(storage.count) elements") }
    } catch {
      let reason = (error as? Failure)?.reason ?? "\(error)"
      throw .value(reason: "a value of shape \(shape) cannot be made: \(reason)")
    }
    self.init(type, shape, storage)
  }

  /// The elements of a `float`, `float16` or `bfloat16` tensor, or those of a `double` rounded to `Float`.
  public func floats() throws(InterpreterError) -> [Float] {
    switch storage {
    case .float(let elements): return elements
    case .double(let elements): return elements.map { Float($0) }
    default: throw .value(reason: "has elements of type \(elementType), expected floating point")
    }
  }

  /// The elements of a floating-point tensor, exactly.
  public func doubles() throws(InterpreterError) -> [Double] {
    if case .double(let elements) = storage { return elements }
    return try floats().map { Double($0) }
  }

  /// The elements of an integer or boolean tensor.
  ///
  /// - Throws: `InterpreterError.value` for other types, and for a `uint64` that `Int64` cannot hold.
  public func int64s() throws(InterpreterError) -> [Int64] {
    switch storage {
    case .int64(let elements): return elements
    case .int32(let elements): return elements.map { Int64($0) }
    case .int16(let elements): return elements.map { Int64($0) }
    case .int8(let elements): return elements.map { Int64($0) }
    case .uint32(let elements): return elements.map { Int64($0) }
    case .uint16(let elements): return elements.map { Int64($0) }
    case .uint8(let elements): return elements.map { Int64($0) }
    case .bool(let elements): return elements.map { $0 ? 1 : 0 }
    case .uint64(let elements):
      guard elements.allSatisfy({ $0 <= UInt64(Int64.max) }) else {
        throw .value(reason: "has a uint64 element that is too large for a signed 64-bit integer")
      }
      return elements.map { Int64($0) }
    case .float, .double: throw .value(reason: "has elements of type \(elementType), expected integers")
    }
  }

  /// The elements of a boolean tensor.
  public func booleans() throws(InterpreterError) -> [Bool] {
    guard case .bool(let elements) = storage else {
      throw .value(reason: "has elements of type \(elementType), expected bool")
    }
    return elements
  }

  /// The bytes that the elements take in memory.
  var byteCount: Int {
    switch storage {
    case .double, .int64, .uint64: count * 8
    case .float, .int32, .uint32: count * 4
    case .int16, .uint16: count * 2
    case .int8, .uint8, .bool: count
    }
  }
}

// MARK: - Moving elements

extension Value {
  /// The same elements in another shape of the same size.
  func reshaped(_ shape: [Int]) -> Value { Value(elementType, shape, storage) }

  /// A value of the elements at `indices`, which are positions in this value's elements.
  func picking(_ indices: [Int], shape: [Int]) -> Value { Value(elementType, shape, storage.picking(indices)) }

  /// The value repeated along its dimensions of size 1 (and missing leading ones) to fill `shape`.
  func expanded(to shape: [Int]) throws -> Value {
    guard shape != self.shape else { return self }
    return picking(try View(of: self.shape).broadcast(to: shape).indices(), shape: shape)
  }

  /// The value with its dimensions in another order.
  func transposed(_ permutation: [Int]) throws -> Value {
    let view = try View(of: shape).permuted(permutation)
    return picking(view.indices(), shape: view.shape)
  }
}

extension Value.Storage {
  /// The number of elements.
  var count: Int {
    switch self {
    case .float(let elements): elements.count
    case .double(let elements): elements.count
    case .int64(let elements): elements.count
    case .int32(let elements): elements.count
    case .int16(let elements): elements.count
    case .int8(let elements): elements.count
    case .uint64(let elements): elements.count
    case .uint32(let elements): elements.count
    case .uint16(let elements): elements.count
    case .uint8(let elements): elements.count
    case .bool(let elements): elements.count
    }
  }

  /// The elements at `indices`.
  func picking(_ indices: [Int]) -> Self {
    func pick<Element>(_ elements: [Element]) -> [Element] { indices.map { elements[$0] } }
    return switch self {
    case .float(let elements): .float(pick(elements))
    case .double(let elements): .double(pick(elements))
    case .int64(let elements): .int64(pick(elements))
    case .int32(let elements): .int32(pick(elements))
    case .int16(let elements): .int16(pick(elements))
    case .int8(let elements): .int8(pick(elements))
    case .uint64(let elements): .uint64(pick(elements))
    case .uint32(let elements): .uint32(pick(elements))
    case .uint16(let elements): .uint16(pick(elements))
    case .uint8(let elements): .uint8(pick(elements))
    case .bool(let elements): .bool(pick(elements))
    }
  }

  /// The elements of this storage and then those of another, which must have the same type.
  func joined(with other: Self) throws -> Self {
    switch (self, other) {
    case (.float(let first), .float(let second)): .float(first + second)
    case (.double(let first), .double(let second)): .double(first + second)
    case (.int64(let first), .int64(let second)): .int64(first + second)
    case (.int32(let first), .int32(let second)): .int32(first + second)
    case (.int16(let first), .int16(let second)): .int16(first + second)
    case (.int8(let first), .int8(let second)): .int8(first + second)
    case (.uint64(let first), .uint64(let second)): .uint64(first + second)
    case (.uint32(let first), .uint32(let second)): .uint32(first + second)
    case (.uint16(let first), .uint16(let second)): .uint16(first + second)
    case (.uint8(let first), .uint8(let second)): .uint8(first + second)
    case (.bool(let first), .bool(let second)): .bool(first + second)
    default: throw Failure("takes values of one type, but got two")
    }
  }
}
