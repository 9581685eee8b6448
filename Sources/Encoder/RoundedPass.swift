import Kernels
import Observation

/// The forward pass of a model that rounds values between its operations: one operation after the other, each value in memory, as
/// its file has them.
///
/// Linear layers run on the backend's own kernels. What the fused operations keep in registers (scores, probabilities, the
/// feed-forward network's middle) is written out here, which costs time and memory; models without roundings never come here.
struct RoundedPass: Sendable {
  private let backend: CPUBackend
  private let configuration: DistilBERT.Configuration
  private let roundings: DistilBERT.Roundings
  private let words: CPUEmbeddingTable
  /// `[positions, hidden]` and `[types, hidden]`
  private let positions, tokenTypes: [Float]
  private let embeddingNorm: CPUBackend.Norm
  private let layers: [Layer]
  private let head: Linear?

  private struct Linear: Sendable {
    let layer: CPULinear
    /// Added after the product is rounded; `nil` where the layer itself adds it.
    let bias: [Float]?
    let roundings: DistilBERT.Roundings.Linear

    init(_ linear: DistilBERT.Linear, _ roundings: DistilBERT.Roundings.Linear, _ prepare: (DistilBERT.Linear) -> CPULinear) {
      self.roundings = roundings
      var linear = linear
      bias = roundings.product.isEmpty ? nil : linear.bias
      if bias != nil { linear.bias = [Float](repeating: 0, count: linear.bias.count) }
      layer = prepare(linear)
    }
  }

  private struct Layer: Sendable {
    let query, key, value, attentionOutput, expand, contract: Linear
    let attentionNorm, outputNorm: CPUBackend.Norm

    var linears: [(linear: Linear, name: LinearResult)] {
      [
        (query, .query), (key, .key), (value, .value), (attentionOutput, .attentionOutput), (expand, .expanded), (contract, .contracted),
      ]
    }
  }

  init(_ model: DistilBERT, roundings: DistilBERT.Roundings, backend: CPUBackend) {
    precondition(roundings.layers.count == model.layers.count)
    self.backend = backend
    self.roundings = roundings
    configuration = model.configuration
    words = CPUEmbeddingTable(model.embeddings.words)
    positions = CPUEmbeddingTable(model.embeddings.positions).allRows()
    tokenTypes = model.embeddings.tokenTypes.map { CPUEmbeddingTable($0).allRows() } ?? []
    embeddingNorm = backend.prepare(model.embeddings.norm)
    layers = zip(model.layers, roundings.layers).map { layer, roundings in
      func linear(_ linear: DistilBERT.Linear, _ roundings: DistilBERT.Roundings.Linear) -> Linear {
        Linear(linear, roundings) { backend.prepare([$0]) }
      }
      return Layer(
        query: linear(layer.query, roundings.query), key: linear(layer.key, roundings.key),
        value: linear(layer.value, roundings.value),
        attentionOutput: linear(layer.attentionOutput, roundings.attentionOutput),
        expand: linear(layer.expand, roundings.expand), contract: linear(layer.contract, roundings.contract),
        attentionNorm: backend.prepare(layer.attentionNorm), outputNorm: backend.prepare(layer.outputNorm))
    }
    head = model.head.map { Linear($0, roundings.head, backend.prepareHead) }
  }

  // MARK: The pass

  /// Of the linear layers in int8, by the names of their results.
  var int8Operands: [String: Int8Operands] {
    var result: [String: Int8Operands] = [:]
    for (index, layer) in layers.enumerated() {
      for (linear, name) in layer.linears { result[name.name(inLayer: index)] = backend.int8Operands(of: linear.layer).first }
    }
    if let head { result[LinearResult.head] = backend.int8Operands(of: head.layer).first }
    return result
  }

