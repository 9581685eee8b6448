import Kernels

/// A model prepared for a backend, ready to run on packed batches.
///
/// Used from many tasks at once it gives each the same result as alone: the weights are read only, and every forward pass has a
/// workspace of its own.
public struct Encoder: Sendable {
  public let configuration: DistilBERT.Configuration
  /// Values a token: the head's outputs, or the hidden size of a model without a head.
  public let outputs: Int

  private let run: @Sendable (PackedBatch, LayerObserver?) -> [Float]

  /// Takes a hidden state, `[tokens, hidden]`: number 0 is the embeddings' after their norm, number i that after layer i.
  public typealias LayerObserver = (_ number: Int, _ hiddenState: [Float]) -> Void

  /// Prepares `model` on the processor: packs its weights, after which the model itself may go.
  ///
  /// - Parameter threads: how many threads compute; `nil`: as many as this process may use.
  /// - Throws: where `SPANQA_KERNELS` asks for what this processor has not.
  public init(_ model: DistilBERT, threads: Int? = nil, precision: Precision = .automatic) throws {
    try self.init(model, backend: CPUBackend(threads: threads, precision: precision))
  }

  /// Prepares `model` for `backend`.
  public init(_ model: DistilBERT, backend: some Backend) throws {
    configuration = model.configuration
    outputs = model.head?.weights.outputs ?? model.configuration.hidden
    let prepared = try PreparedModel(model, backend: backend)
    run = { prepared.forward($0, observer: $1) }
  }

  /// The head's result for every token of `batch` (or the last hidden state, where there is no head).
  ///
  /// Cost: 2 · layers · (4 · hidden² + 2 · hidden · feedForward) operations a token in the linear layers, and
  /// 4 · layers · hidden · length a token in attention.
  /// - Parameter observer: is handed the hidden state after the embeddings and after each layer, a copy each; for tests and
  ///   comparisons.
  /// - Throws: `BatchError` where an id, position or type has no row in the model's tables, or a result is not finite.
  public func forward(
    _ batch: PackedBatch, observer: LayerObserver? = nil
  ) throws(BatchError) -> EncoderOutput {
    try check(batch)
    let values = run(batch, observer)
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
private struct PreparedModel<Device: Backend>: Sendable {
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

  func forward(_ batch: PackedBatch, observer: Encoder.LayerObserver?) -> [Float] {
    if batch.tokenCount == 0 { return [] }
    let workspace = backend.makeWorkspace(for: batch, configuration: configuration, outputs: headOutputs)
    defer { backend.recycle(workspace) }

    backend.embed(batch, embeddings, embeddingNorm, in: workspace)
    observer?(0, backend.hidden(in: workspace))
    for (index, layer) in layers.enumerated() {
      backend.projectQueryKeyValue(layer.queryKeyValue, in: workspace)
      backend.attend(batch, configuration: configuration, in: workspace)
      backend.addAttention(layer.attentionOutput, layer.attentionNorm, in: workspace)
      backend.addFeedForward(
        layer.expand, configuration.activation, layer.contract, layer.outputNorm, in: workspace)
      observer?(index + 1, backend.hidden(in: workspace))
    }
    return head.map { backend.head($0, in: workspace) } ?? backend.hidden(in: workspace)
  }
}
