import Encoder

/// Where each parameter of a DistilBERT with a question-answering head stands in one block of floats.
///
/// Names and shapes are those of transformers' `DistilBertForQuestionAnswering`; linear layers are stored `[outputs, inputs]`.
/// The weights of query, key and value follow one another, so that one product computes all three.
public struct ParameterTable: Sendable {
  public struct Entry: Sendable, Equatable {
    public let name: String
    public let shape: [Int]
    /// The place of the first element.
    public let offset: Int
    /// How many transformer layers stand below: 0 for the embeddings, `layers` + 1 for the head.
    public let depth: Int
    /// Whether weight decay applies: not to biases and LayerNorm.
    public let decays: Bool

    public var count: Int { shape.reduce(1, *) }
    public var range: Range<Int> { offset..<offset + count }
  }

  /// The places of a linear layer's weights `[outputs, inputs]` and bias.
  struct Linear: Sendable {
    var weight: Int
    var bias: Int
    var outputs: Int
    var inputs: Int
  }

  struct Norm: Sendable {
    var scale: Int
    var shift: Int
    var count: Int
  }

  struct Layer: Sendable {
    /// Query, key and value side by side: `3 · hidden` outputs.
    var attentionInput: Linear
    var attentionOutput: Linear
    var attentionNorm: Norm
    var expand: Linear
    var contract: Linear
    var outputNorm: Norm
  }

  public let configuration: DistilBERT.Configuration
  /// In the order of their places. The word embeddings come first.
  public private(set) var entries: [Entry] = []
  /// All elements.
  public private(set) var count = 0

  let words: Int
  let positions: Int
  let embeddingNorm: Norm
  let layers: [Layer]
  let head: Linear

  /// The elements of the word embeddings, whose gradient is kept by rows.
  var wordCount: Int { configuration.vocabulary * configuration.hidden }

  /// - Precondition: a configuration whose sizes a model has proved.
  public init(_ configuration: DistilBERT.Configuration) {
    self.configuration = configuration
    var entries: [Entry] = []
    var count = 0
    func add(_ name: String, _ shape: [Int], depth: Int, decays: Bool) -> Int {
      let entry = Entry(name: name, shape: shape, offset: count, depth: depth, decays: decays)
      entries.append(entry)
      count += entry.count
      return entry.offset
    }
    func linear(_ names: [String], _ inputs: Int, _ outputs: Int, depth: Int) -> Linear {
      let weights = names.map { add($0 + ".weight", [outputs, inputs], depth: depth, decays: true) }
      let biases = names.map { add($0 + ".bias", [outputs], depth: depth, decays: false) }
      return Linear(weight: weights[0], bias: biases[0], outputs: outputs * names.count, inputs: inputs)
    }
    func norm(_ name: String, depth: Int) -> Norm {
      let shape = [configuration.hidden]
      let scale = add(name + ".weight", shape, depth: depth, decays: false)
      let shift = add(name + ".bias", shape, depth: depth, decays: false)
      return Norm(scale: scale, shift: shift, count: configuration.hidden)
    }

    let (hidden, feedForward) = (configuration.hidden, configuration.feedForward)
    let embeddings = "distilbert.embeddings."
    words = add(embeddings + "word_embeddings.weight", [configuration.vocabulary, hidden], depth: 0, decays: true)
    positions = add(embeddings + "position_embeddings.weight", [configuration.positions, hidden], depth: 0, decays: true)
    embeddingNorm = norm(embeddings + "LayerNorm", depth: 0)
    layers = (0..<configuration.layers).map { index in
      let (name, depth) = ("distilbert.transformer.layer.\(index).", index + 1)
      let inputs = ["q_lin", "k_lin", "v_lin"].map { name + "attention." + $0 }
      return Layer(
        attentionInput: linear(inputs, hidden, hidden, depth: depth),
        attentionOutput: linear([name + "attention.out_lin"], hidden, hidden, depth: depth),
        attentionNorm: norm(name + "sa_layer_norm", depth: depth),
        expand: linear([name + "ffn.lin1"], hidden, feedForward, depth: depth),
        contract: linear([name + "ffn.lin2"], feedForward, hidden, depth: depth),
        outputNorm: norm(name + "output_layer_norm", depth: depth))
    }
    head = linear(["qa_outputs"], hidden, 2, depth: configuration.layers + 1)
    self.entries = entries
    self.count = count
  }
}