  func forward(_ batch: PackedBatch, observer: Observer?, ablation: Ablation) -> [Float] {
    if batch.tokenCount == 0 { return [] }
    let watch = Watch(observer, batch: batch, configuration: configuration, headOutputs: head?.layer.outputs ?? 0)
    var hidden = watch.run(.embeddings, [backend.normKernel]) { embed(batch) }
    watch.give("embeddings", hidden)
    giveLogits("embeddings.logits", hidden, watch)
    for index in layers.indices where !ablation.layers.contains(index) {
      let skipped = ablation.heads.filter { $0.layer == index }.map(\.head)
      hidden = attend(batch, index, to: hidden, skipping: skipped, watch)
      hidden = feedForward(index, to: hidden, watch)
      giveLogits("layer.\(index).logits", hidden, watch)
    }
    guard let head else { return rounded(hidden, roundings.head.input) }
    let logits = watch.run(.head, [backend.kernel(of: head.layer)]) { apply(head, to: hidden) }
    watch.give(LinearResult.head, logits)
    giveOperands(of: head, LinearResult.head, input: hidden, watch)
    return logits
  }

  /// The head applied to the hidden state as it is now (nostalgebraist 2020, "logit lens").
  private func giveLogits(_ name: String, _ hidden: [Float], _ watch: Watch) {
    if let head, watch.wants(name) { watch.give(name, apply(head, to: hidden)) }
  }

  /// What a linear layer multiplies, where that is in int8.
  private func giveOperands(of linear: Linear, _ name: String, input: [Float], _ watch: Watch) {
    guard let observer = watch.observer else { return }
    backend.int8Operands(of: linear.layer).first?.give(to: observer, ofResult: name) { rounded(input, linear.roundings.input) }
  }

  private func embed(_ batch: PackedBatch) -> [Float] {
    let size = configuration.hidden
    func rows(_ sum: DistilBERT.Roundings.EmbeddingSum) -> [Float] {
      switch sum {
      case .words: gathered { row, target in words.copyRow(Int(batch.tokenIDs[row]), to: target, count: size) }
      case .positions: gathered { row, target in copy(Int(batch.positions[row]), of: positions, to: target) }
      case .tokenTypes: gathered { row, target in copy(Int(batch.tokenTypes[row]), of: tokenTypes, to: target) }
      case .sum(let a, let b): added(rows(a), rows(b))
      case .rounded(let part, let rounding): rounded(rows(part), [rounding])
      }
    }
    func gathered(_ body: (Int, UnsafeMutablePointer<Float>) -> Void) -> [Float] {
      [Float](unsafeUninitializedCapacity: batch.tokenCount * size) { buffer, count in
        if let base = buffer.baseAddress {
          for row in 0..<batch.tokenCount { body(row, base + row * size) }
        }
        count = batch.tokenCount * size
      }
    }
    func copy(_ row: Int, of table: [Float], to target: UnsafeMutablePointer<Float>) {
      for i in 0..<size { target[i] = table[row * size + i] }
    }
    return normalized(rounded(rows(roundings.embeddings), roundings.embeddingSum), embeddingNorm, roundings.embeddingNorm)
  }

  private func attend(
    _ batch: PackedBatch, _ index: Int, to hidden: [Float], skipping heads: [Int], _ watch: Watch
  ) -> [Float] {
    let (layer, roundings, name) = (layers[index], roundings.layers[index], "layer.\(index).attention")
    let projected: [(linear: Linear, name: LinearResult)] = [(layer.query, .query), (layer.key, .key), (layer.value, .value)]
    let results = watch.run(.queryKeyValue(index), projected.map { backend.kernel(of: $0.linear.layer) }) {
      projected.map { apply($0.linear, to: hidden) }
    }
    for (part, values) in zip(projected, results) {
      let name = part.name.name(inLayer: index)
      watch.giveHeads(name, values)
      giveOperands(of: part.linear, name, input: hidden, watch)
    }
    let (context, probabilities) = watch.run(.attention(index), ["row by row, with roundings"]) {
      var (context, probabilities) = mixed(
        batch, stepped(results[0], roundings.queries), stepped(results[1], roundings.keys), rounded(results[2], roundings.values),
        roundings, keepsProbabilities: watch.wants("\(name).probabilities"))
      for head in heads {
        let first = head * configuration.headSize
        for row in 0..<batch.tokenCount {
          for column in first..<first + configuration.headSize { context[row * configuration.hidden + column] = 0 }
        }
      }
      return (context, probabilities)
    }
    for (sequence, values) in probabilities.enumerated() where !values.isEmpty {
      let count = batch.rows(ofSequence: sequence).count
      watch.give("\(name).probabilities", shape: [configuration.heads, count, count], values, sequence: sequence)
    }
    watch.giveHeads("\(name).context", context)
    let attended = rounded(context, roundings.context)
    let (output, sum, result) = watch.run(
      .attentionOutput(index), [backend.kernel(of: layer.attentionOutput.layer), backend.normKernel]
    ) {
      let output = apply(layer.attentionOutput, to: attended)
      let sum = added(output, rounded(hidden, roundings.attentionResidual))
      return (output, sum, normalized(rounded(sum, roundings.attentionSum), layer.attentionNorm, roundings.attentionNorm))
    }
    watch.give("\(name).output", output)
    giveOperands(of: layer.attentionOutput, LinearResult.attentionOutput.name(inLayer: index), input: attended, watch)
    watch.give("\(name).residual", sum)
    watch.give("\(name).norm", result)
    return result
  }

