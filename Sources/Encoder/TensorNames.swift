/// The names of the intermediate values that an observer can ask for: stable, and explained in `docs/inside.md`.
extension Encoder {
  /// All of them, in the order of a pass: the values in float32 and, where linear layers compute in int8, behind each of their results
  /// what they multiply.
  public var tensorNames: [String] {
    let logits = hasHead ? [LinearResult.head] : []
    let attention = [LinearResult.query, .key, .value].map(\.rawValue) + ["attention.probabilities", "attention.context"]
    let feedForward = [LinearResult.expanded.rawValue, "feed_forward.middle", LinearResult.contracted.rawValue]
    let parts =
      attention + [LinearResult.attentionOutput.rawValue, "attention.residual", "attention.norm"] + feedForward
      + ["feed_forward.residual", "output"]
    let layers = (0..<configuration.layers).flatMap { layer in (parts + logits).map { "layer.\(layer).\($0)" } }
    let values = ["embeddings"] + logits.map { "embeddings.\($0)" } + layers + logits
    return values.flatMap { name in [name] + (pass.int8Parts[name] ?? []).map { $0.name(ofResult: name) } }
  }

  /// The hidden states `[tokens, hidden]`: the embeddings after their norm, then each layer's result.
  public var hiddenStateNames: [String] { ["embeddings"] + (0..<configuration.layers).map { "layer.\($0).output" } }

  /// Whether a tensor is what an int8 product multiplies, and none of the pass's values.
  public static func isInt8Operand(_ name: String) -> Bool { name.contains(Int8Operands.Part.separator) }
}

extension Int8Operands.Part {
  fileprivate static let separator = ".int8."

  /// What it is called for a linear layer with a result of that name, such as `layer.0.attention.query.int8.input_scale`.
  func name(ofResult result: String) -> String { result + Self.separator + rawValue }
}

/// The results of a layer's linear layers.
enum LinearResult: String {
  case query = "attention.query"
  case key = "attention.key"
  case value = "attention.value"
  case attentionOutput = "attention.output"
  case expanded = "feed_forward.expanded"
  case contracted = "feed_forward.output"

  func name(inLayer layer: Int) -> String { "layer.\(layer).\(rawValue)" }

  /// Of the task's layer on the last hidden state.
  static let head = "logits"
}
