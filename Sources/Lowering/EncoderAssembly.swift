import Encoder
import ONNX

/// Puts the recognised operations together, from the outputs back to the embeddings.
///
/// Only recognised operations are accepted on the way, wired as an encoder is; whatever else stands there is the node
/// that the error names.
struct EncoderAssembly {
  private let graph: WorkGraph
  private let matcher: Matcher

  init(_ graph: WorkGraph) {
    self.graph = graph
    matcher = Matcher(graph)
  }

  /// The encoder, its outputs, and the values that hold the hidden states after the embeddings and after each layer.
  func assemble(
    _ requested: RequestedOutputs
  ) throws(LoweringError) -> (model: DistilBERT, outputs: LoweredModel.Outputs, layerOutputs: [String]) {
    switch requested {
    case .spans(let start, let end):
      let startColumn = try column(output(start), expected: 0)
      let endColumn = try column(output(end), expected: 1)
      guard startColumn == endColumn else {
        throw .interface(name: end, expected: "an output that comes from the same logits as '\(start)'")
      }
      let (head, hidden) = try headLayer(startColumn)
      guard head.weights.outputs == 2 else {
        throw error(at: startColumn, "a question-answering head with two outputs, not \(head.weights.outputs)")
      }
      let (model, layerOutputs) = try encoder(hidden, head: head)
      return (model, .spans(start: start, end: end), layerOutputs)
    case .single(let name):
      var value = try output(name)
      if let logits = try joinedColumns(value) { value = logits }
      let rows = matcher.rows(value)
      guard let width = matcher.width(value),
        graph.fact(value).shape == [graph.batch, graph.sequence, Size(width)]
      else { throw error(at: value, "an output of shape [batch, sequence, width]") }
      if let node = matcher.producer(of: rows), case .layerNormalization = node.operation {
        let (model, layerOutputs) = try encoder(rows, head: nil)
        return (model, .hiddenState(name: name, width: width), layerOutputs)
      }
      let (head, hidden) = try headLayer(rows)
      let (model, layerOutputs) = try encoder(hidden, head: head)
      return (model, .logits(name: name, width: width), layerOutputs)
    }
  }

  private func output(_ name: String) throws(LoweringError) -> String {
    guard let output = graph.outputs.first(where: { $0.name == name }) else {
      throw .interface(name: name, expected: "an output")
    }
    return output.value
  }

  private func error(at name: String, _ expected: String) -> LoweringError {
    guard let node = matcher.producer(of: name) else { return .interface(name: name, expected: expected) }
    return graph.error(node, expected)
  }

  // MARK: Head

  /// The logits of which a value `[batch, sequence]` is the expected column.
  private func column(_ name: String, expected: Int) throws(LoweringError) -> String {
    guard graph.fact(name).shape == [graph.batch, graph.sequence] else {
      throw error(at: name, "an output of shape [batch, sequence]")
    }
    return try pickedColumn(name, expected: expected)
  }

  /// The logits whose columns, taken apart, a Concat along the last axis puts together again in their order.
  private func joinedColumns(_ name: String) throws(LoweringError) -> String? {
    guard let node = matcher.node(name, "Concat"), let shape = graph.fact(name).shape, shape.count == 3,
      FactEvaluator.axis((try? node.onnx?.int("axis")) ?? 0, rank: 3) == 2, shape[2] == Size(node.inputs.count),
      node.inputs.allSatisfy({ matcher.width($0) == 1 })
    else { return nil }
    var logits: String?
    for (index, input) in node.inputs.enumerated() {
      let source = try pickedColumn(input, expected: index)
      guard logits == nil || logits == source else { throw graph.error(node, "columns of the same logits") }
      logits = source
    }
    guard let logits, matcher.width(logits) == node.inputs.count else {
      throw graph.error(node, "all columns of the head's logits")
    }
    return logits
  }

