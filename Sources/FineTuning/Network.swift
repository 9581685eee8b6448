import Encoder
import Kernels
import Observation

/// A DistilBERT with its question-answering head, forwards and backwards.
///
/// Costs of a training step, for n tokens: three times the forward pass's products (four with recomputation).
public final class Network {
  public let table: ParameterTable
  public let recomputes: Bool
  /// What watches the passes: their parts, the hidden states, the logits, and the gradients of both, by the names in `docs/inside.md`.
  /// Nothing is spent without one.
  public var observer: Observer?
  private let computer: Computer
  private let embeddings: EmbeddingLayer
  private let embeddingNorm: NormLayer
  private let layers: [EncoderLayer]
  private let head: LinearLayer
  private var activations: Activations?

  /// - Parameters:
  ///   - threads: how many threads compute; `nil`: as many as this process may use. The results do not depend on it.
  ///   - recomputes: whether the backward pass computes the layers' activations anew instead of keeping those of all layers.
  /// - Throws: `KernelSetError` where `SPANQA_KERNELS` asks for what is not there.
  public init(_ table: ParameterTable, threads: Int? = nil, recomputes: Bool = false) throws(KernelSetError) {
    let computer = Computer(kernels: try .chosen(), threads: max(1, threads ?? ProcessorCount.usable))
    self.table = table
    self.recomputes = recomputes
    self.computer = computer
    embeddings = EmbeddingLayer(table: table, computer: computer)
    embeddingNorm = NormLayer(place: table.embeddingNorm, computer: computer)
    layers = (0..<table.configuration.layers).map { EncoderLayer($0, table: table, computer: computer) }
    head = LinearLayer(place: table.head, computer: computer)
  }

  /// The logits `[tokens, 2]` of a batch, without dropout.
  ///
  /// - Throws: `BatchError` where an id or a length is outside the model's tables.
  public func logits(_ batch: TrainingBatch, parameters: Parameters) throws(BatchError) -> [Float] {
    let context = try self.context(batch, parameters, dropoutPlan())
    let logits = forward(in: context)
    return Array(UnsafeBufferPointer(start: logits.start, count: logits.rows * 2))
  }

  /// A batch's share of a step's loss; its gradients are added to `gradients`.
  ///
  /// - Parameters:
  ///   - counts: what the whole step holds, over which the loss is a mean.
  ///   - dropout: with the number of the step, which decides with the seed what falls.
  /// - Throws: `BatchError` where an id or a length is outside the model's tables.
  public func addGradients(
    of batch: TrainingBatch, loss: SpanLoss = SpanLoss(), counts: SpanLoss.Counts, parameters: Parameters,
    dropout: DropoutProbabilities = DropoutProbabilities(), seed: UInt64 = 0, step: Int = 0, to gradients: Gradients
  ) throws(BatchError) -> Double {
    let context = try self.context(batch, parameters, dropoutPlan(dropout, seed: seed, step: step))
    let logits = forward(in: context)
    // The gradient takes the logits' place.
    var value = 0.0
    self.step("loss", tensor: "logits.gradient", result: logits) { value = loss.lossAndGradient(logits, batch: batch, counts: counts) }
    backward(logits, gradients: gradients, in: context)
    return value
  }

  // MARK: Passes

  private func forward(in context: EncoderLayer.Context) -> Matrix {
    let (activations, parameters, tokens) = (context.activations, context.parameters, context.batch.tokenCount)
    let x = activations.scratch(0, tokens: tokens)
    step("embeddings", result: x) {
      let embedded = activations.embedded(tokens: tokens)
      embeddings.forward(context.batch, into: embedded, parameters: parameters)
      embeddingNorm.normalize(embedded, factors: activations.embeddingFactors, parameters: parameters)
      embeddingNorm.scale(embedded, into: x, parameters: parameters)
      context.dropout.embeddings?.apply(x, batch: context.batch, computer: computer)
    }
    for layer in layers {
      if recomputes { activations.input(layer.index, tokens: tokens).start.update(from: x.start, count: tokens * x.columns) }
      step("layer.\(layer.index)", layer: layer.index, tensor: "layer.\(layer.index).output", result: x) {
        layer.forward(x, in: context)
      }
    }
    let logits = activations.logits(tokens: tokens)
    step("head", tensor: "logits", result: logits) {
      context.dropout.head?.apply(x, batch: context.batch, computer: computer)
      head.forward(x, into: logits, parameters: parameters)
    }
    return logits
  }

