import Kernels

/// An encoder of the BERT family as the engine understands it: sizes and weights, with no trace of the file they came from.
///
/// The function (Sanh et al. 2019, "DistilBERT"; Devlin et al. 2018, "BERT"; post-norm transformer encoder):
///
///     x = layerNorm(word[id] + position[p] (+ tokenType[t]))
///     for each layer:
///       x = layerNorm(x + output(attention(query(x), key(x), value(x))))
///       x = layerNorm(x + contract(activation(expand(x))))
///     logits = head(x)
public struct DistilBERT: Sendable {
  public var configuration: Configuration
  public var embeddings: Embeddings
  public var layers: [Layer]
  /// The task's linear layer, `[hidden, outputs]`: two outputs (start, end) for question answering. `nil`: a bare encoder.
  public var head: Linear?
  /// What a statically quantised file rounds between the operations; `nil` where nothing is.
  public var roundings: Roundings?

  public init(
    configuration: Configuration, embeddings: Embeddings, layers: [Layer], head: Linear?, roundings: Roundings? = nil
  ) {
    self.configuration = configuration
    self.embeddings = embeddings
    self.layers = layers
    self.head = head
    self.roundings = roundings
  }

  /// Sizes, read from the weights.
  public struct Configuration: Sendable, Equatable {
    public var layers: Int
    public var hidden: Int
    public var heads: Int
    public var feedForward: Int
    public var vocabulary: Int
    /// The longest sequence, special tokens included.
    public var positions: Int
    /// Rows of the token-type table; 0 for DistilBERT, which has none.
    public var tokenTypes: Int
    public var activation: Activation

    public var headSize: Int { hidden / heads }

    public init(
      layers: Int, hidden: Int, heads: Int, feedForward: Int, vocabulary: Int, positions: Int, tokenTypes: Int = 0,
      activation: Activation = .gelu
    ) {
      self.layers = layers
      self.hidden = hidden
      self.heads = heads
      self.feedForward = feedForward
      self.vocabulary = vocabulary
      self.positions = positions
      self.tokenTypes = tokenTypes
      self.activation = activation
    }
  }

  /// Hendrycks & Gimpel 2016: exact with erf, or the tanh approximation (ONNX `Gelu`, `approximate`).
  public enum Activation: String, Sendable {
    case gelu
    case geluTanh = "gelu_tanh"
  }

  public struct Embeddings: Sendable {
    /// `[vocabulary, hidden]`; float, or int8/uint8 with one scale and zero point for the table.
    public var words: EmbeddingTable
    /// `[positions, hidden]`
    public var positions: EmbeddingTable
    /// `[token types, hidden]`
    public var tokenTypes: EmbeddingTable?
    public var norm: LayerNorm

    public init(words: EmbeddingTable, positions: EmbeddingTable, tokenTypes: EmbeddingTable? = nil, norm: LayerNorm) {
      self.words = words
      self.positions = positions
      self.tokenTypes = tokenTypes
      self.norm = norm
    }
  }

  public struct EmbeddingTable: Sendable {
    /// `[rows, hidden]`
    public var values: Parameter
    /// How integer values stand for real ones; `nil` for float values. One scale for the table, or one a row.
    public var quantization: Quantization?

    public init(values: Parameter, quantization: Quantization? = nil) {
      self.values = values
      self.quantization = quantization
    }
  }

  public struct Layer: Sendable {
    public var query, key, value, attentionOutput: Linear
    public var attentionNorm: LayerNorm
    /// `[hidden, feedForward]`, then the activation.
    public var expand: Linear
    /// `[feedForward, hidden]`
    public var contract: Linear
    public var outputNorm: LayerNorm

    public init(
      query: Linear, key: Linear, value: Linear, attentionOutput: Linear, attentionNorm: LayerNorm,
      expand: Linear, contract: Linear, outputNorm: LayerNorm
    ) {
      self.query = query
      self.key = key
      self.value = value
      self.attentionOutput = attentionOutput
      self.attentionNorm = attentionNorm
      self.expand = expand
      self.contract = contract
      self.outputNorm = outputNorm
    }
  }

  /// y = (x − mean) / √(variance + epsilon) · scale + bias over the last axis (Ba et al. 2016; ONNX LayerNormalization-17).
  public struct LayerNorm: Sendable {
    public var scale: [Float]
    public var bias: [Float]
    public var epsilon: Float