  private func feedForward(_ index: Int, to hidden: [Float], _ watch: Watch) -> [Float] {
    let (layer, roundings, name) = (layers[index], roundings.layers[index], "layer.\(index).feed_forward")
    let (expanded, middle, output, sum, result) = watch.run(
      .feedForward(index),
      [backend.kernel(of: layer.expand.layer), backend.kernel(of: layer.contract.layer), backend.normKernel]
    ) {
      let expanded = apply(layer.expand, to: hidden)
      let middle = activated(expanded, roundings.gelu)
      let output = apply(layer.contract, to: middle)
      let sum = added(output, rounded(hidden, roundings.outputResidual))
      let result = normalized(rounded(sum, roundings.outputSum), layer.outputNorm, roundings.outputNorm)
      return (expanded, middle, output, sum, result)
    }
    watch.give("\(name).expanded", expanded)
    giveOperands(of: layer.expand, LinearResult.expanded.name(inLayer: index), input: hidden, watch)
    watch.give("\(name).middle", middle)
    watch.give("\(name).output", output)
    giveOperands(of: layer.contract, LinearResult.contracted.name(inLayer: index), input: middle, watch)
    watch.give("\(name).residual", sum)
    watch.give("layer.\(index).output", result)
    return result
  }

  // MARK: Attention

  /// softmax(steps(q · kᵀ)) · v of every head, over each sequence's own rows; where they are asked for, with the probabilities
  /// `[heads, tokens, tokens]` of each sequence.
  private func mixed(
    _ batch: PackedBatch, _ query: [Float], _ key: [Float], _ value: [Float], _ roundings: DistilBERT.Roundings.Layer,
    keepsProbabilities: Bool
  ) -> (context: [Float], probabilities: [[Float]]) {
    let (hidden, heads) = (configuration.hidden, configuration.heads)
    var context = [Float](repeating: 0, count: batch.tokenCount * hidden)
    let probabilities = (0..<batch.sequenceCount).map { sequence -> [Float] in
      let rows = batch.rows(ofSequence: sequence)
      if rows.isEmpty { return [] }
      var kept = [Float](repeating: 0, count: keepsProbabilities ? heads * rows.count * rows.count : 0)
      context.withUnsafeMutableBufferPointer { context in
        kept.withUnsafeMutableBufferPointer { kept in
          guard let out = context.baseAddress else { return }
          let shown = kept.isEmpty ? nil : kept.baseAddress
          ThreadPool.shared.run(tasks: heads, threads: rows.count < 16 ? 1 : backend.threads) { head in
            query.withUnsafeBufferPointer { query in
              key.withUnsafeBufferPointer { key in
                value.withUnsafeBufferPointer { value in
                  guard let q = query.baseAddress, let k = key.baseAddress, let v = value.baseAddress else { return }
                  let first = rows.lowerBound * hidden + head * configuration.headSize
                  mixHead(
                    q + first, k + first, v + first, count: rows.count,
                    attended: batch.attendedCount(ofSequence: sequence), roundings, out: out + first,
                    probabilities: shown.map { $0 + head * rows.count * rows.count })
                }
              }
            }
          }
        }
      }
      return kept
    }
    return (context, probabilities)
  }

