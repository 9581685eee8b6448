import Kernels

/// A constant tensor of a model: shape, element type and bytes (row-major, little-endian).
public struct Parameter: Sendable {
  public enum ElementType: String, Sendable, CaseIterable {
    case float32, float16, bfloat16, int8, uint8

    public var byteCount: Int {
      switch self {
      case .float32: 4
      case .float16, .bfloat16: 2
      case .int8, .uint8: 1
      }
    }
  }

  public let shape: [Int]
  public let elementType: ElementType
  public let bytes: ConstantBytes

  /// - Precondition: `bytes` holds exactly the elements of `shape`; a loader checks this against its file first.
  public init(shape: [Int], elementType: ElementType, bytes: ConstantBytes) {
    precondition(shape.reduce(1, *) * elementType.byteCount == bytes.count, "a parameter's bytes do not fit its shape")
    self.shape = shape
    self.elementType = elementType
    self.bytes = bytes
  }

  public init(_ values: [Float], shape: [Int]) {
    self.init(shape: shape, elementType: .float32, bytes: ConstantBytes(values))
  }

  public init(_ values: [Int8], shape: [Int]) {
    self.init(shape: shape, elementType: .int8, bytes: ConstantBytes(values))
  }

  /// The number of elements.
  public var count: Int { shape.reduce(1, *) }
}

extension Parameter {
  /// Elements `range` (row-major), converted to float32: their value less `zero`, times `scale`.
  public func copyFloats(
    _ range: Range<Int>, zero: Float = 0, scale: Float = 1, to destination: UnsafeMutableBufferPointer<Float>
  ) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count && destination.count >= range.count)
    bytes.withUnsafeBytes { source in
      switch elementType {
      case .float32:
        UnsafeMutableRawBufferPointer(destination).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: source[range.lowerBound * 4 ..< range.upperBound * 4]))
      case .float16:
        if let x = source.baseAddress, let y = destination.baseAddress {
          KernelSet.convert(halfPrecision: x + range.lowerBound * 2, count: range.count, to: y)
        }
      case .bfloat16:
        for (offset, index) in range.enumerated() {
          let bits = source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)
          destination[offset] = Float(bitPattern: UInt32(bits) << 16)
        }
      case .int8, .uint8:
        if let x = source.baseAddress, let y = destination.baseAddress {
          KernelSet.convert(
            bytes: x.assumingMemoryBound(to: Int8.self) + range.lowerBound, areUnsigned: elementType == .uint8, count: range.count,
            zero: zero, scale: scale, to: y)
        }
        return
      }
      if zero == 0 && scale == 1 { return }
      for offset in 0..<range.count { destination[offset] = (destination[offset] - zero) * scale }
    }
  }

  /// All elements as float32. Cost: one copy.
  public func floats() -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      buffer.initialize(repeating: 0)
      copyFloats(0..<count, to: buffer)
      initialized = count
    }
  }

  /// The place of the first element that is NaN or infinite, if any. Cost: one pass, in pieces.
  public func firstNonFinite() -> Int? {
    let size = 4096
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: size) { piece in
      for start in stride(from: 0, to: count, by: size) {
        let range = start..<min(start + size, count)
        copyFloats(range, to: piece)
        // A product with 0 is 0 for finite numbers and NaN for the others.
        var sum: Float = 0
        for index in 0..<range.count { sum += piece[index] * 0 }
        if !sum.isNaN { continue }
        if let index = (0..<range.count).first(where: { !piece[$0].isFinite }) { return start + index }
      }
      return nil
    }
  }
}
