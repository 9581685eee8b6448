import Encoder
import Observation

/// A model in float32 beside itself in int8 on one sequence: how far the values drift apart on their way, and which products bring it
/// about.
///
/// Errors are root mean squares: √(Σ (int8 − float32)² / Σ float32²).
public struct PrecisionComparison: Encodable, Sendable {
  /// The values of the two passes in the order of a pass, with the error that they have gathered until there.
  public let values: [ValueError]
  /// What each product adds by itself: given the float32 pass's own input.
  public let products: [ProductError]
  /// The error of each token's hidden state: `[layers + 1][tokens]`, the embeddings first.
  public let tokens: [[Float]]
  /// The two passes' logits.
  public let float32, int8: PassageReading.Logits
  /// Whether the weights are integers in the file already, so that their rounding is in both passes.
  public let areWeightsRounded: Bool

  public struct ValueError: Encodable, Sendable {
    /// As `docs/inside.md` lists them.
    public let name: String
    public let layer: Int?
    public let error: Double
  }

  public struct ProductError: Encodable, Sendable {
    public let layer: Int
    /// `query, key, value`, `attention output`, `expand` or `contract`.
    public let name: String
    /// With int8 weights and float32 inputs; what int8 inputs add to that; both.
    public let weights, inputs, both: Double
  }

  /// Cost: preparing the model twice, and each of its products twice more.
  init(
    _ model: DistilBERT, batch: PackedBatch, float32: Encoder, int8: Encoder, threads: Int
  ) throws {
    let reference = try Self.pass(float32, batch)
    let rounded = try Self.pass(int8, batch)
    values = rounded.names.compactMap { name in
      guard let a = reference.values[name], let b = rounded.values[name] else { return nil }
      return ValueError(name: name, layer: Self.layer(of: name), error: Self.error(of: b, from: a))
    }
    let width = model.configuration.hidden
    tokens = float32.hiddenStateNames.compactMap { name in
      guard let a = reference.values[name], let b = rounded.values[name] else { return nil }
      return stride(from: 0, to: a.count, by: width).map { row in
        Float(Self.error(of: b[row..<row + width], from: a[row..<row + width]))
      }
    }
    (self.float32, self.int8) = (reference.logits, rounded.logits)
    areWeightsRounded = model.layers.allSatisfy { $0.expand.weights.quantization != nil }

    let exact = try CPUBackend(threads: threads, precision: .float32)
    let integer = try CPUBackend(threads: threads, precision: .int8)
    var products: [ProductError] = []
    for (number, layer) in model.layers.enumerated() {
      let prefix = "layer.\(number)"
      let input = number == 0 ? "embeddings" : "layer.\(number - 1).output"
      for (name, linear, input) in [
        ("query, key, value", [layer.query, layer.key, layer.value], input),
        ("attention output", [layer.attentionOutput], "\(prefix).attention.context"),
        ("expand", [layer.expand], "\(prefix).attention.norm"),
        ("contract", [layer.contract], "\(prefix).feed_forward.middle"),
      ] {
        guard let rows = reference.values[input] else { continue }
        var roundedWeights = linear
        for index in linear.indices { roundedWeights[index].weights = linear[index].weights.quantized() }
        let right = exact.apply(exact.prepare(linear), nil, to: rows)
        let half = exact.apply(exact.prepare(roundedWeights), nil, to: rows)
        let both = integer.apply(integer.prepare(linear), nil, to: rows)
        products.append(
          ProductError(
            layer: number, name: name, weights: Self.error(of: half, from: right),
            inputs: Self.error(of: both, from: half), both: Self.error(of: both, from: right)))
      }
    }
    self.products = products
  }

  /// A pass's values that have rows of tokens, by name.
  private static func pass(
    _ encoder: Encoder, _ batch: PackedBatch
  ) throws(BatchError) -> (names: [String], values: [String: [Float]], logits: PassageReading.Logits) {
    var names: [String] = []
    var values: [String: [Float]] = [:]
    let observer = Observer(
      selecting: { name in
        !Encoder.isInt8Operand(name) && !["probabilities", "logits", "expanded"].contains { name.hasSuffix($0) }
      },
      tensor: { tensor in
        names.append(tensor.name)
        values[tensor.name] = tensor.values
      })
    let output = try encoder.forward(batch, observer: observer)
    let logits = PassageReading.Logits(start: output.column(0, ofSequence: 0), end: output.column(1, ofSequence: 0))
    return (names, values, logits)
  }

  private static func layer(of name: String) -> Int? {
    let parts = name.split(separator: ".")
    return parts.first == "layer" ? parts.dropFirst().first.flatMap { Int($0) } : nil
  }

  private static func error(of found: some Collection<Float>, from expected: some Collection<Float>) -> Double {
    var (difference, magnitude) = (0.0, 0.0)
    for (a, b) in zip(found, expected) {
      difference += Double(a - b) * Double(a - b)
      magnitude += Double(b) * Double(b)
    }
    return magnitude > 0 ? (difference / magnitude).squareRoot() : 0
  }
}
