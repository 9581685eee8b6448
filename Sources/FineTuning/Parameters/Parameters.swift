import Encoder

/// The values of a model's parameters, to be trained.
public final class Parameters {
  public let table: ParameterTable
  /// The epsilon of every LayerNorm.
  let epsilon: Float
  let values: FloatStorage

  init(table: ParameterTable, epsilon: Float) {
    self.table = table
    self.epsilon = epsilon
    values = FloatStorage(count: table.count)
  }

  /// A model's weights, copied.
  ///
  /// A table of token types is folded into the positions: question answering with a DistilBERT gives every token type 0. A bare
  /// encoder gets a fresh head.
  ///
  /// - Throws: `StartingModelError` where the weights are quantised, are not finite or do not fit.
  public convenience init(_ model: DistilBERT, headSeed: UInt64 = 0) throws(StartingModelError) {
    if let types = model.embeddings.tokenTypes, types.quantization != nil { throw .quantized("the token type embeddings") }
    if model.embeddings.positions.quantization != nil { throw .quantized("the position embeddings") }
    let model = model.foldingTokenTypes()
    let configuration = model.configuration
    guard configuration.activation == .gelu else { throw .activation(configuration.activation) }
    let epsilons = Set([model.embeddings.norm.epsilon] + model.layers.flatMap { [$0.attentionNorm.epsilon, $0.outputNorm.epsilon] })
    guard let epsilon = epsilons.first, epsilons.count == 1 else { throw .epsilons }
    self.init(table: ParameterTable(configuration), epsilon: epsilon)

    let table = table
    try copy(model.embeddings.words, "the word embeddings", to: table.words)
    try copy(model.embeddings.positions, "the position embeddings", to: table.positions)
    copy(model.embeddings.norm, to: table.embeddingNorm)
    let hidden = configuration.hidden
    for (layer, place) in zip(model.layers, table.layers) {
      for (part, linear) in [layer.query, layer.key, layer.value].enumerated() {
        let share = ParameterTable.Linear(
          weight: place.attentionInput.weight + part * hidden * hidden, bias: place.attentionInput.bias + part * hidden,
          outputs: hidden, inputs: hidden)
        try copy(linear, to: share)
      }
      try copy(layer.attentionOutput, to: place.attentionOutput)
      copy(layer.attentionNorm, to: place.attentionNorm)
      try copy(layer.expand, to: place.expand)
      try copy(layer.contract, to: place.contract)
      copy(layer.outputNorm, to: place.outputNorm)
    }
    let head = model.head ?? .freshHead(hidden: hidden, seed: headSeed)
    guard head.weights.outputs == 2 else { throw .outputs(head.weights.outputs) }
    try copy(head, to: table.head)
    for entry in table.entries {
      guard values.floats[entry.range].allSatisfy(\.isFinite) else { throw .notFinite(entry.name) }
    }
  }

  /// The trained model.
  public func model() -> DistilBERT {
    let table = table
    let hidden = table.configuration.hidden
    func embeddings(_ offset: Int, rows: Int) -> DistilBERT.EmbeddingTable {
      DistilBERT.EmbeddingTable(values: Parameter(floats(offset, rows * hidden), shape: [rows, hidden]))
    }
    func norm(_ place: ParameterTable.Norm) -> DistilBERT.LayerNorm {
      DistilBERT.LayerNorm(scale: floats(place.scale, place.count), bias: floats(place.shift, place.count), epsilon: epsilon)
    }
    func linear(_ name: String, _ place: ParameterTable.Linear, part: Int = 0, of parts: Int = 1) -> DistilBERT.Linear {
      let outputs = place.outputs / parts
      return DistilBERT.Linear(
        name: name,
        weights: DistilBERT.Weights(
          values: Parameter(
            floats(place.weight + part * outputs * place.inputs, outputs * place.inputs), shape: [outputs, place.inputs]),
          layout: .outputsByInputs),
        bias: floats(place.bias + part * outputs, outputs))
    }
    return DistilBERT(
      configuration: table.configuration,
      embeddings: DistilBERT.Embeddings(
        words: embeddings(table.words, rows: table.configuration.vocabulary),
        positions: embeddings(table.positions, rows: table.configuration.positions), norm: norm(table.embeddingNorm)),
      layers: table.layers.enumerated().map { index, place in
        DistilBERT.Layer(
          query: linear("layer.\(index).attention.query", place.attentionInput, part: 0, of: 3),
          key: linear("layer.\(index).attention.key", place.attentionInput, part: 1, of: 3),
          value: linear("layer.\(index).attention.value", place.attentionInput, part: 2, of: 3),
          attentionOutput: linear("layer.\(index).attention.output", place.attentionOutput),
          attentionNorm: norm(place.attentionNorm), expand: linear("layer.\(index).expand", place.expand),
          contract: linear("layer.\(index).contract", place.contract), outputNorm: norm(place.outputNorm))
      },
      head: linear("head", table.head))
  }

  /// A parameter's values by its name in transformers; `nil` for a name that there is not.
  public subscript(name: String) -> [Float]? {
    table.entries.first { $0.name == name }.map { Array(values.floats[$0.range]) }
  }

  // MARK: Views

  func weight(_ place: ParameterTable.Linear) -> Matrix {
    values.matrix(place.outputs, place.inputs, offset: place.weight)
  }

  func pointer(_ offset: Int) -> UnsafeMutablePointer<Float> { values.start + offset }

  private func floats(_ offset: Int, _ count: Int) -> [Float] { Array(values.floats[offset..<offset + count]) }

  // MARK: Copying

  private func copy(_ source: DistilBERT.EmbeddingTable, _ name: String, to offset: Int) throws(StartingModelError) {
    guard source.quantization == nil else { throw .quantized(name) }
    let count = source.values.count
    source.values.copyFloats(0..<count, to: UnsafeMutableBufferPointer(rebasing: values.floats[offset..<offset + count]))
  }

  private func copy(_ source: DistilBERT.LayerNorm, to place: ParameterTable.Norm) {
    for i in 0..<place.count {
      values.start[place.scale + i] = source.scale[i]
      values.start[place.shift + i] = source.bias[i]
    }
  }

  private func copy(_ source: DistilBERT.Linear, to place: ParameterTable.Linear) throws(StartingModelError) {
    let weights = source.weights.withFoldedFactors()
    guard weights.quantization == nil else { throw .quantized(source.name) }
    let floats = weights.values.floats()
    let target = values.start + place.weight
    switch weights.layout {
    case .outputsByInputs:
      for (i, value) in floats.enumerated() { target[i] = value }
    case .inputsByOutputs:
      for input in 0..<place.inputs {
        for output in 0..<place.outputs { target[output * place.inputs + input] = floats[input * place.outputs + output] }
      }
    }
    for (i, value) in source.bias.enumerated() { values.start[place.bias + i] = value }
  }
}

/// Why a model cannot be trained.
public enum StartingModelError: Error, Equatable, CustomStringConvertible {
  case quantized(String)
  case outputs(Int)
  case notFinite(String)
  case activation(DistilBERT.Activation)
  case epsilons

  public var description: String {
    switch self {
    case .quantized(let name): "\(name) is quantised: start from the float32 model that it was made from"
    case .outputs(let count):
      "the model's head gives \(count) values a token where question answering needs 2: start from a question-answering model "
        + "or from a bare encoder"
    case .notFinite(let name): "\(name) holds a value that is not finite: the model's file is damaged"
    case .activation(let activation):
      "the activation \(activation.rawValue) is not trained here: start from a model with the exact gelu"
    case .epsilons: "the model's LayerNorms have several epsilons: DistilBERT has one"
    }
  }
}