  /// The logits of which a value is the expected column, in whatever shape.
  private func pickedColumn(_ name: String, expected: Int) throws(LoweringError) -> String {
    var name = name
    while let node = matcher.producer(of: name), case .reshape = node.operation, let source = node.input(0) {
      // Row-major elements stay in their order; only the axis of size 1 goes.
      name = source
    }
    guard let node = matcher.producer(of: name), let onnx = node.onnx, onnx.domain.isEmpty, let logits = node.input(0),
      let shape = graph.fact(logits).shape, let width = shape.last?.constant
    else { throw error(at: name, "a column of the head's logits: Split, Gather or Slice") }
    let last = shape.count - 1
    var found: Int?
    switch onnx.operatorType {
    case "Split":
      let parts = node.outputs.map { matcher.width($0) }
      if FactEvaluator.axis((try? onnx.int("axis", default: 0)) ?? 0, rank: shape.count) == last,
        parts.allSatisfy({ $0 == 1 }), parts.count == width
      {
        found = node.outputs.firstIndex(of: name)
      }
    case "Gather":
      if FactEvaluator.axis((try? onnx.int("axis", default: 0)) ?? 0, rank: shape.count) == last,
        let index = node.input(1).flatMap({ graph.fact($0).single?.int })
      {
        found = FactEvaluator.axis(index, rank: width)
      }
    case "Slice":
      let starts = node.input(1).flatMap { graph.fact($0).ints } ?? (try? onnx.optionalInts("starts")) ?? []
      let axes = node.input(3).flatMap { graph.fact($0).ints } ?? (try? onnx.optionalInts("axes")) ?? []
      if starts.count == 1, axes.count == 1, FactEvaluator.axis(axes[0], rank: shape.count) == last,
        matcher.width(name) == 1
      {
        found = FactEvaluator.axis(starts[0], rank: width)
      }
    default: break
    }
    guard found == expected else {
      throw error(at: name, "column \(expected) of the head's logits, by Split, Gather or Slice over the last axis")
    }
    return logits
  }

  private func headLayer(_ logits: String) throws(LoweringError) -> (DistilBERT.Linear, hidden: String) {
    let (linear, input) = try linear(matcher.rows(logits), "head", "the task's linear layer")
    return (linear, input)
  }

  // MARK: Layers

  private func linear(
    _ name: String, _ title: String, _ expected: String
  ) throws(LoweringError) -> (DistilBERT.Linear, input: String) {
    guard let node = matcher.producer(of: name), case .linear(var linear, _) = node.operation, let input = node.input(0)
    else { throw error(at: name, expected) }
    linear.name = title
    let rows = matcher.rows(input)
    guard let (x, factors) = multiplied(rows, width: linear.weights.inputs) else { return (linear, rows) }
    linear.weights.inputFactors = factors
    return (linear, matcher.rows(x))
  }

  /// A value times a constant for each of its columns, as smoothing before quantisation writes it.
  private func multiplied(_ name: String, width: Int) -> (x: String, factors: [Float])? {
    guard let node = matcher.node(name, "Mul") else { return nil }
    for (x, factors) in matcher.pairs(node) {
      guard let factors = matcher.vector(factors, count: width), factors.allSatisfy(\.isFinite),
        graph.fact(x).shape == graph.fact(name).shape
      else { continue }
      return (x, factors)
    }
    return nil
  }

  private func norm(_ name: String, _ expected: String) throws(LoweringError) -> (DistilBERT.LayerNorm, input: String) {
    guard let node = matcher.producer(of: name), case .layerNormalization(let norm) = node.operation,
      let input = node.input(0)
    else { throw error(at: name, expected) }
    return (norm, matcher.rows(input))
  }

  /// The two sides of a residual addition: the block's linear layer first.
  private func residual(_ name: String, _ block: String) throws(LoweringError) -> (output: String, residual: String) {
    guard let node = matcher.node(name, "Add") else { throw error(at: name, "\(block) added to its input") }
    for (left, right) in matcher.pairs(node) {
      guard let producer = matcher.producer(of: matcher.rows(left)), case .linear = producer.operation,
        graph.fact(left).shape == graph.fact(name).shape, graph.fact(right).shape == graph.fact(name).shape
      else { continue }
      return (matcher.rows(left), matcher.rows(right))
    }
    throw graph.error(node, "\(block)'s linear layer added to the block's input, of the same shape")
  }

  private func encoder(
    _ top: String, head: DistilBERT.Linear?
  ) throws(LoweringError) -> (DistilBERT, layerOutputs: [String]) {
    var layers: [DistilBERT.Layer] = []
    var layerOutputs: [String] = []
    var heads: Int?
    var current = matcher.rows(top)
    while true {
      let (outputNorm, sum) = try norm(current, "a layer norm at the end of a layer, or of the embeddings")
      layerOutputs.append(current)
      if let node = matcher.producer(of: sum), case .embeddings(let tables) = node.operation {
        let model = try finish(tables, outputNorm, layers.reversed(), heads: heads, head: head, at: node)
        return (model, layerOutputs.reversed())
      }
      let (layer, input, layerHeads) = try layer(sum, outputNorm)
      guard heads == nil || heads == layerHeads else {
        throw error(at: sum, "the same number of heads in all layers: \(heads ?? 0), not \(layerHeads)")
      }
      heads = layerHeads
      layers.append(layer)
      current = input
    }
  }

