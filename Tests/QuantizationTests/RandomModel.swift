import Encoder

/// Deterministic numbers (Steele et al. 2014, SplitMix64).
struct RandomNumbers {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// Evenly distributed in −reach ..< reach.
  mutating func floats(_ count: Int, reach: Float) -> [Float] {
    (0..<count).map { _ in (Float(next() >> 40) / Float(1 << 23) - 1) * reach }
  }

  mutating func ids(_ count: Int, below bound: Int) -> [Int32] {
    (0..<count).map { _ in Int32(next() % UInt64(bound)) }
  }
}

extension DistilBERT {
  /// A small model with random weights, its layers named as lowering names them.
  static func random(
    layers: Int = 2, tokenTypes: Int = 0, activation: Activation = .gelu, layout: Weights.Layout = .inputsByOutputs,
    seed: UInt64 = 1
  ) -> DistilBERT {
    let (hidden, feedForward, vocabulary, positions) = (24, 40, 50, 32)
    var random = RandomNumbers(seed: seed)
    func linear(_ name: String, _ inputs: Int, _ outputs: Int) -> Linear {
      let values = random.floats(inputs * outputs, reach: 2 / Float(inputs).squareRoot())
      let shape = layout == .inputsByOutputs ? [inputs, outputs] : [outputs, inputs]
      return Linear(
        name: name, weights: Weights(values: Parameter(values, shape: shape), layout: layout),
        bias: random.floats(outputs, reach: 0.5))
    }
    func norm() -> LayerNorm {
      LayerNorm(
        scale: random.floats(hidden, reach: 0.5).map { $0 + 1 }, bias: random.floats(hidden, reach: 0.5), epsilon: 1e-12)
    }
    func table(_ rows: Int) -> EmbeddingTable {
      EmbeddingTable(values: Parameter(random.floats(rows * hidden, reach: 1), shape: [rows, hidden]))
    }
    return DistilBERT(
      configuration: Configuration(
        layers: layers, hidden: hidden, heads: 3, feedForward: feedForward, vocabulary: vocabulary, positions: positions,
        tokenTypes: tokenTypes, activation: activation),
      embeddings: Embeddings(
        words: table(vocabulary), positions: table(positions), tokenTypes: tokenTypes > 0 ? table(tokenTypes) : nil,
        norm: norm()),
      layers: (0..<layers).map { index in
        let prefix = "layer.\(index)."
        return Layer(
          query: linear(prefix + "attention.query", hidden, hidden), key: linear(prefix + "attention.key", hidden, hidden),
          value: linear(prefix + "attention.value", hidden, hidden),
          attentionOutput: linear(prefix + "attention.output", hidden, hidden), attentionNorm: norm(),
          expand: linear(prefix + "expand", hidden, feedForward), contract: linear(prefix + "contract", feedForward, hidden),
          outputNorm: norm())
      },
      head: linear("head", hidden, 2))
  }

  /// Sequences of mixed lengths.
  func batch(_ lengths: [Int], seed: UInt64 = 7) -> PackedBatch {
    var random = RandomNumbers(seed: seed)
    var batch = PackedBatch()
    for length in lengths {
      let ids = random.ids(length, below: configuration.vocabulary)
      let types = configuration.tokenTypes > 0 ? random.ids(length, below: configuration.tokenTypes) : nil
      batch.append(ids, tokenTypes: types)
    }
    return batch
  }
}
