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

  func forward(_ batch: PackedBatch, observer: Observer?, ablation: Ablation) -> [Float] {
    if batch.tokenCount == 0 { return [] }
    let watch = Watch(observer: observer, tokens: batch.tokenCount, configuration: configuration)
    var hidden = watch.run("embeddings", layer: nil) { embed(batch) }
    watch.give("embeddings", hidden)
    for (index, layer) in layers.enumerated() where !ablation.layers.contains(index) {
      let skipped = ablation.heads.filter { $0.layer == index }.map(\.head)
      hidden = watch.run("layer.\(index).attention", layer: index) {
        attend(batch, layer, roundings.layers[index], to: hidden, skipping: skipped, watch, "layer.\(index).attention")
      }
      hidden = watch.run("layer.\(index).feed_forward", layer: index) {
        feedForward(layer, roundings.layers[index], hidden, watch, "layer.\(index).feed_forward")
      }
      watch.give("layer.\(index).output", hidden)
    }
    guard let head else { return rounded(hidden, roundings.head.input) }
    let logits = watch.run("head", layer: nil) { apply(head, to: hidden) }
    watch.give("logits", logits)
    return logits
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
    return normalized(rounded(rows(roundings.embeddings), roundings.embeddingSum), embeddingNorm)
  }

  private func attend(
    _ batch: PackedBatch, _ layer: Layer, _ roundings: DistilBERT.Roundings.Layer, to hidden: [Float], skipping heads: [Int],
    _ watch: Watch, _ name: String
  ) -> [Float] {
    let query = apply(layer.query, to: hidden)
    let key = apply(layer.key, to: hidden)
    let value = apply(layer.value, to: hidden)
    watch.giveHeads("\(name).query", query)
    watch.giveHeads("\(name).key", key)
    watch.giveHeads("\(name).value", value)
    var context = mixed(
      batch, stepped(query, roundings.queries), stepped(key, roundings.keys), rounded(value, roundings.values), roundings,
      watch, name)
    for head in heads {
      let first = head * configuration.headSize
      for row in 0..<batch.tokenCount {
        for column in first..<first + configuration.headSize { context[row * configuration.hidden + column] = 0 }
      }
    }
    watch.giveHeads("\(name).context", context)
    let output = apply(layer.attentionOutput, to: rounded(context, roundings.context))
    watch.give("\(name).output", output)
    let sum = added(output, rounded(hidden, roundings.attentionResidual))
    watch.give("\(name).residual", sum)
    let result = normalized(rounded(sum, roundings.attentionSum), layer.attentionNorm)
    watch.give("\(name).norm", result)
    return result
  }

  private func feedForward(
    _ layer: Layer, _ roundings: DistilBERT.Roundings.Layer, _ hidden: [Float], _ watch: Watch, _ name: String
  ) -> [Float] {
    let expanded = apply(layer.expand, to: hidden)
    watch.give("\(name).expanded", expanded)
    let middle = activated(expanded)
    watch.give("\(name).middle", middle)
    let output = apply(layer.contract, to: middle)
    watch.give("\(name).output", output)
    let sum = added(output, rounded(hidden, roundings.outputResidual))
    watch.give("\(name).residual", sum)
    return normalized(rounded(sum, roundings.outputSum), layer.outputNorm)
  }

  // MARK: Attention

  /// softmax(steps(q · kᵀ)) · v of every head, over each sequence's own rows.
  private func mixed(
    _ batch: PackedBatch, _ query: [Float], _ key: [Float], _ value: [Float], _ roundings: DistilBERT.Roundings.Layer,
    _ watch: Watch, _ name: String
  ) -> [Float] {
    let (hidden, heads) = (configuration.hidden, configuration.heads)
    let keepsProbabilities = watch.wants("\(name).probabilities")
    var context = [Float](repeating: 0, count: batch.tokenCount * hidden)
    for sequence in 0..<batch.sequenceCount {
      let rows = batch.rows(ofSequence: sequence)
      if rows.isEmpty { continue }
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
      if keepsProbabilities {
        watch.give("\(name).probabilities", shape: [heads, rows.count, rows.count], kept, sequence: sequence)
      }
    }
    return context
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

  private func activated(_ values: [Float]) -> [Float] {
    let width = configuration.feedForward
    let zeros = [Float](repeating: 0, count: width)
    let epilogue: KernelSet.Epilogue = configuration.activation == .gelu ? .biasGELU : .biasGELUTanh
    var result = values
    zeros.withUnsafeBufferPointer { zeros in
      guard let zeros = zeros.baseAddress else { return }
      forEachRow(of: &result, width: width) { backend.kernels.finish($0, bias: zeros, count: width, epilogue: epilogue) }
    }
    return result
  }

  private func normalized(_ values: [Float], _ norm: CPUBackend.Norm) -> [Float] {
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
  let tokens: Int
  let configuration: DistilBERT.Configuration

  func wants(_ name: String) -> Bool { observer?.wants(name) ?? false }

  func give(_ name: String, shape: [Int], _ values: [Float], sequence: Int? = nil) {
    guard let observer, observer.wants(name) else { return }
    observer.observe(ObservedTensor(name: name, sequence: sequence, shape: shape, values: values))
  }

  func give(_ name: String, _ values: [Float]) { give(name, shape: [tokens, values.count / max(1, tokens)], values) }

  func giveHeads(_ name: String, _ values: [Float]) {
    give(name, shape: [tokens, configuration.heads, configuration.headSize], values)
  }

  /// Runs an operation `[tokens, …]` and reports it.
  func run(_ name: String, layer: Int?, _ body: () -> [Float]) -> [Float] {
    guard let observer else { return body() }
    let clock = ContinuousClock()
    let began = clock.now
    let result = body()
    observer.observe(
      ObservedOperation(
        name: name, layer: layer, inputs: [[tokens, configuration.hidden]], output: [tokens, result.count / max(1, tokens)],
        kernels: ["step by step, with roundings"], start: began - observer.origin, duration: clock.now - began))
    return result
  }
}
