/// A graph of operators. Values are named; each name is produced once.
public struct Graph: Sendable, Equatable {
  /// The graph's name.
  public var name: String
  /// The nodes, each after those whose outputs it takes.
  public var nodes: [Node]
  /// The constant tensors, by name.
  public var initializers: [String: Tensor]
  /// The inputs to feed, in the model's order. An input that has an initialiser (a default value) is not among them.
  public var inputs: [ValueInfo]
  /// The outputs, in the model's order.
  public var outputs: [ValueInfo]
  /// What the model states about values inside, by name.
  public var valueInfos: [String: ValueInfo]

  /// A graph of these parts.
  public init(
    name: String, nodes: [Node], initializers: [String: Tensor] = [:], inputs: [ValueInfo], outputs: [ValueInfo],
    valueInfos: [String: ValueInfo] = [:]
  ) {
    self.name = name
    self.nodes = nodes
    self.initializers = initializers
    self.inputs = inputs
    self.outputs = outputs
    self.valueInfos = valueInfos
  }
}
