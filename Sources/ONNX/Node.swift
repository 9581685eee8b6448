/// One operator call of a graph.
public struct Node: Sendable, Equatable {
  /// The node's name; often empty.
  public var name: String
  /// The operator: `MatMul`, say.
  public var operatorType: String
  /// The operator's domain; the default domain is the empty string.
  public var domain: String
  /// The names of the values taken; an empty name is an optional input left out.
  public var inputs: [String]
  /// The names of the values produced; an empty name is an optional output left out.
  public var outputs: [String]
  /// The attributes by name.
  public var attributes: [String: Attribute]

  /// A node of these parts.
  public init(
    name: String = "", operatorType: String, domain: String = "", inputs: [String], outputs: [String],
    attributes: [String: Attribute] = [:]
  ) {
    self.name = name
    self.operatorType = operatorType
    self.domain = domain
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
  }

  /// What to call the node in a message: its name, or its operator and first output if it has none.
  public var label: String {
    if !name.isEmpty { return name }
    guard let output = outputs.first(where: { !$0.isEmpty }) else { return operatorType }
    return "\(operatorType) → \(output)"
  }

  /// The input at `index`, or nil if the node leaves it out.
  public func input(_ index: Int) -> String? {
    guard inputs.indices.contains(index), !inputs[index].isEmpty else { return nil }
    return inputs[index]
  }

  /// The output at `index`, or nil if the node leaves it out.
  public func output(_ index: Int) -> String? {
    guard outputs.indices.contains(index), !outputs[index].isEmpty else { return nil }
    return outputs[index]
  }
}

// MARK: - Typed attributes

// Each kind has two accessors: one for an attribute that must be there, and one that gives `default` where it is
// absent. Both throw `ONNXError.attribute` for an attribute of another kind.
extension Node {
  /// The integer attribute `name`.
  public func int(_ name: String) throws(ONNXError) -> Int { try required(name, optionalInt(name)) }

  /// The integer attribute `name`, or `default` if the node has none.
  public func int(_ name: String, default value: Int) throws(ONNXError) -> Int { try optionalInt(name) ?? value }

  /// The integer attribute `name`, or nil if the node has none.
  public func optionalInt(_ name: String) throws(ONNXError) -> Int? {
    try value(name, "an integer") { if case .int(let value) = $0 { Int(value) } else { nil } }
  }

  /// The float attribute `name`.
  public func float(_ name: String) throws(ONNXError) -> Float { try required(name, optionalFloat(name)) }

  /// The float attribute `name`, or `default` if the node has none.
  public func float(_ name: String, default value: Float) throws(ONNXError) -> Float {
    try optionalFloat(name) ?? value
  }

  /// The float attribute `name`, or nil if the node has none.
  public func optionalFloat(_ name: String) throws(ONNXError) -> Float? {
    try value(name, "a float") { if case .float(let value) = $0 { value } else { nil } }
  }

  /// The string attribute `name`.
  public func string(_ name: String) throws(ONNXError) -> String { try required(name, optionalString(name)) }

  /// The string attribute `name`, or `default` if the node has none.
  public func string(_ name: String, default value: String) throws(ONNXError) -> String {
    try optionalString(name) ?? value
  }

  /// The string attribute `name`, or nil if the node has none.
  public func optionalString(_ name: String) throws(ONNXError) -> String? {
    try value(name, "a string") { if case .string(let value) = $0 { value } else { nil } }
  }

  /// The tensor attribute `name`.
  public func tensor(_ name: String) throws(ONNXError) -> Tensor { try required(name, optionalTensor(name)) }

  /// The tensor attribute `name`, or nil if the node has none.
  public func optionalTensor(_ name: String) throws(ONNXError) -> Tensor? {
    try value(name, "a tensor") { if case .tensor(let value) = $0 { value } else { nil } }
  }

  /// The graph attribute `name`.
  public func graph(_ name: String) throws(ONNXError) -> Graph {
    try required(name, value(name, "a graph") { if case .graph(let value) = $0 { value } else { nil } })
  }

  /// The list of integers `name`.
  public func ints(_ name: String) throws(ONNXError) -> [Int] { try required(name, optionalInts(name)) }

  /// The list of integers `name`, or `default` if the node has none.
  public func ints(_ name: String, default value: [Int]) throws(ONNXError) -> [Int] { try optionalInts(name) ?? value }

  /// The list of integers `name`, or nil if the node has none.
  public func optionalInts(_ name: String) throws(ONNXError) -> [Int]? {
    try value(name, "a list of integers") { if case .ints(let values) = $0 { values.map { Int($0) } } else { nil } }
  }

  /// The list of floats `name`.
  public func floats(_ name: String) throws(ONNXError) -> [Float] { try required(name, optionalFloats(name)) }

  /// The list of floats `name`, or nil if the node has none.
  public func optionalFloats(_ name: String) throws(ONNXError) -> [Float]? {
    try value(name, "a list of floats") { if case .floats(let values) = $0 { values } else { nil } }
  }

  /// The list of strings `name`.
  public func strings(_ name: String) throws(ONNXError) -> [String] { try required(name, optionalStrings(name)) }

  /// The list of strings `name`, or nil if the node has none.
  public func optionalStrings(_ name: String) throws(ONNXError) -> [String]? {
    try value(name, "a list of strings") { if case .strings(let values) = $0 { values } else { nil } }
  }

  private func value<Value>(
    _ name: String, _ expected: String, _ extract: (Attribute) -> Value?
  ) throws(ONNXError) -> Value? {
    guard let attribute = attributes[name] else { return nil }
    guard let value = extract(attribute) else {
      throw .attribute(node: label, attribute: name, reason: "is \(attribute.kind), expected \(expected)")
    }
    return value
  }

  private func required<Value>(_ name: String, _ value: Value?) throws(ONNXError) -> Value {
    guard let value else {
      throw .attribute(node: label, attribute: name, reason: "is missing from a node of type \(operatorType)")
    }
    return value
  }
}
