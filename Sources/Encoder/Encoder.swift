import Kernels
import Observation

/// A model prepared for a backend, ready to run on packed batches.
///
/// Used from many tasks at once it gives each the same result as alone: the weights are read only, and every forward pass has a
/// workspace of its own.
public struct Encoder: Sendable {
  public let configuration: DistilBERT.Configuration
  /// Values a token: the head's outputs, or the hidden size of a model without a head.
  public let outputs: Int

  /// Whether the model ends with a task's head.
  public let hasHead: Bool

  /// What runs it.
  public let backend: BackendName

  /// Whether the pass rounds values between its operations, as a statically quantised file says, and so runs them one after the other.
  public let roundsBetweenOperations: Bool

  let pass: ForwardPass

  /// Prepares `model`: packs its weights, after which the model itself may go.
  ///
  /// - Parameters:
  ///   - threads: how many threads compute; `nil`: as many as this process may use.
  ///   - gemm: who multiplies float32 matrices. Where layers are int8, `.automatic` takes what has the same bits everywhere.
  ///   - attention: in which numbers attention computes; `nil`: fixed point after int8 layers, float32 after others.
  /// - Throws: `BackendError` where `backend`, or `SPANQA_BACKEND`, asks for what cannot run here; `KernelSetError` where
  ///   `SPANQA_KERNELS` does.
  public init(
    _ model: DistilBERT, backend: BackendChoice = .automatic, threads: Int? = nil, precision: Precision = .automatic,
    gemm: GEMMChoice = .automatic, attention: KernelSet.AttentionArithmetic? = nil
  ) throws {
    let name = try backend.resolved()
    switch name {
    case .cuda:
      try self.init(model, backend: CUDABackend())
    case .neon, .cpu:
      let cpu = try CPUBackend(for: model, threads: threads, precision: precision, gemm: gemm, attention: attention)
      if name == .neon && cpu.name != .neon { throw BackendError.kernels(cpu.kernels.name, backend: name) }
      try self.init(model, backend: cpu)
    }
  }

  /// Prepares `model` for `backend`.
  public init(_ model: DistilBERT, backend: some Backend) throws {
    configuration = model.configuration
    outputs = model.head?.weights.outputs ?? model.configuration.hidden
    hasHead = model.head != nil
    self.backend = backend.name
    roundsBetweenOperations = model.roundings != nil && backend.usesRoundings
    if let roundings = model.roundings, roundsBetweenOperations {
      pass = try backend.roundedPass(of: model, roundings)
      return
    }
    let prepared = try PreparedModel(model, backend: backend)
    pass = ForwardPass(int8Operands: prepared.int8Operands) { (batch, observer, ablation) throws(BackendError) in
      try prepared.forward(batch, observer: observer, ablation: ablation)
    }
  }

  /// The head's result for every token of `batch` (or the last hidden state, where there is no head).
  ///
  /// Cost: 2 · layers · (4 · hidden² + 2 · hidden · feedForward) operations a token in the linear layers, and
  /// 4 · layers · hidden · length a token in attention.
  /// - Parameters:
  ///   - observer: is handed the operations and the intermediate values that it asks for (`docs/inside.md` lists them). The result has
  ///     the same bits with it and without.
  ///   - ablation: what the pass goes without.
  /// - Throws: `BatchError` where an id, position or type has no row in the model's tables, `ablation` names what the model does not
  ///   have, or a result is not finite.
  public func forward(
    _ batch: PackedBatch, observer: Observer? = nil, ablation: Ablation = Ablation()
  ) throws(BatchError) -> EncoderOutput {
    try check(batch)
    if !ablation.isEmpty { try ablation.check(configuration) }
    let values: [Float]
    do { values = try pass.run(batch, observer, ablation) } catch { throw .backend(error) }
    if !values.allSatisfy(\.isFinite) { throw .notFinite(output: "the model's output") }
    return EncoderOutput(values: values, outputs: outputs, sequenceStarts: batch.sequenceStarts)
  }

  private func check(_ batch: PackedBatch) throws(BatchError) {
    for row in 0..<batch.tokenCount {
      let (id, position, type) = (batch.tokenIDs[row], batch.positions[row], batch.tokenTypes[row])
      if id < 0 || id >= configuration.vocabulary {
        throw .tokenID(row: row, value: id, vocabulary: configuration.vocabulary)
      }
      if position < 0 || position >= configuration.positions {
        throw .position(row: row, value: position, positions: configuration.positions)
      }
      if type < 0 || type >= max(1, configuration.tokenTypes) {
        throw .tokenType(row: row, value: type, tokenTypes: configuration.tokenTypes)
      }
    }
  }
}

/// A model's weights as a backend keeps them, and the forward pass over them.
struct PreparedModel<Device: Backend>: Sendable {
  let backend: Device
  let configuration: DistilBERT.Configuration
  let embeddings: Device.Embeddings
  let embeddingNorm: Device.Norm
  let layers: [Layer]
  let head: Device.Linear?
  let headOutputs: Int

  struct Layer {
    let queryKeyValue, attentionOutput: Device.Linear
    let attentionNorm: Device.Norm
    let expand, contract: Device.Linear
    let outputNorm: Device.Norm
  }

  init(_ model: DistilBERT, backend: Device) throws {
    self.backend = backend
    configuration = model.configuration
    embeddings = try backend.prepare(model.embeddings, configuration: model.configuration)
    embeddingNorm = try backend.prepare(model.embeddings.norm)
    layers = try model.layers.map { layer in
      Layer(
        queryKeyValue: try backend.prepare([layer.query, layer.key, layer.value]),
        attentionOutput: try backend.prepare([layer.attentionOutput]),
        attentionNorm: try backend.prepare(layer.attentionNorm),
        expand: try backend.prepare([layer.expand]),
        contract: try backend.prepare([layer.contract]),
        outputNorm: try backend.prepare(layer.outputNorm))
    }
    head = try model.head.map { try backend.prepareHead($0) }
    headOutputs = model.head?.weights.outputs ?? 0
  }

