import Encoder

/// The named tensors of a checkpoint file. Their bytes are views of the mapped file.
public struct Checkpoint: Sendable {
  /// What errors call the file.
  public let file: String
  /// In the file's order; no name twice.
  public let tensors: [Tensor]
  /// Free text by key (safetensors' `__metadata__`).
  public let metadata: [String: String]
  private let places: [String: Int]

  /// - Throws: `CheckpointError.invalid` where a name occurs twice.
  init(file: String, tensors: [Tensor], metadata: [String: String] = [:]) throws(CheckpointError) {
    var places: [String: Int] = [:]
    for (place, tensor) in tensors.enumerated() where places.updateValue(place, forKey: tensor.name) != nil {
      throw .invalid(file: file, place: "tensor '\(tensor.name)'", reason: "is there twice")
    }
    self.file = file
    self.tensors = tensors
    self.metadata = metadata
    self.places = places
  }

  public subscript(name: String) -> Tensor? { places[name].map { tensors[$0] } }

  /// The kinds of number that checkpoints hold; their raw values are safetensors' names.
  public enum ElementType: String, Sendable, CaseIterable {
    case float64 = "F64"
    case float32 = "F32"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case int64 = "I64"
    case int32 = "I32"
    case int16 = "I16"
    case int8 = "I8"
    case uint8 = "U8"
    case bool = "BOOL"

    public var byteCount: Int {
      switch self {
      case .float64, .int64: 8
      case .float32, .int32: 4
      case .float16, .bfloat16, .int16: 2
      case .int8, .uint8, .bool: 1
      }
    }
  }

  public struct Tensor: Sendable {
    public let name: String
    public let shape: [Int]
    public let elementType: ElementType
    /// Row-major, little-endian.
    public let bytes: ConstantBytes

    public init(name: String, shape: [Int], elementType: ElementType, bytes: ConstantBytes) {
      precondition(shape.reduce(1, *) * elementType.byteCount == bytes.count, "a tensor's bytes do not fit its shape")
      self.name = name
      self.shape = shape
      self.elementType = elementType
      self.bytes = bytes
    }

    public init(name: String, shape: [Int], values: [Float]) {
      self.init(name: name, shape: shape, elementType: .float32, bytes: ConstantBytes(values))
    }

    /// The tensor for a model; `nil` where its elements are not real numbers. Double precision is rounded to single.
    public var parameter: Parameter? {
      switch elementType {
      case .float32: Parameter(shape: shape, elementType: .float32, bytes: bytes)
      case .float16: Parameter(shape: shape, elementType: .float16, bytes: bytes)
      case .bfloat16: Parameter(shape: shape, elementType: .bfloat16, bytes: bytes)
      case .float64:
        Parameter(
          bytes.withUnsafeBytes { bytes in
            (0..<bytes.count / 8).map { Float(bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Double.self)) }
          }, shape: shape)
      case .int64, .int32, .int16, .int8, .uint8, .bool: nil
      }
    }
  }
}

extension Checkpoint.ElementType {
  /// How many bytes a shape takes; `nil` where a size is negative or the product does not fit an `Int`.
  func byteCount(ofShape shape: [Int]) -> Int? {
    var count = byteCount
    for size in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      guard size >= 0, !overflow else { return nil }
      count = product
    }
    return count
  }
}
