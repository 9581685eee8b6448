import Encoder

extension DistilBERT.Linear {
  /// The question-answering head that training begins with: weights from a normal distribution of deviation 0.02, as transformers draws
  /// them, and a bias of zero. The same numbers for the same seed.
  public static func freshHead(hidden: Int, seed: UInt64) -> DistilBERT.Linear {
    let outputs = 2
    var random = NormalGenerator(seed: seed)
    let values = (0..<outputs * hidden).map { _ in random.next() * 0.02 }
    return DistilBERT.Linear(
      name: "head", weights: DistilBERT.Weights(values: Parameter(values, shape: [outputs, hidden]), layout: .outputsByInputs),
      bias: [Float](repeating: 0, count: outputs))
  }
}
