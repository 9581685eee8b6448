import Kernels
import Observation

/// The operations of a forward pass, as the executor runs them.
enum ForwardStep {
  case embeddings
  case queryKeyValue(Int)
  case attention(Int)
  case attentionOutput(Int)
  case feedForward(Int)
  case head

  var layer: Int? {
    switch self {
    case .embeddings, .head: nil
    case .queryKeyValue(let layer), .attention(let layer), .attentionOutput(let layer), .feedForward(let layer): layer
    }
  }

  var name: String {
    switch self {
    case .embeddings: "embeddings"
    case .queryKeyValue(let layer): "layer.\(layer).query_key_value"
    case .attention(let layer): "layer.\(layer).attention"
    case .attentionOutput(let layer): "layer.\(layer).attention_output"
    case .feedForward(let layer): "layer.\(layer).feed_forward"
    case .head: "head"
    }
  }

  /// The step as an observer is told of it.
  func operation(
    _ batch: PackedBatch, _ configuration: DistilBERT.Configuration, headOutputs: Int, kernels: [String], start: Duration,
    duration: Duration
  ) -> ObservedOperation {
    let (tokens, hidden, middle) = (batch.tokenCount, configuration.hidden, configuration.feedForward)
    let rows = [tokens, hidden]
    let (inputs, output, arithmetic): ([[Int]], [Int], Int)
    switch self {
    case .embeddings:
      (inputs, output, arithmetic) = ([[tokens], [configuration.vocabulary, hidden], [configuration.positions, hidden]], rows, 0)
    case .queryKeyValue:
      (inputs, output) = ([rows, [hidden, 3 * hidden]], [tokens, 3 * hidden])
      arithmetic = 2 * tokens * hidden * 3 * hidden
    case .attention:
      (inputs, output) = ([[tokens, 3 * hidden]], rows)
      let pairs = (0..<batch.sequenceCount).reduce(0) {
        $0 + batch.rows(ofSequence: $1).count * batch.attendedCount(ofSequence: $1)
      }
      arithmetic = 4 * pairs * hidden
    case .attentionOutput: (inputs, output, arithmetic) = ([rows, [hidden, hidden], rows], rows, 2 * tokens * hidden * hidden)
    case .feedForward: (inputs, output, arithmetic) = ([rows, [hidden, middle], [middle, hidden]], rows, 4 * tokens * hidden * middle)
    case .head:
      (inputs, output, arithmetic) = ([rows, [hidden, headOutputs]], [tokens, headOutputs], 2 * tokens * hidden * headOutputs)
    }
    return ObservedOperation(
      name: name, layer: layer, inputs: inputs, output: output, kernels: kernels, arithmetic: arithmetic, start: start,
      duration: duration)
  }
}

/// Watches one forward pass for an observer: times its operations, and between them reads or recomputes what was asked for.
///
/// The fused operations never hold some of their inner values (probabilities, the feed-forward network's middle, a projection before
/// it joins the residual stream). Those are computed again from the operation's inputs: linear layers by the backend's own, which
/// gives the same bits, probabilities from queries and keys by the plain formula. The pass itself stays as it is.
final class ForwardProbe<Device: Backend> {
  private let observer: Observer
  private let model: PreparedModel<Device>
  private let batch: PackedBatch
  private let workspace: Device.Workspace
  private let clock = ContinuousClock()
  /// The residual stream before the operation that is running, where a result is put together from it.
  private var residual: [Float] = []

  init(_ observer: Observer, model: PreparedModel<Device>, batch: PackedBatch, workspace: Device.Workspace) {
    self.observer = observer
    self.model = model
    self.batch = batch
    self.workspace = workspace
    observer.observe(model.backend.memoryMap(of: workspace))
  }

  /// Runs and reports a step.
  func run(_ step: ForwardStep, _ body: () throws(BackendError) -> Void) throws(BackendError) {
    try prepare(for: step)
    let began = clock.now
    try body()
    let ended = clock.now
    report(step, start: began - observer.origin, duration: ended - began)
    try observe(step)
  }

  // MARK: Operations

  private var tokens: Int { batch.tokenCount }
  private var hidden: Int { model.configuration.hidden }

