import Encoder

extension DistilBERT {
  /// A model from a checkpoint's tensors, under the names of transformers' DistilBERT or BERT, with or without a question-answering head.
  ///
  /// A BERT becomes a DistilBERT: the embedding of token type 0 is added to every position's, and the pooler is left out. That is the same
  /// function for inputs whose token types are all 0.
  ///
  /// - Parameter ignored: gets the names of tensors that the model has no place for.
  /// - Throws: `CheckpointError.model` with the name of a tensor that is missing or has another shape than the rest asks for.
  public init(
    _ checkpoint: Checkpoint, configuration: ModelConfiguration, ignored: inout [String]
  ) throws(CheckpointError) {
    var reader = TensorReader(checkpoint)
    let names = configuration.kind == .bert ? TensorNames.bert : TensorNames.distilBERT
    let prefix = checkpoint[names.prefix + names.words] == nil ? "" : names.prefix

    let words = try reader.matrix(prefix + names.words)
    let hidden = words.shape[1]
    guard hidden % configuration.heads == 0 else {
      throw .model(file: checkpoint.file, reason: "\(hidden) hidden units do not part into \(configuration.heads) heads")
    }
    var positions = EmbeddingTable(values: try reader.matrix(prefix + names.positions, columns: hidden))
    if configuration.kind == .bert {
      positions = positions.adding(try reader.matrix(prefix + names.tokenTypes, columns: hidden).floats().prefix(hidden))
    }
    let norm = { (reader: inout TensorReader, name: String) throws(CheckpointError) -> LayerNorm in
      try reader.norm(name, count: hidden, epsilon: configuration.normEpsilon)
    }
    let embeddings = Embeddings(
      words: EmbeddingTable(values: words), positions: positions,
      norm: try norm(&reader, prefix + "embeddings.LayerNorm"))

    var layers: [Layer] = []
    var feedForward = 0
    let count = configuration.layers ?? checkpoint.layerCount(prefix + names.layers)
    guard count > 0 else { throw .model(file: checkpoint.file, reason: "it has no layer 0") }
    for index in 0..<count {
      let layer = prefix + names.layer(index)
      func linear(_ name: String, _ title: String, inputs: Int, outputs: Int?) throws(CheckpointError) -> Linear {
        try reader.linear(layer + name, as: "layer.\(index).\(title)", inputs: inputs, outputs: outputs)
      }
      let expand = try linear(names.expand, "expand", inputs: hidden, outputs: index == 0 ? nil : feedForward)
      feedForward = expand.weights.outputs
      layers.append(
        Layer(
          query: try linear(names.query, "attention.query", inputs: hidden, outputs: hidden),
          key: try linear(names.key, "attention.key", inputs: hidden, outputs: hidden),
          value: try linear(names.value, "attention.value", inputs: hidden, outputs: hidden),
          attentionOutput: try linear(names.attentionOutput, "attention.output", inputs: hidden, outputs: hidden),
          attentionNorm: try norm(&reader, layer + names.attentionNorm), expand: expand,
          contract: try linear(names.contract, "contract", inputs: feedForward, outputs: hidden),
          outputNorm: try norm(&reader, layer + names.outputNorm)))
    }
    let head: Linear? =
      checkpoint["qa_outputs.weight"] == nil ? nil : try reader.linear("qa_outputs", as: "head", inputs: hidden, outputs: nil)
    ignored = checkpoint.tensors.map(\.name).filter { !reader.used.contains($0) }
    self.init(
      configuration: Configuration(
        layers: layers.count, hidden: hidden, heads: configuration.heads, feedForward: feedForward,
        vocabulary: words.shape[0], positions: positions.values.shape[0], activation: configuration.activation),
      embeddings: embeddings, layers: layers, head: head)
  }

  /// The tensors of transformers' `DistilBertForQuestionAnswering`, in float32; a table of token types is folded into the positions.
  ///
  /// - Throws: `CheckpointError.model` for quantised weights, which have no place there.
  public func checkpointTensors() throws(CheckpointError) -> [Checkpoint.Tensor] {
    var tensors: [Checkpoint.Tensor] = []
    let names = TensorNames.distilBERT
    func add(_ name: String, _ shape: [Int], _ values: [Float]) {
      tensors.append(Checkpoint.Tensor(name: name, shape: shape, values: values))
    }
    func table(_ name: String, _ table: EmbeddingTable) throws(CheckpointError) -> [Float] {
      guard table.quantization == nil else { throw Self.quantized(name) }
      return table.values.floats()
    }
    func norm(_ name: String, _ norm: LayerNorm) {
      add(name + ".weight", [norm.scale.count], norm.scale)
      add(name + ".bias", [norm.bias.count], norm.bias)
    }
    func linear(_ name: String, _ linear: Linear) throws(CheckpointError) {
      let weights = linear.weights
      guard weights.quantization == nil else { throw Self.quantized(linear.name) }
      add(name + ".weight", [weights.outputs, weights.inputs], weights.rowsOfOutputs())
      add(name + ".bias", [weights.outputs], linear.bias)
    }
    let prefix = names.prefix
    add(prefix + names.words, embeddings.words.values.shape, try table("the word embeddings", embeddings.words))
    _ = try embeddings.tokenTypes.map { types throws(CheckpointError) in try table("the token type embeddings", types) }
    _ = try table("the position embeddings", embeddings.positions)
    add(prefix + names.positions, embeddings.positions.values.shape, foldingTokenTypes().embeddings.positions.floats())
    norm(prefix + "embeddings.LayerNorm", embeddings.norm)
    for (index, layer) in layers.enumerated() {
      let name = prefix + names.layer(index)
      try linear(name + names.query, layer.query)
      try linear(name + names.key, layer.key)
      try linear(name + names.value, layer.value)
      try linear(name + names.attentionOutput, layer.attentionOutput)
      norm(name + names.attentionNorm, layer.attentionNorm)
      try linear(name + names.expand, layer.expand)
      try linear(name + names.contract, layer.contract)
      norm(name + names.outputNorm, layer.outputNorm)
    }
    if let head { try linear("qa_outputs", head) }
    return tensors
  }

