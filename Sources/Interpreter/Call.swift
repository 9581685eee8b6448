import ONNX

/// One call of an operator: its node and the values that it takes.
struct Call {
  let node: Node
  let inputs: [Value?]
  /// The version of the operator's domain that the model names.
  let version: Int
  /// Runs a graph of one of the node's attributes, which sees the values around the node.
  let runGraph: (Graph) throws -> [Value]

  /// The input at `index`, which the operator needs.
  func input(_ index: Int) throws -> Value {
    guard let value = optional(index) else { throw Failure("input \(index) is missing") }
    return value
  }

  /// The input at `index`, or nil if the node leaves it out.
  func optional(_ index: Int) -> Value? { inputs.indices.contains(index) ? inputs[index] : nil }

  /// All inputs, none of which may be left out.
  func allInputs() throws -> [Value] {
    guard !inputs.isEmpty else { throw Failure("needs an input") }
    return try inputs.indices.map { try input($0) }
  }

  /// Whether the node asks for the output at `index`.
  func wants(_ index: Int) -> Bool { node.output(index) != nil }
}