  private func report(_ step: ForwardStep, start: Duration, duration: Duration) {
    let backend = model.backend
    let kernels: [String]
    switch step {
    case .embeddings: kernels = [backend.normKernel]
    case .queryKeyValue(let layer): kernels = [backend.kernel(of: model.layers[layer].queryKeyValue)]
    case .attention(let layer): kernels = [backend.attentionKernel(after: model.layers[layer].queryKeyValue)]
    case .attentionOutput(let layer): kernels = [backend.kernel(of: model.layers[layer].attentionOutput), backend.normKernel]
    case .feedForward(let layer):
      let layer = model.layers[layer]
      kernels = [backend.kernel(of: layer.expand), backend.kernel(of: layer.contract), backend.normKernel]
    case .head: kernels = model.head.map { [backend.kernel(of: $0)] } ?? []
    }
    observer.observe(
      step.operation(
        batch, model.configuration, headOutputs: model.headOutputs, kernels: kernels, start: start, duration: duration))
  }

  // MARK: Tensors

  /// `[tokens, hidden]`, as it is now.
  private func stream() throws(BackendError) -> [Float] {
    var values = [Float](repeating: 0, count: tokens * hidden)
    try values.withUnsafeMutableBufferPointer { (values) throws(BackendError) in
      if let base = values.baseAddress { try model.backend.hidden(in: workspace, to: base) }
    }
    return values
  }

  /// Keeps what the step is about to overwrite.
  private func prepare(for step: ForwardStep) throws(BackendError) {
    let wanted: [String]
    switch step {
    case .attentionOutput(let layer): wanted = ["layer.\(layer).attention.residual"]
    case .feedForward(let layer):
      let values = ["expanded", "middle", "output", "residual"].map { "layer.\(layer).feed_forward.\($0)" }
      let operands = [LinearResult.expanded, .contracted].flatMap { result in
        [Int8Operands.Part.input, .inputScale].map { $0.name(ofResult: result.name(inLayer: layer)) }
      }
      wanted = values + operands
    default: wanted = []
    }
    residual = wanted.contains(where: observer.wants) ? try stream() : []
  }

  private func observe(_ step: ForwardStep) throws(BackendError) {
    let backend = model.backend
    switch step {
    case .embeddings:
      try give("embeddings", width: hidden, stream)
      try giveLogits("embeddings.logits")
    case .queryKeyValue(let layer):
      let operands = backend.int8Operands(of: model.layers[layer].queryKeyValue)
      for (part, result) in [LinearResult.query, .key, .value].enumerated() {
        let name = result.name(inLayer: layer)
        try give(name, shape: headShape) { () throws(BackendError) in
          columns(part * hidden..<(part + 1) * hidden, of: try backend.queryKeyValue(in: workspace))
        }
        if operands.indices.contains(part) { try operands[part].give(to: observer, ofResult: name, input: stream) }
      }
    case .attention(let layer):
      try giveProbabilities(layer: layer)
      try give("layer.\(layer).attention.context", shape: headShape) { () throws(BackendError) in
        try backend.context(in: workspace)
      }
    case .attentionOutput(let layer):
      let prepared = model.layers[layer]
      let (prefix, name) = ("layer.\(layer).attention", LinearResult.attentionOutput.name(inLayer: layer))
      func context() throws(BackendError) -> [Float] { try backend.context(in: workspace) }
      func output() throws(BackendError) -> [Float] { try backend.apply(prepared.attentionOutput, nil, to: try context()) }
      try give(name, width: hidden, output)
      try giveOperands(of: prepared.attentionOutput, name, input: context)
      try give("\(prefix).residual", width: hidden) { () throws(BackendError) in sum(residual, try output()) }
      try give("\(prefix).norm", width: hidden, stream)
    case .feedForward(let layer):
      let prepared = model.layers[layer]
      let (prefix, width) = ("layer.\(layer).feed_forward", model.configuration.feedForward)
      let (expanded, contracted) = (LinearResult.expanded.name(inLayer: layer), LinearResult.contracted.name(inLayer: layer))
      func middle() throws(BackendError) -> [Float] {
        try backend.apply(prepared.expand, model.configuration.activation, to: residual)
      }
      func output() throws(BackendError) -> [Float] { try backend.apply(prepared.contract, nil, to: try middle()) }
      try give(expanded, width: width) { () throws(BackendError) in try backend.apply(prepared.expand, nil, to: residual) }
      try giveOperands(of: prepared.expand, expanded) { () throws(BackendError) in residual }
      try give("\(prefix).middle", width: width, middle)
      try give(contracted, width: hidden, output)
      try giveOperands(of: prepared.contract, contracted, input: middle)
      try give("\(prefix).residual", width: hidden) { () throws(BackendError) in sum(residual, try output()) }
      try give("layer.\(layer).output", width: hidden, stream)
      try giveLogits("layer.\(layer).logits")
    case .head:
      try giveLogits(LinearResult.head)
      if let head = model.head { try giveOperands(of: head, LinearResult.head, input: stream) }
    }
  }