  /// Of the linear layers in int8, by the names of their results.
  var int8Operands: [String: Int8Operands] {
    var result: [String: Int8Operands] = [:]
    func add(_ product: Device.Linear, _ names: [String]) {
      for (name, operands) in zip(names, backend.int8Operands(of: product)) { result[name] = operands }
    }
    for (index, layer) in layers.enumerated() {
      add(layer.queryKeyValue, [LinearResult.query, .key, .value].map { $0.name(inLayer: index) })
      add(layer.attentionOutput, [LinearResult.attentionOutput.name(inLayer: index)])
      add(layer.expand, [LinearResult.expanded.name(inLayer: index)])
      add(layer.contract, [LinearResult.contracted.name(inLayer: index)])
    }
    if let head { add(head, [LinearResult.head]) }
    return result
  }

  func forward(
    _ batch: PackedBatch, observer: Observer?, ablation: Ablation
  ) throws(BackendError) -> [Float] {
    let width = head == nil ? configuration.hidden : headOutputs
    var failure: BackendError?
    let values = [Float](unsafeUninitializedCapacity: batch.tokenCount * width) { buffer, count in
      count = buffer.count
      guard let result = buffer.baseAddress else { return }
      do throws(BackendError) {
        guard observer == nil, let layer = layers.isEmpty ? head : layers[0].expand else {
          return try compute(batch.whole, on: backend, to: result, observer: observer, ablation: ablation)
        }
        try backend.forEachPart(of: batch, through: layer, configuration: configuration) { (backend, part) throws(BackendError) in
          try compute(part, on: backend, to: result + part.rowsOfBatch.lowerBound * width, observer: nil, ablation: ablation)
        }
      } catch { failure = error }
    }
    if let failure { throw failure }
    return values
  }

  /// The result for some sequences, `[tokens, outputs]`.
  private func compute(
    _ part: PackedBatch.Part, on backend: Device, to result: UnsafeMutablePointer<Float>, observer: Observer?, ablation: Ablation
  ) throws(BackendError) {
    if part.tokenCount == 0 { return }
    let workspace = try backend.makeWorkspace(for: part, configuration: configuration, outputs: headOutputs)
    defer { backend.recycle(workspace) }
    let probe = observer.map { ForwardProbe($0, model: self, batch: part.batch, workspace: workspace) }

    try step(.embeddings, probe) { () throws(BackendError) in
      try backend.embed(part, embeddings, embeddingNorm, in: workspace)
    }
    var index = nextLayer(from: 0, without: ablation)
    let first = index
    try share(workspace, through: first.map { layers[$0].queryKeyValue } ?? head, on: backend, probe) {
      (backend, workspace) throws(BackendError) in
      try begin(first, on: backend, in: workspace, to: result, probe)
    }
    while let current = index {
      let layer = layers[current]
      try step(.attention(current), probe) { () throws(BackendError) in
        try backend.attend(part, after: layer.queryKeyValue, configuration: configuration, in: workspace)
        for head in ablation.heads where head.layer == current {
          let first = head.head * configuration.headSize
          try backend.clearContext(columns: first..<first + configuration.headSize, in: workspace)
        }
      }
      let next = nextLayer(from: current + 1, without: ablation)
      try share(workspace, through: layer.expand, on: backend, probe) { (backend, workspace) throws(BackendError) in
        try step(.attentionOutput(current), probe) { () throws(BackendError) in
          try backend.addAttention(layer.attentionOutput, layer.attentionNorm, in: workspace)
        }
        try step(.feedForward(current), probe) { () throws(BackendError) in
          try backend.addFeedForward(
            layer.expand, configuration.activation, layer.contract, layer.outputNorm, in: workspace)
        }
        try begin(next, on: backend, in: workspace, to: result, probe)
      }
      index = next
    }
  }

  /// The first layer from `index` on that is not left out.
  private func nextLayer(from index: Int, without ablation: Ablation) -> Int? {
    layers.indices[index...].first { !ablation.layers.contains($0) }
  }

  /// What comes before a layer's attention; after the last layer, the result.
  private func begin(
    _ layer: Int?, on backend: Device, in workspace: Device.Workspace, to result: UnsafeMutablePointer<Float>,
    _ probe: ForwardProbe<Device>?
  ) throws(BackendError) {
    if let layer {
      try step(.queryKeyValue(layer), probe) { () throws(BackendError) in
        try backend.projectQueryKeyValue(layers[layer].queryKeyValue, in: workspace)
      }
    } else if let head {
      try step(.head, probe) { () throws(BackendError) in try backend.head(head, in: workspace, to: result) }
    } else {
      try backend.hidden(in: workspace, to: result)
    }
  }

  /// Runs operations that need no row but their own; where somebody watches, with all rows at once.
  private func share(
    _ workspace: Device.Workspace, through layer: Device.Linear?, on backend: Device, _ probe: ForwardProbe<Device>?,
    _ body: (Device, Device.Workspace) throws(BackendError) -> Void
  ) throws(BackendError) {
    guard let layer, probe == nil else { return try body(backend, workspace) }
    try backend.forEachShare(of: workspace, through: layer, body)
  }

  /// Runs a step; where nobody watches, at the price of a comparison.
  @inline(__always)
  private func step(
    _ step: ForwardStep, _ probe: ForwardProbe<Device>?, _ body: () throws(BackendError) -> Void
  ) throws(BackendError) {
    guard let probe else { return try body() }
    try probe.run(step, body)
  }
}
