/// What watches a pass through a model: the operations as they end, and those of their results that it asks for.
///
/// An executor that is given none spends nothing on it. One that is given an observer calls it from the thread that runs the pass,
/// in the order of the pass; what the calls cost is in no operation's time. The names of operations and tensors are listed in
/// `docs/inside.md` and do not change.
///
/// ```swift
/// var probabilities: [ObservedTensor] = []
/// let observer = Observer(
///   selecting: { $0.hasSuffix(".attention.probabilities") }, tensor: { probabilities.append($0) },
///   operation: { print($0.name, $0.duration) })
/// _ = try encoder.forward(batch, observer: observer)
/// ```
public struct Observer {
  /// When the observer was made: operations tell their beginning from here.
  public let origin = ContinuousClock.now
  private let selects: (String) -> Bool
  private let tensorAction: (ObservedTensor) -> Void
  private let operationAction: (ObservedOperation) -> Void
  private let memoryAction: ([ObservedRegion]) -> Void

  /// - Parameters:
  ///   - selects: whether a tensor of this name is wanted; what is not wanted is not computed.
  ///   - tensor: is handed each tensor wanted.
  ///   - operation: is handed each operation when it has ended.
  ///   - memory: is handed the map of the memory that a pass works in, once a pass, where the executor has one.
  public init(
    selecting selects: @escaping (_ name: String) -> Bool = { _ in false },
    tensor: @escaping (ObservedTensor) -> Void = { _ in },
    operation: @escaping (ObservedOperation) -> Void = { _ in },
    memory: @escaping ([ObservedRegion]) -> Void = { _ in }
  ) {
    self.selects = selects
    tensorAction = tensor
    operationAction = operation
    memoryAction = memory
  }

  /// Whether the tensor is to be handed over.
  public func wants(_ name: String) -> Bool { selects(name) }

  public func observe(_ tensor: ObservedTensor) { tensorAction(tensor) }
  public func observe(_ operation: ObservedOperation) { operationAction(operation) }
  public func observe(_ memory: [ObservedRegion]) { memoryAction(memory) }
}

/// One operation of a pass, after it ended.
public struct ObservedOperation: Sendable, Equatable {
  /// For example `layer.3.feed_forward`; of a graph that runs node by node, the node's label.
  public var name: String
  /// The number of the layer, from 0; `nil` outside the layers.
  public var layer: Int?
  /// The shapes of what it takes, weights among them.
  public var inputs: [[Int]]
  /// The shape of its result.
  public var output: [Int]
  /// What computed it, for example `u8s8f32_gemm (avx512vnni)`, in order; the operator's name where nodes run one by one.
  public var kernels: [String]
  /// Multiplications and additions of its products; 0 where that says nothing.
  public var arithmetic: Int
  /// When it began, from `Observer.origin`.
  public var start: Duration
  public var duration: Duration

  public init(
    name: String, layer: Int? = nil, inputs: [[Int]], output: [Int], kernels: [String], arithmetic: Int = 0, start: Duration,
    duration: Duration
  ) {
    self.name = name
    self.layer = layer
    self.inputs = inputs
    self.output = output
    self.kernels = kernels
    self.arithmetic = arithmetic
    self.start = start
    self.duration = duration
  }
}

/// A copy of an intermediate value, or of what an int8 product multiplies.
public struct ObservedTensor: Sendable, Equatable {
  /// For example `layer.3.attention.probabilities`; of a graph that runs node by node, the value's name.
  public var name: String
  /// The sequence of the batch that it belongs to, for tensors that have rows and columns of one sequence's tokens; `nil` for those
  /// with a row for every token of the batch.
  public var sequence: Int?
  public var shape: [Int]
  /// Row-major.
  public var elements: Elements

  public enum Elements: Sendable, Equatable {
    case float32([Float])
    case int32([Int32])
    case int8([Int8])
    case uint8([UInt8])

    /// NumPy's name of the type.
    public var typeName: String {
      switch self {
      case .float32: "float32"
      case .int32: "int32"
      case .int8: "int8"
      case .uint8: "uint8"
      }
    }
  }

  /// The elements as they are in float32; integers are converted.
  public var values: [Float] {
    switch elements {
    case .float32(let values): values
    case .int32(let values): values.map { Float($0) }
    case .int8(let values): values.map { Float($0) }
    case .uint8(let values): values.map { Float($0) }
    }
  }

  public init(name: String, sequence: Int? = nil, shape: [Int], elements: Elements) {
    self.name = name
    self.sequence = sequence
    self.shape = shape
    self.elements = elements
  }

  public init(name: String, sequence: Int? = nil, shape: [Int], values: [Float]) {
    self.init(name: name, sequence: sequence, shape: shape, elements: .float32(values))
  }
}

/// A stretch of the memory that a pass works in. Stretches may share a place, where one is done with before the other begins.
public struct ObservedRegion: Sendable, Equatable {
  public var name: String
  /// Bytes from the beginning of the memory.
  public var offset: Int
  public var byteCount: Int

  public init(name: String, offset: Int, byteCount: Int) {
    self.name = name
    self.offset = offset
    self.byteCount = byteCount
  }
}