  private func mixHead(
    _ q: UnsafePointer<Float>, _ k: UnsafePointer<Float>, _ v: UnsafePointer<Float>, count: Int, attended: Int,
    _ roundings: DistilBERT.Roundings.Layer, out: UnsafeMutablePointer<Float>, probabilities: UnsafeMutablePointer<Float>?
  ) {
    let (stride, size) = (configuration.hidden, configuration.headSize)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: attended) { buffer in
      guard let row = buffer.baseAddress else { return }
      for query in 0..<count {
        for key in 0..<attended { row[key] = Self.dot(q + query * stride, k + key * stride, size) }
        Self.step(row, attended, roundings.scores)
        let sum = backend.kernels.softmax(row, count: attended)
        for key in 0..<attended { row[key] /= sum }
        for rounding in roundings.probabilities { for key in 0..<attended { row[key] = rounding(row[key]) } }
        for key in 0..<attended { probabilities?[query * count + key] = row[key] }
        let result = out + query * stride
        for key in 0..<attended {
          let (weight, values) = (row[key], v + key * stride)
          for i in 0..<size { result[i] += weight * values[i] }
        }
      }
    }
  }

  private static func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Float {
    var lanes = SIMD16<Float>()
    let whole = count / 16 * 16
    for i in Swift.stride(from: 0, to: whole, by: 16) {
      // Not fused: without the instruction, which the package's build may not assume, that is a function call each.
      lanes +=
        UnsafeRawPointer(a + i).loadUnaligned(as: SIMD16<Float>.self)
        * UnsafeRawPointer(b + i).loadUnaligned(as: SIMD16<Float>.self)
    }
    var sum = lanes.sum()
    for i in whole..<count { sum += a[i] * b[i] }
    return sum
  }

  // MARK: Parts

  private func apply(_ linear: Linear, to input: [Float]) -> [Float] {
    var result = backend.apply(linear.layer, nil, to: rounded(input, linear.roundings.input))
    if let bias = linear.bias {
      round(&result, linear.roundings.product)
      forEachRow(of: &result, width: bias.count) { row in for i in bias.indices { row[i] += bias[i] } }
    }
    round(&result, linear.roundings.output)
    return result
  }

  private func activated(_ values: [Float], _ inside: DistilBERT.Roundings.GELU) -> [Float] {
    let width = configuration.feedForward
    if !inside.product.isEmpty {
      var result = values
      forEachRow(of: &result, width: width) { row in for i in 0..<width { row[i] = Self.gelu(row[i], inside) } }
      return result
    }
    let zeros = [Float](repeating: 0, count: width)
    let epilogue: KernelSet.Epilogue = configuration.activation == .gelu ? .biasGELU : .biasGELUTanh
    var result = values
    zeros.withUnsafeBufferPointer { zeros in
      guard let zeros = zeros.baseAddress else { return }
      forEachRow(of: &result, width: width) { backend.kernels.finish($0, bias: zeros, count: width, epilogue: epilogue) }
    }
    return result
  }

  private static func gelu(_ x: Float, _ inside: DistilBERT.Roundings.GELU) -> Float {
    let argument = apply(inside.argument, to: x / Float(2).squareRoot())
    let sum = apply(inside.sum, to: 1 + apply(inside.erf, to: ErrorFunction.erf(argument)))
    return inside.product.reduce(x) { value, factor in
      switch factor {
      case .scale(let scale): value * scale
      case .sum: value * sum
      case .round(let rounding): rounding(value)
      }
    }
  }

  private static func apply(_ roundings: [Rounding], to x: Float) -> Float { roundings.reduce(x) { $1($0) } }

  private func normalized(
    _ values: [Float], _ norm: CPUBackend.Norm, _ inside: DistilBERT.Roundings.Norm
  ) -> [Float] {
    if inside.count > 0 {
      var result = values
      forEachRow(of: &result, width: norm.scale.count) { Self.normalize($0, norm, inside) }
      return result
    }
    let zeros = [Float](repeating: 0, count: norm.scale.count)
    var result = values
    zeros.withUnsafeBufferPointer { zeros in
      guard let zeros = zeros.baseAddress else { return }
      forEachRow(of: &result, width: norm.scale.count) {
        backend.addAndNormalize($0, zeros, bias: nil, norm, count: norm.scale.count)
      }
    }
    return result
  }

  /// Each step of a layer norm by itself.
  private static func normalize(_ row: UnsafeMutablePointer<Float>, _ norm: CPUBackend.Norm, _ inside: DistilBERT.Roundings.Norm) {
    let count = norm.scale.count
    let mean = apply(inside.mean, to: sum(row, count) { $0 } / Float(count))
    for i in 0..<count { row[i] = apply(inside.difference, to: row[i] - mean) }
    let squares = sum(row, count) { apply(inside.square, to: $0 * $0) }
    let variance = apply(inside.variance, to: squares / Float(count))
    let deviation = apply(inside.deviation, to: apply(inside.sum, to: variance + norm.epsilon).squareRoot())
    for i in 0..<count {
      let normalized = apply(inside.normalized, to: row[i] / deviation)
      row[i] = apply(inside.scaled, to: normalized * norm.scale[i]) + norm.shift[i]
    }
  }

  /// The sum of a row's values, in 16 lanes.
  private static func sum(_ row: UnsafePointer<Float>, _ count: Int, _ value: (Float) -> Float) -> Float {
    var lanes = SIMD16<Float>()
    for i in 0..<count { lanes[i % 16] += value(row[i]) }
    return lanes.sum()
  }

  private func added(_ a: [Float], _ b: [Float]) -> [Float] { zip(a, b).map { $0 + $1 } }

  private func rounded(_ values: [Float], _ roundings: [Rounding]) -> [Float] {
    var result = values
    round(&result, roundings)
    return result
  }

  private func round(_ values: inout [Float], _ roundings: [Rounding]) {
    stepThrough(&values, roundings.map { .round($0) })
  }

  private func stepped(_ values: [Float], _ steps: [DistilBERT.Roundings.ScoreStep]) -> [Float] {
    var result = values
    stepThrough(&result, steps)
    return result
  }

  private func stepThrough(_ values: inout [Float], _ steps: [DistilBERT.Roundings.ScoreStep]) {
    if steps.isEmpty { return }
    // All arrays here have rows of whole hidden or feed-forward widths, or of the head's outputs: any width that divides them does.
    let width = values.count % configuration.hidden == 0 ? configuration.hidden : values.count
    forEachRow(of: &values, width: width) { Self.step($0, width, steps) }
  }

  private static func step(_ row: UnsafeMutablePointer<Float>, _ count: Int, _ steps: [DistilBERT.Roundings.ScoreStep]) {
    for step in steps {
      switch step {
      case .scale(let factor): for i in 0..<count { row[i] *= factor }
      case .round(let rounding): for i in 0..<count { row[i] = rounding(row[i]) }
      }
    }
  }

  private func forEachRow(of values: inout [Float], width: Int, _ body: (UnsafeMutablePointer<Float>) -> Void) {
    values.withUnsafeMutableBufferPointer { values in
      guard let base = values.baseAddress, width > 0 else { return }
      backend.forEachRow(of: values.count / width, cost: width) { body(base + $0 * width) }
    }
  }
}