  /// `dLogits` = ∂loss/∂logits. The layers' activations are used up.
  private func backward(_ dLogits: Matrix, gradients: Gradients, in context: EncoderLayer.Context) {
    let (activations, parameters, tokens) = (context.activations, context.parameters, context.batch.tokenCount)
    let gradient = activations.scratch(1, tokens: tokens)
    let x = activations.scratch(0, tokens: tokens)

    // The forward pass has left the head's input in `x`.
    let isLayerNeeded = gradients.isNeeded(upToDepth: layers.count)
    step("head.backward", tensor: gradientName(ofLayer: layers.count - 1), result: isLayerNeeded ? gradient : nil) {
      head.backward(dLogits, x: x, into: isLayerNeeded ? gradient : nil, parameters: parameters, gradients: gradients)
      if isLayerNeeded { context.dropout.head?.apply(gradient, batch: context.batch, computer: computer) }
    }
    guard isLayerNeeded else { return }

    for layer in layers.reversed() {
      guard gradients.isNeeded(upToDepth: layer.index + 1) else { return }
      let isInputNeeded = gradients.isNeeded(upToDepth: layer.index)
      step(
        "layer.\(layer.index).backward", layer: layer.index, tensor: gradientName(ofLayer: layer.index - 1),
        result: isInputNeeded ? gradient : nil
      ) {
        makeInput(of: layer, in: x, context: context)
        layer.backward(gradient, x: x, gradients: gradients, isInputNeeded: isInputNeeded, in: context)
      }
    }

    guard gradients.isNeeded(upToDepth: 0) else { return }
    step("embeddings.backward", result: nil) {
      context.dropout.embeddings?.apply(gradient, batch: context.batch, computer: computer)
      embeddingNorm.backward(
        gradient, normalized: activations.embedded(tokens: tokens), factors: activations.embeddingFactors,
        parameters: parameters, gradients: gradients)
      embeddings.backward(gradient, batch: context.batch, gradients: gradients)
    }
  }

  /// Runs a part of a pass, and tells the observer.
  ///
  /// - Parameters:
  ///   - tensor: what the result is called; like the part, where that is `nil`.
  ///   - result: what the part leaves behind; `nil` where it is gradients alone.
  @inline(__always)
  private func step(
    _ name: @autoclosure () -> String, layer: Int? = nil, tensor: @autoclosure () -> String? = nil, result: Matrix?, _ body: () -> Void
  ) {
    guard let observer else { return body() }
    let began = ContinuousClock.now
    body()
    let ended = ContinuousClock.now
    let (name, shape) = (name(), result.map { [$0.rows, $0.columns] } ?? [])
    observer.observe(
      ObservedOperation(
        name: name, layer: layer, inputs: [], output: shape, kernels: ["OpenBLAS sgemm", computer.kernels.name.rawValue],
        start: began - observer.origin, duration: ended - began))
    let tensor = tensor() ?? name
    if let result, observer.wants(tensor) {
      observer.observe(
        ObservedTensor(
          name: tensor, shape: shape, values: Array(UnsafeBufferPointer(start: result.start, count: result.rows * result.columns))))
    }
  }

  /// The gradient of a layer's output; of the embeddings before the first.
  private func gradientName(ofLayer index: Int) -> String { index < 0 ? "embeddings.gradient" : "layer.\(index).output.gradient" }

  /// x = the layer's input, from what the forward pass kept; with recomputation the layer's activations too.
  private func makeInput(of layer: EncoderLayer, in x: Matrix, context: EncoderLayer.Context) {
    let (activations, tokens) = (context.activations, x.rows)
    if recomputes {
      let input = activations.input(layer.index, tokens: tokens)
      x.start.update(from: input.start, count: tokens * x.columns)
      layer.forward(x, in: context)
      x.start.update(from: input.start, count: tokens * x.columns)
    } else if layer.index > 0 {
      let below = activations.layer(layer.index - 1, tokens: tokens)
      layers[layer.index - 1].outputNorm.scale(below.output, into: x, parameters: context.parameters)
    } else {
      embeddingNorm.scale(activations.embedded(tokens: tokens), into: x, parameters: context.parameters)
      context.dropout.embeddings?.apply(x, batch: context.batch, computer: computer)
    }
  }

  func dropoutPlan(_ probabilities: DropoutProbabilities = DropoutProbabilities(), seed: UInt64 = 0, step: Int = 0) -> DropoutPlan {
    DropoutPlan(probabilities: probabilities, seed: seed, step: step, kernels: computer.kernels)
  }

  // MARK: Memory

  private func context(
    _ batch: TrainingBatch, _ parameters: Parameters, _ dropout: DropoutPlan
  ) throws(BatchError) -> EncoderLayer.Context {
    let configuration = table.configuration
    for (row, id) in batch.tokens.tokenIDs.enumerated() where id < 0 || id >= configuration.vocabulary {
      throw .tokenID(row: row, value: id, vocabulary: configuration.vocabulary)
    }
    for (row, position) in batch.tokens.positions.enumerated() where position >= configuration.positions {
      throw .position(row: row, value: position, positions: configuration.positions)
    }
    return EncoderLayer.Context(
      batch: batch, parameters: parameters, activations: activations(for: batch), dropout: dropout)
  }

  /// The memory of earlier batches, or more where this one needs it.
  private func activations(for batch: TrainingBatch) -> Activations {
    if let activations, activations.tokenCapacity >= batch.tokenCount, activations.longestSequence >= batch.longest {
      return activations
    }
    let (tokens, longest) = (activations?.tokenCapacity ?? 0, activations?.longestSequence ?? 0)
    // The old memory goes before the new comes.
    self.activations = nil
    let larger = Activations(
      table: table, tokens: max(tokens, batch.tokenCount), longest: max(longest, batch.longest), threads: computer.threads,
      recomputes: recomputes)
    self.activations = larger
    return larger
  }
}