  /// The largest epsilon of the LayerNorms.
  public var normEpsilon: Float {
    layers.reduce(embeddings.norm.epsilon) { max($0, $1.attentionNorm.epsilon, $1.outputNorm.epsilon) }
  }

  private static func quantized(_ name: String) -> CheckpointError {
    .model(file: name, reason: "quantised weights have no place in a checkpoint; start from the float32 model that it was made from")
  }
}

extension DistilBERT.Weights {
  /// The matrix row-major as `[outputs, inputs]`.
  fileprivate func rowsOfOutputs() -> [Float] {
    let floats = values.floats()
    if layout == .outputsByInputs { return floats }
    let (inputs, outputs) = (inputs, outputs)
    return [Float](unsafeUninitializedCapacity: floats.count) { buffer, count in
      for output in 0..<outputs {
        for input in 0..<inputs { buffer[output * inputs + input] = floats[input * outputs + output] }
      }
      count = floats.count
    }
  }
}

extension Checkpoint {
  /// One more than the highest number of a layer under `prefix`: layers that are not whole count, and are found to lack a tensor later.
  fileprivate func layerCount(_ prefix: String) -> Int {
    tensors.reduce(0) { count, tensor in
      guard tensor.name.hasPrefix(prefix + "."), let index = Int(tensor.name.dropFirst(prefix.count + 1).prefix { $0 != "." }),
        (0..<tensors.count).contains(index)
      else { return count }
      return max(count, index + 1)
    }
  }
}

/// What transformers calls the tensors, behind `prefix`, and within a layer.
private struct TensorNames {
  var prefix, words, positions, tokenTypes: String
  var layers: String
  var query, key, value, attentionOutput, attentionNorm, expand, contract, outputNorm: String

  func layer(_ index: Int) -> String { "\(layers).\(index)." }

  static let distilBERT = TensorNames(
    prefix: "distilbert.", words: "embeddings.word_embeddings.weight", positions: "embeddings.position_embeddings.weight",
    tokenTypes: "", layers: "transformer.layer", query: "attention.q_lin", key: "attention.k_lin", value: "attention.v_lin",
    attentionOutput: "attention.out_lin", attentionNorm: "sa_layer_norm", expand: "ffn.lin1", contract: "ffn.lin2",
    outputNorm: "output_layer_norm")

  static let bert = TensorNames(
    prefix: "bert.", words: "embeddings.word_embeddings.weight", positions: "embeddings.position_embeddings.weight",
    tokenTypes: "embeddings.token_type_embeddings.weight", layers: "encoder.layer", query: "attention.self.query",
    key: "attention.self.key", value: "attention.self.value", attentionOutput: "attention.output.dense",
    attentionNorm: "attention.output.LayerNorm", expand: "intermediate.dense", contract: "output.dense",
    outputNorm: "output.LayerNorm")
}

/// Takes tensors by name, with their shapes checked.
private struct TensorReader {
  let checkpoint: Checkpoint
  private(set) var used: Set<String> = []

  init(_ checkpoint: Checkpoint) { self.checkpoint = checkpoint }

  /// A real tensor with as many sizes as `shape`; `nil` stands for any size above 0.
  mutating func tensor(_ name: String, _ shape: [Int?]) throws(CheckpointError) -> Parameter {
    guard let tensor = checkpoint[name] else { throw .model(file: checkpoint.file, reason: "the tensor '\(name)' is missing") }
    guard tensor.shape.count == shape.count, zip(tensor.shape, shape).allSatisfy({ $0 > 0 && ($1 ?? $0) == $0 }) else {
      let wanted = shape.map { $0.map(String.init) ?? "any" }.joined(separator: ", ")
      throw .model(file: checkpoint.file, reason: "the tensor '\(name)' has the shape \(tensor.shape), where [\(wanted)] is needed")
    }
    guard let parameter = tensor.parameter else {
      throw .model(file: checkpoint.file, reason: "the tensor '\(name)' holds \(tensor.elementType.rawValue), not real numbers")
    }
    if let place = parameter.firstNonFinite() {
      throw .model(file: checkpoint.file, reason: "the tensor '\(name)' holds what is no finite number, at element \(place)")
    }
    used.insert(name)
    return parameter
  }

  mutating func matrix(_ name: String, columns: Int? = nil) throws(CheckpointError) -> Parameter {
    try tensor(name, [nil, columns])
  }

  mutating func linear(_ name: String, as title: String, inputs: Int, outputs: Int?) throws(CheckpointError) -> DistilBERT.Linear {
    let weights = try tensor(name + ".weight", [outputs, inputs])
    let bias = try tensor(name + ".bias", [weights.shape[0]])
    return DistilBERT.Linear(
      name: title, weights: DistilBERT.Weights(values: weights, layout: .outputsByInputs), bias: bias.floats())
  }

  /// Old checkpoints call scale and shift gamma and beta.
  mutating func norm(_ name: String, count: Int, epsilon: Float) throws(CheckpointError) -> DistilBERT.LayerNorm {
    let isOld = checkpoint[name + ".weight"] == nil && checkpoint[name + ".gamma"] != nil
    let scale = try tensor(name + (isOld ? ".gamma" : ".weight"), [count])
    let shift = try tensor(name + (isOld ? ".beta" : ".bias"), [count])
    return DistilBERT.LayerNorm(scale: scale.floats(), bias: shift.floats(), epsilon: epsilon)
  }
}