    public init(scale: [Float], bias: [Float], epsilon: Float) {
      self.scale = scale
      self.bias = bias
      self.epsilon = epsilon
    }
  }

  /// y = x · W + b
  public struct Linear: Sendable {
    /// The name that stands for this layer in reports and errors, for example `layer.0.attention.query`.
    public var name: String
    public var weights: Weights
    /// `[outputs]`; zeros where the file has none.
    public var bias: [Float]

    public init(name: String, weights: Weights, bias: [Float]) {
      self.name = name
      self.weights = weights
      self.bias = bias
    }
  }

  /// A linear layer's matrix W, `[inputs, outputs]` as mathematics has it, whichever way it is stored.
  public struct Weights: Sendable {
    public enum Layout: Sendable {
      /// Row-major `[inputs, outputs]`: ONNX MatMul.
      case inputsByOutputs
      /// Row-major `[outputs, inputs]`: PyTorch, ONNX Gemm with `transB`.
      case outputsByInputs
    }

    public var values: Parameter
    public var layout: Layout
    /// How integer values stand for real ones; one scale a tensor or one an output. `nil` for float values.
    public var quantization: Quantization?
    /// How the file quantises this layer's input; `nil` for a float layer.
    public var activation: ActivationQuantization?
    /// What the layer's inputs are multiplied by before anything else, `[inputs]`, so that they quantise better (Xiao et al. 2022,
    /// "SmoothQuant"): y = (x ⊙ factors) · W + b. `nil`: nothing.
    public var inputFactors: [Float]?

    public init(
      values: Parameter, layout: Layout, quantization: Quantization? = nil, activation: ActivationQuantization? = nil,
      inputFactors: [Float]? = nil
    ) {
      precondition(values.shape.count == 2)
      self.values = values
      self.layout = layout
      self.quantization = quantization
      self.activation = activation
      self.inputFactors = inputFactors
    }

    /// How many inputs a product in integers may have.
    public static let largestQuantizedInputs = PackedInt8Matrix.largestK

    public var inputs: Int { layout == .inputsByOutputs ? values.shape[0] : values.shape[1] }
    public var outputs: Int { layout == .inputsByOutputs ? values.shape[1] : values.shape[0] }
  }

  /// real = (integer − zeroPoint) · scale (ONNX DequantizeLinear). One entry for the whole tensor, or one a channel.
  public struct Quantization: Sendable, Equatable {
    public var scales: [Float]
    public var zeroPoints: [Int32]

    public init(scales: [Float], zeroPoints: [Int32]) {
      precondition(scales.count == zeroPoints.count)
      self.scales = scales
      self.zeroPoints = zeroPoints
    }
  }

  /// What a quantised file says of a linear layer's input.
  public enum ActivationQuantization: Sendable, Equatable {
    /// Quantised when it comes, from its own range (ONNX DynamicQuantizeLinear-11 and kin).
    case dynamic
    /// real = (integer − zeroPoint) · scale, fixed by calibration; `signed` tells int8 from uint8.
    case fixed(scale: Float, zeroPoint: Int32, signed: Bool)
  }
}

extension DistilBERT {
  /// The bytes of all weights as the file holds them.
  public var weightByteCount: Int {
    let float = MemoryLayout<Float>.size
    func bytes(_ linear: Linear) -> Int {
      linear.weights.values.bytes.count + (linear.bias.count + (linear.weights.inputFactors?.count ?? 0)) * float
    }
    func bytes(_ norm: LayerNorm) -> Int { (norm.scale.count + norm.bias.count) * float }
    let tables = [embeddings.words, embeddings.positions] + [embeddings.tokenTypes].compactMap(\.self)
    let inLayers = layers.reduce(0) { sum, layer in
      let linear = [layer.query, layer.key, layer.value, layer.attentionOutput, layer.expand, layer.contract]
      return linear.reduce(sum + bytes(layer.attentionNorm) + bytes(layer.outputNorm)) { $0 + bytes($1) }
    }
    return tables.reduce(inLayers + bytes(embeddings.norm)) { $0 + $1.values.bytes.count } + (head.map(bytes) ?? 0)
  }
}