/// Hands an observer what it asks for.
private struct Watch {
  let observer: Observer?
  let batch: PackedBatch
  let configuration: DistilBERT.Configuration
  let headOutputs: Int
  private let clock = ContinuousClock()

  init(_ observer: Observer?, batch: PackedBatch, configuration: DistilBERT.Configuration, headOutputs: Int) {
    self.observer = observer
    self.batch = batch
    self.configuration = configuration
    self.headOutputs = headOutputs
  }

  func wants(_ name: String) -> Bool { observer?.wants(name) ?? false }

  func give(_ name: String, shape: [Int], _ values: [Float], sequence: Int? = nil) {
    guard let observer, observer.wants(name) else { return }
    observer.observe(ObservedTensor(name: name, sequence: sequence, shape: shape, values: values))
  }

  func give(_ name: String, _ values: [Float]) {
    give(name, shape: [batch.tokenCount, values.count / max(1, batch.tokenCount)], values)
  }

  func giveHeads(_ name: String, _ values: [Float]) {
    give(name, shape: [batch.tokenCount, configuration.heads, configuration.headSize], values)
  }

  /// Runs a step and reports it.
  func run<Result>(_ step: ForwardStep, _ kernels: @autoclosure () -> [String], _ body: () -> Result) -> Result {
    guard let observer else { return body() }
    let began = clock.now
    let result = body()
    let ended = clock.now
    observer.observe(
      step.operation(
        batch, configuration, headOutputs: headOutputs, kernels: kernels(), start: began - observer.origin, duration: ended - began))
    return result
  }
}
