import ONNX

/// What a graph takes and gives, by the names alone: enough to run one that was not lowered.
public struct GraphInterface: Sendable {
  /// The inputs by their meaning; `unused` are those whose names say nothing.
  public let inputs: LoweredModel.Inputs
  /// The start and end logits where there are both, else the first output.
  public let outputs: [String]
  /// The number of sequences, where the graph is made for one number only.
  public let batch: Int?
  /// The length of sequences, where the graph is made for one length only.
  public let sequence: Int?

  /// - Throws: `LoweringError.interface` where no input can hold token ids, or there is no output.
  public init(_ graph: Graph) throws(LoweringError) {
    let roles = try InputRoles(graph.inputs)
    let known = [roles.inputIDs, roles.attentionMask, roles.tokenTypes]
    inputs = LoweredModel.Inputs(
      inputIDs: roles.inputIDs, attentionMask: roles.attentionMask, tokenTypes: roles.tokenTypes,
      unused: graph.inputs.map(\.name).filter { !known.contains($0) })
    outputs = try RequestedOutputs(graph.outputs).names
    batch = roles.batch.constant
    sequence = roles.sequence.constant
  }
}
