import Kernels

/// One transformer layer (post-norm):
///
///     a = norm₁(x + attention(x))
///     y = norm₂(a + dropout(W₂ · gelu(W₁ · a + b₁) + b₂))
struct EncoderLayer {
  let index: Int
  let attentionInput, attentionOutput, expand, contract: LinearLayer
  let attention: AttentionLayer
  let attentionNorm, outputNorm: NormLayer
  let activation: GELULayer
  let computer: Computer

  init(_ index: Int, table: ParameterTable, computer: Computer) {
    let (place, configuration) = (table.layers[index], table.configuration)
    self.index = index
    self.computer = computer
    attentionInput = LinearLayer(place: place.attentionInput, computer: computer)
    attention = AttentionLayer(heads: configuration.heads, headSize: configuration.headSize, computer: computer)
    attentionOutput = LinearLayer(place: place.attentionOutput, computer: computer)
    attentionNorm = NormLayer(place: place.attentionNorm, computer: computer)
    expand = LinearLayer(place: place.expand, computer: computer)
    activation = GELULayer(computer: computer)
    contract = LinearLayer(place: place.contract, computer: computer)
    outputNorm = NormLayer(place: place.outputNorm, computer: computer)
  }

  /// What a pass through the layer needs beside its input.
  struct Context {
    let batch: TrainingBatch
    let parameters: Parameters
    let activations: Activations
    let dropout: DropoutPlan
  }

  /// `x` `[tokens, hidden]` becomes y; what the backward pass needs stays in the layer's activations.
  func forward(_ x: Matrix, in context: Context) {
    let (parameters, tokens) = (context.parameters, x.rows)
    let saved = context.activations.layer(index, tokens: tokens)
    let middle = context.activations.scratch(2, tokens: tokens)

    attentionInput.forward(x, into: saved.qkv, parameters: parameters)
    attention.forward(
      saved.qkv, into: saved.context, batch: context.batch, dropout: context.dropout.attention(layer: index),
      scratch: context.activations.attention)
    attentionOutput.forward(saved.context, into: saved.attended, parameters: parameters)
    computer.add(x, to: saved.attended)
    attentionNorm.normalize(saved.attended, factors: saved.attendedFactors, parameters: parameters)
    attentionNorm.scale(saved.attended, into: middle, parameters: parameters)

    let wide = context.activations.wideScratch(tokens: tokens)
    expand.forward(middle, into: saved.expanded, parameters: parameters)
    activation.forward(saved.expanded, into: wide, zeros: context.activations.zeros.start)
    contract.forward(wide, into: saved.output, parameters: parameters)
    context.dropout.feedForward(layer: index)?.apply(saved.output, batch: context.batch, computer: computer)
    computer.add(middle, to: saved.output)
    outputNorm.normalize(saved.output, factors: saved.outputFactors, parameters: parameters)
    outputNorm.scale(saved.output, into: x, parameters: parameters)
  }

  /// `gradient` = ∂loss/∂y becomes ∂loss/∂x, the steps of `forward` in the opposite order. `x` is the layer's input.
  ///
  /// - Parameter isInputNeeded: whether anything below is trained.
  func backward(
    _ gradient: Matrix, x: Matrix, gradients: Gradients, isInputNeeded: Bool, in context: Context
  ) {
    let (parameters, activations, tokens) = (context.parameters, context.activations, x.rows)
    let saved = activations.layer(index, tokens: tokens)
    let scratch = activations.scratch(2, tokens: tokens)

    outputNorm.backward(
      gradient, normalized: saved.output, factors: saved.outputFactors, parameters: parameters, gradients: gradients)
    // From here on `gradient` is that of the sum a + feedForward(a): it flows on to a, and through the feed-forward part.
    var dContracted = gradient
    if let dropout = context.dropout.feedForward(layer: index) {
      scratch.start.update(from: gradient.start, count: tokens * gradient.columns)
      dropout.apply(scratch, batch: context.batch, computer: computer)
      dContracted = scratch
    }
    let dWide = activations.wideScratch(tokens: tokens)
    computer.multiply(dContracted, parameters.weight(contract.place), into: dWide)
    activation.backward(dWide, u: saved.expanded)
    contract.backward(dContracted, x: saved.expanded, into: nil, parameters: parameters, gradients: gradients)
    attentionNorm.scale(saved.attended, into: scratch, parameters: parameters)
    expand.backward(dWide, x: scratch, into: gradient, adding: true, parameters: parameters, gradients: gradients)

    attentionNorm.backward(
      gradient, normalized: saved.attended, factors: saved.attendedFactors, parameters: parameters, gradients: gradients)
    // Again a sum, x + attention(x).
    attentionOutput.backward(gradient, x: saved.context, into: scratch, parameters: parameters, gradients: gradients)
    let dqkv = activations.attentionScratch(tokens: tokens)
    attention.backward(
      scratch, qkv: saved.qkv, into: dqkv, batch: context.batch, dropout: context.dropout.attention(layer: index),
      scratch: activations.attention)
    attentionInput.backward(
      dqkv, x: x, into: isInputNeeded ? gradient : nil, adding: true, parameters: parameters, gradients: gradients)
  }
}

/// Which elements fall in one step, everywhere in the network.
struct DropoutPlan {
  var probabilities: DropoutProbabilities
  var seed: UInt64
  var step: Int
  var kernels: KernelSet

  var embeddings: Dropout? { make(probabilities.hidden, .embeddings) }
  var head: Dropout? { make(probabilities.head, .head) }
  func attention(layer: Int) -> Dropout? { make(probabilities.attention, .attention, layer) }
  func feedForward(layer: Int) -> Dropout? { make(probabilities.hidden, .feedForward, layer) }

  private func make(_ probability: Float, _ site: Dropout.Site, _ layer: Int = 0) -> Dropout? {
    Dropout(probability: probability, seed: seed, step: step, site: site, layer: layer, kernels: kernels)
  }
}

/// The probabilities that a DistilBERT's `config.json` calls `dropout`, `attention_dropout` and `qa_dropout`.
public struct DropoutProbabilities: Sendable, Equatable {
  public var hidden: Float
  public var attention: Float
  public var head: Float

  public init(hidden: Float = 0, attention: Float = 0, head: Float = 0) {
    self.hidden = hidden
    self.attention = attention
    self.head = head
  }
}
