import Encoder

/// Says in a word or two how a file holds an encoder's weights.
enum WeightPrecision {
  static func describe(_ model: DistilBERT) -> String {
    let layers = model.layers.flatMap {
      [$0.query, $0.key, $0.value, $0.attentionOutput, $0.expand, $0.contract]
    }
    var kinds: [String] = []
    for linear in layers {
      let kind = describe(linear.weights)
      if !kinds.contains(kind) { kinds.append(kind) }
    }
    return kinds.joined(separator: " and ")
  }

  private static func describe(_ weights: DistilBERT.Weights) -> String {
    let type = weights.values.elementType.rawValue
    guard let quantization = weights.quantization else { return type }
    let channels = quantization.scales.count > 1 ? "per channel" : "per tensor"
    let activation =
      switch weights.activation {
      case nil: "float32 activations"
      case .dynamic: "dynamic activations"
      case .fixed: "fixed activations"
      }
    return "\(type) \(channels), \(activation)"
  }
}
