import Encoder
import Files

/// What a hub folder's `config.json` says of a DistilBERT or BERT that its tensors do not.
public struct ModelConfiguration: Sendable, Equatable {
  public enum Kind: String, Sendable {
    case distilBERT = "distilbert"
    case bert
  }

  public var kind: Kind
  public var heads: Int
  /// How many layers the model has; `nil`: as many as its tensors have.
  public var layers: Int?
  public var activation: DistilBERT.Activation
  /// The epsilon of all LayerNorms. A DistilBERT's `config.json` says it here only (`layer_norm_eps`), for transformers always takes
  /// `distilBERTNormEpsilon`.
  public var normEpsilon: Float
  public static let distilBERTNormEpsilon: Float = 1e-12
  /// The probabilities with which elements fall in training; the names are DistilBERT's.
  public var dropout: Float
  public var attentionDropout: Float
  public var headDropout: Float

  public init(
    kind: Kind = .distilBERT, heads: Int, layers: Int? = nil, activation: DistilBERT.Activation = .gelu, normEpsilon: Float = distilBERTNormEpsilon,
    dropout: Float = 0.1, attentionDropout: Float = 0.1, headDropout: Float = 0.1
  ) {
    self.kind = kind
    self.heads = heads
    self.layers = layers
    self.activation = activation
    self.normEpsilon = normEpsilon
    self.dropout = dropout
    self.attentionDropout = attentionDropout
    self.headDropout = headDropout
  }

  private static let longestFile = 4 << 20

  /// Reads a `config.json`.
  public init(contentsOf path: String) throws(CheckpointError) {
    let mapping: FileMapping
    do throws(FileError) { mapping = try FileMapping(path: path) } catch { throw .file("\(error)") }
    defer { withExtendedLifetime(mapping) {} }
    guard mapping.bytes.count <= Self.longestFile else {
      throw .unsupported(file: path, place: "file", reason: "\(mapping.bytes.count) bytes are more than a configuration takes")
    }
    let document = mapping.bytes.bindMemory(to: UInt8.self)
    guard String(validating: document, as: UTF8.self) != nil else { throw .invalid(file: path, place: "text", reason: "is not UTF-8") }
    let json: JSONValue
    do throws(JSONValue.ParseError) { json = try JSONValue(parsing: document) } catch {
      throw .invalid(file: path, place: "byte \(error.offset)", reason: error.reason)
    }
    func number(_ key: String, _ range: ClosedRange<Double>) throws(CheckpointError) -> Double? {
      switch json[key] {
      case nil, .null: return nil
      case .number(let value) where range.contains(value): return value
      default: throw .invalid(file: path, place: "'\(key)'", reason: "must be a number from \(range.lowerBound) to \(range.upperBound)")
      }
    }
    func text(_ key: String) -> String? {
      guard case .string(let value) = json[key] else { return nil }
      return value
    }
    guard let name = text("model_type"), let kind = Kind(rawValue: name) else {
      throw .unsupported(
        file: path, place: "'model_type'", reason: "is \(text("model_type") ?? "missing"); only distilbert and bert are read")
    }
    let isBERT = kind == .bert
    func whole(_ key: String) throws(CheckpointError) -> Int? {
      guard let value = try number(key, 1...4096) else { return nil }
      guard let whole = Int(exactly: value) else { throw .invalid(file: path, place: "'\(key)'", reason: "must be a whole number") }
      return whole
    }
    let headsKey = isBERT ? "num_attention_heads" : "n_heads"
    guard let heads = try whole(headsKey) else { throw .invalid(file: path, place: "'\(headsKey)'", reason: "is missing") }
    if isBERT, let form = text("position_embedding_type"), form != "absolute" {
      throw .unsupported(file: path, place: "'position_embedding_type'", reason: "is \(form); only absolute positions are read")
    }
    let activation: DistilBERT.Activation
    switch text(isBERT ? "hidden_act" : "activation") ?? "gelu" {
    case "gelu": activation = .gelu
    case "gelu_new", "gelu_pytorch_tanh": activation = .geluTanh
    case let other: throw .unsupported(file: path, place: "activation", reason: "\(other); only gelu is read")
    }
    let probability = 0.0...0.99
    self.init(
      kind: kind, heads: heads, layers: try whole(isBERT ? "num_hidden_layers" : "n_layers"), activation: activation,
      normEpsilon: Float(try number("layer_norm_eps", 0...1) ?? Double(Self.distilBERTNormEpsilon)),
      dropout: Float(try number(isBERT ? "hidden_dropout_prob" : "dropout", probability) ?? 0.1),
      attentionDropout: Float(try number(isBERT ? "attention_probs_dropout_prob" : "attention_dropout", probability) ?? 0.1),
      headDropout: Float(try number("qa_dropout", probability) ?? (isBERT ? 0 : 0.1)))
  }

  /// A `config.json` of transformers' `DistilBertForQuestionAnswering` for a model of these sizes.
  public func json(_ sizes: DistilBERT.Configuration, paddingID: Int32 = 0) -> String {
    let epsilon = normEpsilon == Self.distilBERTNormEpsilon ? "" : "\n  \"layer_norm_eps\": \(normEpsilon),"
    return """
    {
      "activation": "\(activation == .gelu ? "gelu" : "gelu_pytorch_tanh")",
      "architectures": ["DistilBertForQuestionAnswering"],
      "attention_dropout": \(attentionDropout),
      "dim": \(sizes.hidden),
      "dropout": \(dropout),
      "hidden_dim": \(sizes.feedForward),
      "initializer_range": 0.02,\(epsilon)
      "max_position_embeddings": \(sizes.positions),
      "model_type": "distilbert",
      "n_heads": \(sizes.heads),
      "n_layers": \(sizes.layers),
      "pad_token_id": \(paddingID),
      "qa_dropout": \(headDropout),
      "sinusoidal_pos_embds": false,
      "torch_dtype": "float32",
      "vocab_size": \(sizes.vocabulary)
    }

    """
  }
}