  /// What a product of one layer multiplies, where that is in int8.
  private func giveOperands(
    of product: Device.Linear, _ name: String, input: () throws(BackendError) -> [Float]
  ) throws(BackendError) {
    if let operands = model.backend.int8Operands(of: product).first { try operands.give(to: observer, ofResult: name, input: input) }
  }

  private var headShape: [Int] { [tokens, model.configuration.heads, model.configuration.headSize] }

  private func give(
    _ name: String, width: Int, _ values: () throws(BackendError) -> [Float]
  ) throws(BackendError) {
    try give(name, shape: [tokens, width], values)
  }

  private func give(
    _ name: String, shape: [Int], _ values: () throws(BackendError) -> [Float]
  ) throws(BackendError) {
    if observer.wants(name) { observer.observe(ObservedTensor(name: name, shape: shape, values: try values())) }
  }

  /// The head applied to the hidden state as it is now (nostalgebraist 2020, "logit lens").
  private func giveLogits(_ name: String) throws(BackendError) {
    guard let head = model.head else { return }
    try give(name, width: model.headOutputs) { () throws(BackendError) in
      try model.backend.apply(head, nil, to: try stream())
    }
  }

  private func giveProbabilities(layer: Int) throws(BackendError) {
    let name = "layer.\(layer).attention.probabilities"
    guard observer.wants(name) else { return }
    let values = try model.backend.queryKeyValue(in: workspace)
    let configuration = model.configuration
    for sequence in 0..<batch.sequenceCount {
      let rows = batch.rows(ofSequence: sequence)
      observer.observe(
        ObservedTensor(
          name: name, sequence: sequence, shape: [configuration.heads, rows.count, rows.count],
          values: AttentionProbabilities(
            values, rows: rows, attended: batch.attendedCount(ofSequence: sequence), configuration: configuration
          ).values))
    }
  }

  private func columns(_ range: Range<Int>, of values: [Float]) -> [Float] {
    let width = 3 * hidden
    return [Float](unsafeUninitializedCapacity: tokens * range.count) { result, count in
      for row in 0..<tokens {
        for column in range { result[row * range.count + column - range.lowerBound] = values[row * width + column] }
      }
      count = tokens * range.count
    }
  }

  private func sum(_ a: [Float], _ b: [Float]) -> [Float] { zip(a, b).map { $0 + $1 } }
}

/// softmax(q · kᵀ / √headSize) of every head over one sequence, by the formula.
private struct AttentionProbabilities {
  /// `[heads, tokens, tokens]`; columns of padding are 0.
  let values: [Float]

  init(_ queryKeyValue: [Float], rows: Range<Int>, attended: Int, configuration: DistilBERT.Configuration) {
    let (hidden, headSize, count) = (configuration.hidden, configuration.headSize, rows.count)
    let scale = 1 / Float(headSize).squareRoot()
    let size = configuration.heads * count * count
    values = [Float](unsafeUninitializedCapacity: size) { result, initialized in
      result.initialize(repeating: 0)
      queryKeyValue.withUnsafeBufferPointer { source in
        for head in 0..<configuration.heads {
          for query in 0..<count {
            let row = UnsafeMutableBufferPointer(rebasing: result[(head * count + query) * count..<(head * count + query + 1) * count])
            let q = (rows.lowerBound + query) * 3 * hidden + head * headSize
            for key in 0..<attended {
              let k = (rows.lowerBound + key) * 3 * hidden + hidden + head * headSize
              var dot: Float = 0
              for i in 0..<headSize { dot.addProduct(source[q + i], source[k + i]) }
              row[key] = dot
            }
            guard let base = row.baseAddress, attended > 0 else { continue }
            let factor = 1 / KernelSet.referenceSoftmax(base, count: attended, scale: scale)
            for key in 0..<attended { row[key] *= factor }
          }
        }
      }
      initialized = size
    }
  }
}
