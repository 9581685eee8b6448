/// The names of the intermediate values that an observer can ask for: stable, and explained in `docs/inside.md`.
extension Encoder {
  /// All of them, in the order of a pass.
  public var tensorNames: [String] {
    let logits = hasHead ? ["logits"] : []
    let parts = [
      "attention.query", "attention.key", "attention.value", "attention.probabilities", "attention.context", "attention.output",
      "attention.residual", "attention.norm", "feed_forward.expanded", "feed_forward.middle", "feed_forward.output",
      "feed_forward.residual", "output",
    ]
    let layers = (0..<configuration.layers).flatMap { layer in (parts + logits).map { "layer.\(layer).\($0)" } }
    return ["embeddings"] + logits.map { "embeddings.\($0)" } + layers + logits
  }

  /// The hidden states `[tokens, hidden]`: the embeddings after their norm, then each layer's result.
  public var hiddenStateNames: [String] { ["embeddings"] + (0..<configuration.layers).map { "layer.\($0).output" } }
}
