import Encoder
import ONNX

/// A graph as it grows: every node has one output unless it says so, and bears its output's name.
struct GraphBuilder {
  private(set) var nodes: [Node] = []
  private(set) var initializers: [String: Tensor] = [:]

  /// Adds a node and returns the name of its output.
  mutating func add(
    _ type: String, _ inputs: [String], as name: String, _ attributes: [String: Attribute] = [:]
  ) -> String {
    nodes.append(Node(name: name, operatorType: type, inputs: inputs, outputs: [name], attributes: attributes))
    return name
  }

  /// Adds a node with several outputs.
  mutating func add(_ type: String, _ inputs: [String], outputs: [String], _ attributes: [String: Attribute] = [:]) {
    nodes.append(
      Node(name: outputs.first ?? type, operatorType: type, inputs: inputs, outputs: outputs, attributes: attributes))
  }

  // MARK: Constants

  mutating func constant(_ value: Float, as name: String) throws -> String {
    try constant([value], shape: [], as: name)
  }

  /// Adds a constant, or takes the one that already bears the name.
  mutating func constant<Element: TensorElement>(
    _ values: [Element], shape: [Int]? = nil, as name: String
  ) throws -> String {
    if initializers[name] == nil {
      initializers[name] = try Tensor(name: name, shape: shape ?? [values.count], elements: values)
    }
    return name
  }

  /// A parameter as the file is to have it: 8-bit integers as they are, half precision widened to float32.
  mutating func constant(_ parameter: Parameter, as name: String) throws -> String {
    let type: ElementType
    switch parameter.elementType {
    case .float32: type = .float
    case .int8: type = .int8
    case .uint8: type = .uint8
    case .float16, .bfloat16: return try constant(parameter.floats(), shape: parameter.shape, as: name)
    }
    initializers[name] = try Tensor(
      name: name, elementType: type, shape: parameter.shape, bytes: TensorBytes(parameter.bytes))
    return name
  }

  /// Zero points of one channel or several, in the integers' own type.
  mutating func zeroPoints(_ values: [Int32], of type: Parameter.ElementType, shape: [Int], as name: String) throws -> String {
    if type == .uint8 { return try constant(values.map { UInt8(clamping: $0) }, shape: shape, as: name) }
    return try constant(values.map { Int8(clamping: $0) }, shape: shape, as: name)
  }
}

extension TensorBytes {
  /// The same memory, which stays where it is for as long as either view lives.
  init(_ bytes: ConstantBytes) {
    self = bytes.withUnsafeBytes { TensorBytes(unowned: $0, owner: bytes) }
  }
}

extension DistilBERT.Weights {
  /// The values as ONNX's MatMul takes them, `[inputs, outputs]`.
  func inputsByOutputs() -> Parameter {
    guard layout == .outputsByInputs else { return values }
    switch values.elementType {
    case .int8, .uint8:
      let transposed = values.bytes.withUnsafeBytes { Self.transposed(Array($0), rows: outputs, columns: inputs) }
      return Parameter(shape: [inputs, outputs], elementType: values.elementType, bytes: ConstantBytes(transposed))
    case .float32, .float16, .bfloat16:
      return Parameter(
        Self.transposed(values.floats(), rows: outputs, columns: inputs), shape: [inputs, outputs])
    }
  }

  private static func transposed<Element>(_ values: [Element], rows: Int, columns: Int) -> [Element] {
    [Element](unsafeUninitializedCapacity: values.count) { result, count in
      for column in 0..<columns {
        for row in 0..<rows { result.initializeElement(at: column * rows + row, to: values[row * columns + column]) }
      }
      count = values.count
    }
  }
}
