import Encoder

/// What the inputs and outputs of a written graph are called.
public struct ExportInterface: Sendable, Equatable {
  /// `[batch, sequence]`, int64
  public var inputIDs: String
  /// `[batch, sequence]`, int64; `nil`: every token is attended to.
  public var attentionMask: String?
  /// `[batch, sequence]`, int64; used by models with token types only.
  public var tokenTypes: String
  public var outputs: Outputs

  public enum Outputs: Sendable, Equatable {
    /// The head's columns 0 and 1, each `[batch, sequence]`.
    case spans(start: String, end: String)
    /// The head's result, or the last hidden state of a model without a head: `[batch, sequence, width]`.
    case values(name: String)
  }

  /// The names that transformers gives, unless others are asked for.
  public init(
    inputIDs: String = "input_ids", attentionMask: String? = "attention_mask", tokenTypes: String = "token_type_ids",
    outputs: Outputs = .spans(start: "start_logits", end: "end_logits")
  ) {
    self.inputIDs = inputIDs
    self.attentionMask = attentionMask
    self.tokenTypes = tokenTypes
    self.outputs = outputs
  }
}

/// How a layer whose input is quantised as it comes stands in the graph.
public enum DynamicForm: String, Sendable, CaseIterable {
  /// `DynamicQuantizeLinear` (ONNX 11): other engines give all tokens of a batch one scale, and fuse the nodes.
  case tensor
  /// Elementary operators that give each token a scale of its own, as this engine does.
  case row
}

/// Why an encoder cannot be written as a graph.
public enum ExportError: Error, Equatable, CustomStringConvertible {
  case weights(layer: String, reason: String)
  case outputs(String)

  public var description: String {
    switch self {
    case .weights(let layer, let reason): "\(layer): \(reason)"
    case .outputs(let reason): "the model cannot be written: \(reason)"
    }
  }
}
