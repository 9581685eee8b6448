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
      var (startPassed, endPassed): ([ValueQuantization], [ValueQuantization]) = ([], [])
      let startColumn = try column(output(start), expected: 0, &startPassed)
      let endColumn = try column(output(end), expected: 1, &endPassed)
      guard startColumn == endColumn else {
        throw .interface(name: end, expected: "an output that comes from the same logits as '\(start)'")
      }
      guard startPassed == endPassed else {
        throw .interface(name: end, expected: "an output that is quantised as '\(start)' is")
      }
      let head = try head(startColumn, startPassed)
      guard head.form.linear.weights.outputs == 2 else {
        throw error(at: startColumn, "a question-answering head with two outputs, not \(head.form.linear.weights.outputs)")
      }
      let (model, layerOutputs) = try encoder(head.input, head: head)
      return (model, .spans(start: start, end: end), layerOutputs)
    case .single(let name):
      var value = try output(name)
      var passed: [ValueQuantization] = []
      if let logits = try joinedColumns(value, &passed) ?? stackedRows(value, &passed) { value = logits }
      let rows = matcher.rows(value, &passed)
      guard let width = matcher.width(value),
        graph.fact(value).shape == [graph.batch, graph.sequence, Size(width)]
      else { throw error(at: value, "an output of shape [batch, sequence, width] or [width, batch, sequence]") }
      if let node = matcher.producer(of: rows), case .layerNormalization = node.operation {
        let (model, layerOutputs) = try encoder(rows, head: nil, output: roundings(passed, at: rows))
        return (model, .hiddenState(name: name, width: width), layerOutputs)
      }
      let head = try head(rows, passed)
      let (model, layerOutputs) = try encoder(head.input, head: head)
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
    let isInside = matcher.isQuantized(within: name, depth: 4)
    return graph.error(node, isInside ? "\(expected), not quantised inside" : expected)
  }

  private func roundings(_ passed: [ValueQuantization], at name: String) throws(LoweringError) -> [Rounding] {
    do throws(Mismatch) { return try matcher.roundings(passed) } catch { throw self.error(at: name, error.expected) }
  }

  // MARK: Head

  /// The logits of which a value `[batch, sequence]` is the expected column.
  private func column(
    _ name: String, expected: Int, _ passed: inout [ValueQuantization]
  ) throws(LoweringError) -> String {
    guard graph.fact(name).shape == [graph.batch, graph.sequence] else {
      throw error(at: name, "an output of shape [batch, sequence]")
    }
    return try pickedColumn(name, expected: expected, &passed)
  }

  /// The logits of which a value `[width, batch, sequence]` is the transpose.
  private func stackedRows(_ name: String, _ passed: inout [ValueQuantization]) -> String? {
    var quantizations = passed
    guard let node = matcher.producer(of: matcher.unquantized(name, &quantizations)), case .transpose([2, 0, 1]) = node.operation
    else { return nil }
    passed = quantizations
    return node.input(0)
  }

  /// The logits whose columns, taken apart, a Concat along the last axis, or a new first one, puts together again in their order.
  private func joinedColumns(_ name: String, _ passed: inout [ValueQuantization]) throws(LoweringError) -> String? {
    let name = matcher.unquantized(name, &passed)
    guard let node = matcher.node(name, "Concat"), let shape = graph.fact(name).shape, shape.count == 3,
      let axis = FactEvaluator.axis((try? node.onnx?.int("axis")) ?? 0, rank: 3), axis == 2 || axis == 0,
      shape[axis] == Size(node.inputs.count), node.inputs.allSatisfy({ graph.fact($0).shape?[axis] == Size(1) }),
      shape == (axis == 2 ? [graph.batch, graph.sequence, shape[2]] : [shape[0], graph.batch, graph.sequence])
    else { return nil }
    var logits: String?
    var columns: [[ValueQuantization]] = []
    for (index, input) in node.inputs.enumerated() {
      var column: [ValueQuantization] = []
      let source = try pickedColumn(input, expected: index, &column)
      guard logits == nil || logits == source else { throw graph.error(node, "columns of the same logits") }
      guard columns.allSatisfy({ $0 == column }) else { throw graph.error(node, "columns that are quantised alike") }
      logits = source
      columns.append(column)
    }
    passed = (columns.first ?? []) + passed
    guard let logits, matcher.width(logits) == node.inputs.count else {
      throw graph.error(node, "all columns of the head's logits")
    }
    return logits
  }

  /// The logits of which a value is the expected column, in whatever shape.
  private func pickedColumn(
    _ name: String, expected: Int, _ passed: inout [ValueQuantization]
  ) throws(LoweringError) -> String {
    var name = matcher.unquantized(name, &passed)
    while let node = matcher.producer(of: name), case .reshape = node.operation, let source = node.input(0) {
      // Row-major elements stay in their order; only the axis of size 1 goes.
      name = matcher.unquantized(source, &passed)
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

  /// The task's layer, whose result passes `passed`.
  private func head(_ logits: String, _ passed: [ValueQuantization]) throws(LoweringError) -> Layer {
    var passed = passed
    return try linear(matcher.rows(logits, &passed), after: passed, "head", "the task's linear layer")
  }

  // MARK: Layers

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

  /// A linear layer, what is rounded around it, and its input.
  private struct Layer {
    var form: LinearForm
    var roundings: DistilBERT.Roundings.Linear
    var input: String
  }

  /// - Parameter passed: What the layer's result passes afterwards.
  private func linear(
    _ name: String, after passed: [ValueQuantization], _ title: String, _ expected: String
  ) throws(LoweringError) -> Layer {
    guard let node = matcher.producer(of: name), case .linear(var form) = node.operation, let input = node.input(0)
    else { throw error(at: name, expected) }
    form.linear.name = title
    var given: [ValueQuantization] = []
    var source = matcher.rows(input, &given)
    if let activation = form.linear.weights.takes(given.last) {
      form.linear.weights.activation = activation
      given.removeLast()
    }
    if given.isEmpty, let (x, factors) = multiplied(source, width: form.linear.weights.inputs) {
      form.linear.weights.inputFactors = factors
      source = matcher.rows(x, &given)
    }
    var roundings = DistilBERT.Roundings.Linear()
    roundings.input = try self.roundings(given, at: name)
    roundings.product = try self.roundings(form.product, at: name)
    roundings.output = try self.roundings(passed, at: name)
    return Layer(form: form, roundings: roundings, input: source)
  }

  private func norm(
    _ name: String, _ expected: String
  ) throws(LoweringError) -> (NormForm, input: String, roundings: [Rounding]) {
    guard let node = matcher.producer(of: name), case .layerNormalization(let norm) = node.operation,
      let input = node.input(0)
    else { throw error(at: name, expected) }
    var passed: [ValueQuantization] = []
    let source = matcher.rows(input, &passed)
    return (norm, source, try roundings(passed, at: name))
  }

  /// The two sides of a residual addition: the block's linear layer first.
  private func residual(
    _ name: String, _ block: String, _ title: String, _ expected: String
  ) throws(LoweringError) -> (output: Layer, residual: String, roundings: [Rounding]) {
    guard let node = matcher.node(name, "Add") else { throw error(at: name, "\(block) added to its input") }
    for (left, right) in matcher.pairs(node) {
      var (leftPassed, rightPassed): ([ValueQuantization], [ValueQuantization]) = ([], [])
      let output = matcher.rows(left, &leftPassed)
      guard let producer = matcher.producer(of: output), case .linear = producer.operation,
        graph.fact(left).shape == graph.fact(name).shape, graph.fact(right).shape == graph.fact(name).shape
      else { continue }
      let layer = try linear(output, after: leftPassed, title, expected)
      let residual = matcher.rows(right, &rightPassed)
      return (layer, residual, try roundings(rightPassed, at: name))
    }
    throw graph.error(node, "\(block)'s linear layer added to the block's input, of the same shape")
  }

  private func encoder(
    _ top: String, head: Layer?, output: [Rounding] = []
  ) throws(LoweringError) -> (DistilBERT, layerOutputs: [String]) {
    var layers: [DistilBERT.Layer] = []
    var around: [DistilBERT.Roundings.Layer] = []
    var layerOutputs: [String] = []
    var heads: Int?
    var current = matcher.rows(top)
    while true {
      let (outputNorm, sum, sumRoundings) = try norm(current, "a layer norm at the end of a layer, or of the embeddings")
      layerOutputs.append(current)
      if let node = matcher.producer(of: sum), case .embeddings(let tables) = node.operation {
        var headRoundings = head?.roundings ?? DistilBERT.Roundings.Linear()
        if head == nil { headRoundings.input = output }
        let roundings = DistilBERT.Roundings(
          embeddings: tables.order, embeddingSum: sumRoundings, embeddingNorm: outputNorm.roundings,
          layers: around.reversed(), head: headRoundings)
        let model = try finish(
          tables, outputNorm.norm, layers.reversed(), roundings, heads: heads, head: head?.form.linear, at: node)
        return (model, layerOutputs.reversed())
      }
      var (layer, roundings, input, layerHeads) = try layer(sum, outputNorm.norm)
      guard heads == nil || heads == layerHeads else {
        throw error(at: sum, "the same number of heads in all layers: \(heads ?? 0), not \(layerHeads)")
      }
      roundings.outputSum = sumRoundings
      roundings.outputNorm = outputNorm.roundings
      heads = layerHeads
      layers.append(layer)
      around.append(roundings)
      current = input
    }
  }

  /// One layer, from the sum before its last norm back to its input.
  private func layer(
    _ sum: String, _ outputNorm: DistilBERT.LayerNorm
  ) throws(LoweringError) -> (DistilBERT.Layer, DistilBERT.Roundings.Layer, input: String, heads: Int) {
    var around = DistilBERT.Roundings.Layer()
    let (contract, middle, outputResidual) = try residual(
      sum, "the feed-forward block", "contract", "the feed-forward block's second linear layer")
    guard let gelu = matcher.producer(of: contract.input), case .gelu(let activation) = gelu.operation, let expanded = gelu.input(0)
    else { throw error(at: contract.input, "GELU between the feed-forward block's linear layers") }
    var passed: [ValueQuantization] = []
    let expandName = matcher.rows(expanded, &passed)
    let expand = try linear(expandName, after: passed, "expand", "the feed-forward block's first linear layer")
    guard expand.input == middle else {
      throw error(at: sum, "the feed-forward block's input added to its output")
    }
    let (attentionNorm, attentionSum, attentionSumRoundings) = try norm(middle, "the layer norm after attention")
    let (output, input, attentionResidual) = try residual(
      attentionSum, "attention", "output", "attention's output layer")
    guard let node = matcher.producer(of: output.input), case .attention(let attention) = node.operation else {
      throw error(at: output.input, "attention over the layer's input")
    }
    var projections: [Layer] = []
    for (name, title) in zip(node.inputs, ["queries", "keys", "values"]) {
      let layer = try linear(matcher.rows(name), after: [], title, "attention's \(title) as a linear layer")
      guard layer.input == input else { throw error(at: name, "\(title) computed from the layer's input") }
      projections.append(layer)
    }
    (around.query, around.key, around.value) = (projections[0].roundings, projections[1].roundings, projections[2].roundings)
    (around.attentionOutput, around.expand, around.contract) = (output.roundings, expand.roundings, contract.roundings)
    (around.queries, around.keys, around.values) = (attention.queries, attention.keys, attention.values)
    (around.scores, around.probabilities, around.context) = (attention.scores, attention.probabilities, attention.context)
    (around.attentionResidual, around.attentionSum) = (attentionResidual, attentionSumRoundings)
    around.outputResidual = outputResidual
    (around.attentionNorm, around.gelu) = (attentionNorm.roundings, activation.roundings)
    let layer = DistilBERT.Layer(
      query: projections[0].form.linear, key: projections[1].form.linear, value: projections[2].form.linear,
      attentionOutput: output.form.linear, attentionNorm: attentionNorm.norm, expand: expand.form.linear,
      contract: contract.form.linear, outputNorm: outputNorm)
    return (layer, around, input, attention.heads)
  }

  // MARK: The whole

  /// Whether attention is masked: in all layers, or in none.
  func isMasked() throws(LoweringError) -> Bool {
    var found: Bool?
    for node in graph.nodes {
      guard case .attention(let attention) = node.operation else { continue }
      guard found == nil || found == attention.isMasked else {
        throw graph.error(node, "a mask in all layers, or in none")
      }
      found = attention.isMasked
    }
    return found ?? false
  }

  private func activation() throws(LoweringError) -> DistilBERT.Activation {
    var found: DistilBERT.Activation?
    for node in graph.nodes {
      guard case .gelu(let form) = node.operation else { continue }
      guard found == nil || found == form.activation else { throw graph.error(node, "the same activation in all layers") }
      found = form.activation
    }
    return found ?? .gelu
  }

  private func finish(
    _ tables: EmbeddingTables, _ norm: DistilBERT.LayerNorm, _ layers: [DistilBERT.Layer],
    _ roundings: DistilBERT.Roundings, heads: Int?, head: DistilBERT.Linear?, at node: WorkNode
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
    // Queries, keys and values are one product in the fused pass: their inputs must be rounded alike there.
    let isFused = roundings.count == 0 && layers.allSatisfy { layer in
      [layer.key, layer.value].allSatisfy { $0.weights.activation == layer.query.weights.activation }
    }
    return DistilBERT(
      configuration: configuration,
      embeddings: DistilBERT.Embeddings(
        words: tables.words, positions: tables.positions, tokenTypes: tables.tokenTypes, norm: norm),
      layers: named, head: head, roundings: isFused ? nil : roundings)
  }
}

extension DistilBERT.Weights {
  /// Whether a product of these weights can take its input in integers, quantised so.
  fileprivate func takes(_ code: ValueQuantization?) -> DistilBERT.ActivationQuantization? {
    guard quantization != nil, activation == nil, inputs <= Self.largestQuantizedInputs else { return nil }
    switch code {
    case .dynamic: return .dynamic
    case .fixed(let rounding) where rounding.integers == .int8 || rounding.integers == .uint8:
      return .fixed(scale: rounding.scale, zeroPoint: rounding.zeroPoint, signed: rounding.integers == .int8)
    case .fixed, nil: return nil
    }
  }
}