  /// One layer, from the sum before its last norm back to its input.
  private func layer(
    _ sum: String, _ outputNorm: DistilBERT.LayerNorm
  ) throws(LoweringError) -> (DistilBERT.Layer, input: String, heads: Int) {
    let (contracted, middle) = try residual(sum, "the feed-forward block")
    let (contract, activated) = try linear(contracted, "contract", "the feed-forward block's second linear layer")
    guard let gelu = matcher.producer(of: activated), case .gelu = gelu.operation,
      let expanded = gelu.input(0)
    else { throw error(at: activated, "GELU between the feed-forward block's linear layers") }
    let (expand, expandInput) = try linear(
      matcher.rows(expanded), "expand", "the feed-forward block's first linear layer")
    guard expandInput == middle else {
      throw error(at: sum, "the feed-forward block's input added to its output")
    }
    let (attentionNorm, attentionSum) = try norm(middle, "the layer norm after attention")
    let (projected, input) = try residual(attentionSum, "attention")
    let (output, context) = try linear(projected, "output", "attention's output layer")
    guard let attention = matcher.producer(of: context), case .attention(let heads, _) = attention.operation else {
      throw error(at: context, "attention over the layer's input")
    }
    var projections: [DistilBERT.Linear] = []
    for (name, title) in zip(attention.inputs, ["queries", "keys", "values"]) {
      let (linear, source) = try linear(matcher.rows(name), title, "attention's \(title) as a linear layer")
      guard source == input else { throw error(at: name, "\(title) computed from the layer's input") }
      projections.append(linear)
    }
    let layer = DistilBERT.Layer(
      query: projections[0], key: projections[1], value: projections[2], attentionOutput: output,
      attentionNorm: attentionNorm, expand: expand, contract: contract, outputNorm: outputNorm)
    return (layer, input, heads)
  }

  // MARK: The whole

  /// Whether attention is masked: in all layers, or in none.
  func isMasked() throws(LoweringError) -> Bool {
    var found: Bool?
    for node in graph.nodes {
      guard case .attention(_, let isMasked) = node.operation else { continue }
      guard found == nil || found == isMasked else { throw graph.error(node, "a mask in all layers, or in none") }
      found = isMasked
    }
    return found ?? false
  }

  private func activation() throws(LoweringError) -> DistilBERT.Activation {
    var found: DistilBERT.Activation?
    for node in graph.nodes {
      guard case .gelu(let activation) = node.operation else { continue }
      guard found == nil || found == activation else { throw graph.error(node, "the same activation in all layers") }
      found = activation
    }
    return found ?? .gelu
  }

  private func finish(
    _ tables: EmbeddingTables, _ norm: DistilBERT.LayerNorm, _ layers: [DistilBERT.Layer], heads: Int?,
    head: DistilBERT.Linear?, at node: WorkNode
  ) throws(LoweringError) -> DistilBERT {
    guard let heads, let first = layers.first else { throw graph.error(node, "at least one layer over the embeddings") }
    let hidden = tables.words.values.shape[1]
    let feedForward = first.expand.weights.outputs
    func fits(_ linear: DistilBERT.Linear, _ inputs: Int, _ outputs: Int) -> Bool {
      linear.weights.inputs == inputs && linear.weights.outputs == outputs && linear.bias.count == outputs
    }
    for layer in layers {
      let square = [layer.query, layer.key, layer.value, layer.attentionOutput]
      guard square.allSatisfy({ fits($0, hidden, hidden) }), fits(layer.expand, hidden, feedForward),
        fits(layer.contract, feedForward, hidden), layer.attentionNorm.scale.count == hidden,
        layer.outputNorm.scale.count == hidden
      else { throw graph.error(node, "layers of the embeddings' width \(hidden), and of one feed-forward size") }
    }
    guard norm.scale.count == hidden, head.map({ fits($0, hidden, $0.weights.outputs) }) ?? true, hidden % heads == 0
    else { throw graph.error(node, "a norm and a head of the embeddings' width \(hidden), which the heads divide") }

    let named = layers.enumerated().map { index, layer in
      var layer = layer
      let prefix = "layer.\(index)."
      layer.query.name = prefix + "attention.query"
      layer.key.name = prefix + "attention.key"
      layer.value.name = prefix + "attention.value"
      layer.attentionOutput.name = prefix + "attention.output"
      layer.expand.name = prefix + "expand"
      layer.contract.name = prefix + "contract"
      return layer
    }
    let configuration = DistilBERT.Configuration(
      layers: layers.count, hidden: hidden, heads: heads, feedForward: feedForward,
      vocabulary: tables.words.values.shape[0], positions: tables.positions.values.shape[0],
      tokenTypes: tables.tokenTypes?.values.shape[0] ?? 0, activation: try activation())
    return DistilBERT(
      configuration: configuration,
      embeddings: DistilBERT.Embeddings(
        words: tables.words, positions: tables.positions, tokenTypes: tables.tokenTypes, norm: norm),
      layers: named, head: head)
  }
}
