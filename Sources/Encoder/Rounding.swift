/// What a statically quantised file does to a value between two operations: quantised with a fixed scale and zero point, and
/// dequantised again.
///
/// y = (clamp(round(x / scale) + zeroPoint) − zeroPoint) · scale, halves to even (ONNX QuantizeLinear-13, DequantizeLinear-13).
public struct Rounding: Sendable, Equatable {
  /// The integers that stand for the values.
  public enum Integers: String, Sendable {
    case int8, uint8, int16, uint16

    /// All of them.
    public var range: ClosedRange<Int32> {
      switch self {
      case .int8: -128...127
      case .uint8: 0...255
      case .int16: -32_768...32_767
      case .uint16: 0...65_535
      }
    }
  }

  public let scale: Float
  public let zeroPoint: Int32
  public let integers: Integers

  /// - Returns: `nil` where the scale is not positive and finite, or the zero point none of the integers.
  public init?(scale: Float, zeroPoint: Int32, integers: Integers) {
    guard scale > 0, scale.isFinite, integers.range.contains(zeroPoint) else { return nil }
    self.scale = scale
    self.zeroPoint = zeroPoint
    self.integers = integers
  }

  /// The nearest value that the integers can say; the least one for what is not a number.
  public func callAsFunction(_ x: Float) -> Float {
    // The bounds are whole, so that clamping may come first; below 2²², adding 1.5 · 2²³ leaves the nearest whole number, ties to even.
    let (least, greatest) = (Float(integers.range.lowerBound - zeroPoint), Float(integers.range.upperBound - zeroPoint))
    let steps = x / scale
    let kept = steps >= least ? (steps < greatest ? steps : greatest) : least
    return (kept + 0x1.8p+23 - 0x1.8p+23) * scale
  }
}

extension DistilBERT {
  /// The values between an encoder's operations that a statically quantised file rounds, each with the roundings that
  /// it passes, first to last. The inputs of linear layers in integers are not among them: the layers round those themselves.
  public struct Roundings: Sendable, Equatable {
    public var embeddings: EmbeddingSum
    /// Of the embeddings' sum, before its norm.
    public var embeddingSum: [Rounding]
    public var embeddingNorm: Norm
    public var layers: [Layer]
    /// Of the task's layer, or where there is none, of the last hidden state (as `input`).
    public var head: Linear

    public init(
      embeddings: EmbeddingSum, embeddingSum: [Rounding], embeddingNorm: Norm = Norm(), layers: [Layer], head: Linear
    ) {
      self.embeddings = embeddings
      self.embeddingSum = embeddingSum
      self.embeddingNorm = embeddingNorm
      self.layers = layers
      self.head = head
    }

    /// In which order the rows of the embedding tables are added, and what is rounded on the way.
    public indirect enum EmbeddingSum: Sendable, Equatable {
      case words, positions, tokenTypes
      case sum(EmbeddingSum, EmbeddingSum)
      case rounded(EmbeddingSum, Rounding)
    }

    /// Around a linear layer.
    public struct Linear: Sendable, Equatable {
      public var input: [Rounding] = []
      /// Of x · W, before the bias is added.
      public var product: [Rounding] = []
      public var output: [Rounding] = []

      public init() {}
    }

    /// Inside a layer norm, (x − mean) / √(variance + ε) · scale + bias: of each value by its name.
    public struct Norm: Sendable, Equatable {
      public var mean: [Rounding] = []
      /// Of x − mean.
      public var difference: [Rounding] = []
      /// Of the difference's square.
      public var square: [Rounding] = []
      public var variance: [Rounding] = []
      /// Of variance + ε.
      public var sum: [Rounding] = []
      /// Of the sum's root.
      public var deviation: [Rounding] = []
      /// Of the quotient, before it is scaled.
      public var normalized: [Rounding] = []
      /// Of the quotient times scale, before the bias is added.
      public var scaled: [Rounding] = []

      public init() {}
    }

    /// Inside an exact GELU: x times 1 + erf(x / √2), and times 1/2.
    public struct GELU: Sendable, Equatable {
      /// Of x / √2.
      public var argument: [Rounding] = []
      public var erf: [Rounding] = []
      /// Of 1 + erf.
      public var sum: [Rounding] = []
      /// What happens to x, in the file's order; empty where nothing is rounded anywhere inside.
      public var product: [Factor] = []

      public enum Factor: Sendable, Equatable {
        case scale(Float)
        /// Times 1 + erf.
        case sum
        case round(Rounding)
      }

      public init() {}
    }

    /// What happens to queries, to keys and to their products until the softmax, in the file's order.
    public enum ScoreStep: Sendable, Equatable {
      case scale(Float)
      case round(Rounding)
    }

    public struct Layer: Sendable, Equatable {
      public var query = Linear()
      public var key = Linear()
      public var value = Linear()
      public var attentionOutput = Linear()
      public var expand = Linear()
      public var contract = Linear()
      /// Of the projections, after their own `output`, before they are multiplied.
      public var queries: [ScoreStep] = []
      public var keys: [ScoreStep] = []
      public var values: [Rounding] = []
      public var scores: [ScoreStep] = []
      /// Of the softmax's result.
      public var probabilities: [Rounding] = []
      /// Of attention's result.
      public var context: [Rounding] = []
      /// Of the layer's input, on its way around attention, and of the sum before the norm.
      public var attentionResidual: [Rounding] = []
      public var attentionSum: [Rounding] = []
      public var attentionNorm = Norm()
      public var gelu = GELU()
      /// Likewise around the feed-forward network.
      public var outputResidual: [Rounding] = []
      public var outputSum: [Rounding] = []
      public var outputNorm = Norm()

      public init() {}
    }
  }
}

extension DistilBERT.Roundings {
  /// How many there are.
  public var count: Int {
    layers.reduce(embeddings.roundings + embeddingSum.count + embeddingNorm.count + head.count) { $0 + $1.count }
  }
}

extension DistilBERT.Roundings.EmbeddingSum {
  fileprivate var roundings: Int {
    switch self {
    case .words, .positions, .tokenTypes: 0
    case .sum(let a, let b): a.roundings + b.roundings
    case .rounded(let part, _): part.roundings + 1
    }
  }
}

extension DistilBERT.Roundings.Linear {
  fileprivate var count: Int { input.count + product.count + output.count }
}

extension DistilBERT.Roundings.Norm {
  public var count: Int {
    [mean, difference, square, variance, sum, deviation, normalized, scaled].reduce(0) { $0 + $1.count }
  }
}

extension DistilBERT.Roundings.GELU {
  public var count: Int {
    let factors = product.count { if case .round = $0 { true } else { false } }
    return argument.count + erf.count + sum.count + factors
  }
}

extension DistilBERT.Roundings.Layer {
  fileprivate var count: Int {
    let linear = [query, key, value, attentionOutput, expand, contract].reduce(0) { $0 + $1.count }
    let inside = attentionNorm.count + gelu.count + outputNorm.count
    let steps = [queries, keys, scores].joined().count { if case .round = $0 { true } else { false } }
    let chains = [values, probabilities, context, attentionResidual, attentionSum, outputResidual, outputSum]
    return chains.reduce(linear + inside + steps) { $0 + $1.count }
  }
}
