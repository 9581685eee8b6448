import Encoder
import SeededRandom

extension DistilBERT {
  /// A model with random weights for question answering: its answers are anywhere, and it costs next to nothing.
  package static func random(_ configuration: Configuration, seed: UInt64) -> DistilBERT {
    var generator = SplitMix64(seed: seed)
    let (hidden, feedForward) = (configuration.hidden, configuration.feedForward)
    func floats(_ count: Int, _ range: ClosedRange<Float>) -> [Float] {
      (0..<count).map { _ in Float.random(in: range, using: &generator) }
    }
    func linear(_ name: String, _ inputs: Int, _ outputs: Int) -> Linear {
      let reach = 2 / Float(inputs).squareRoot()
      return Linear(
        name: name,
        weights: Weights(
          values: Parameter(floats(inputs * outputs, -reach...reach), shape: [inputs, outputs]), layout: .inputsByOutputs),
        bias: floats(outputs, -0.5...0.5))
    }
    func norm() -> LayerNorm {
      LayerNorm(scale: floats(hidden, 0.5...1.5), bias: floats(hidden, -0.5...0.5), epsilon: 1e-12)
    }
    func table(_ rows: Int) -> EmbeddingTable {
      EmbeddingTable(values: Parameter(floats(rows * hidden, -1...1), shape: [rows, hidden]))
    }
    return DistilBERT(
      configuration: configuration,
      embeddings: Embeddings(
        words: table(configuration.vocabulary), positions: table(configuration.positions),
        tokenTypes: configuration.tokenTypes > 0 ? table(configuration.tokenTypes) : nil, norm: norm()),
      layers: (0..<configuration.layers).map { layer in
        Layer(
          query: linear("layer.\(layer).query", hidden, hidden), key: linear("layer.\(layer).key", hidden, hidden),
          value: linear("layer.\(layer).value", hidden, hidden),
          attentionOutput: linear("layer.\(layer).output", hidden, hidden), attentionNorm: norm(),
          expand: linear("layer.\(layer).expand", hidden, feedForward),
          contract: linear("layer.\(layer).contract", feedForward, hidden), outputNorm: norm())
      },
      head: linear("head", hidden, 2))
  }

  /// One layer 16 wide, with the embedded model's vocabulary and positions.
  package static let minute = random(
    Configuration(layers: 1, hidden: 16, heads: 2, feedForward: 16, vocabulary: 30_522, positions: 512), seed: 1)
}
