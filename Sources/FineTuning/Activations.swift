/// What a forward pass keeps for the backward pass, and the memory both compute in: made for a number of tokens, kept and used again.
///
/// A layer keeps query, key and value, the attention's context, the activation's input, and for both LayerNorms x̂ with its factors:
/// `6 · hidden + feedForward` floats a token. Everything else is computed again from these. With recomputation only each layer's input is
/// kept, and a layer's own activations are made again, one layer at a time, as the backward pass comes to it.
final class Activations {
  /// The memory of one layer's activations.
  final class Layer {
    private let storage: FloatStorage
    private let hidden, feedForward, capacity: Int

    init(hidden: Int, feedForward: Int, capacity: Int) {
      (self.hidden, self.feedForward, self.capacity) = (hidden, feedForward, capacity)
      storage = FloatStorage(count: (6 * hidden + feedForward + 2) * capacity)
    }

    private func rows(_ count: Int, _ width: Int, after floatsAToken: Int) -> Matrix {
      storage.matrix(count, width, offset: floatsAToken * capacity)
    }

    /// Views for a batch of `tokens` rows.
    func views(tokens: Int) -> Views {
      Views(
        qkv: rows(tokens, 3 * hidden, after: 0), context: rows(tokens, hidden, after: 3 * hidden),
        attended: rows(tokens, hidden, after: 4 * hidden), output: rows(tokens, hidden, after: 5 * hidden),
        expanded: rows(tokens, feedForward, after: 6 * hidden),
        attendedFactors: rows(tokens, 1, after: 6 * hidden + feedForward).start,
        outputFactors: rows(tokens, 1, after: 6 * hidden + feedForward + 1).start)
    }

    struct Views {
      /// `[tokens, 3 · hidden]`
      let qkv: Matrix
      /// `[tokens, hidden]`
      let context: Matrix
      /// x̂ of the LayerNorm behind the attention, `[tokens, hidden]`.
      let attended: Matrix
      /// x̂ of the LayerNorm at the layer's end, `[tokens, hidden]`.
      let output: Matrix
      /// What the activation takes, `[tokens, feedForward]`.
      let expanded: Matrix
      let attendedFactors, outputFactors: UnsafeMutablePointer<Float>
    }
  }

  let tokenCapacity: Int
  let longestSequence: Int
  let recomputes: Bool
  private let layers: [Layer]
  /// The inputs of the layers above the first; with recomputation only.
  private let inputs: [FloatStorage]
  private let embedded, embeddedFactors: FloatStorage
  private let rows: [FloatStorage]
  private let wide, attentionInput, logitRows: FloatStorage
  let attention: AttentionScratch
  /// As many zeros as the feed-forward layer is wide.
  let zeros: FloatStorage
  private let hidden, feedForward: Int

  init(table: ParameterTable, tokens: Int, longest: Int, threads: Int, recomputes: Bool) {
    let configuration = table.configuration
    (hidden, feedForward) = (configuration.hidden, configuration.feedForward)
    (tokenCapacity, longestSequence, self.recomputes) = (tokens, longest, recomputes)
    let (hidden, feedForward) = (hidden, feedForward)
    let count = configuration.layers
    layers = (0..<(recomputes ? min(1, count) : count)).map { _ in
      Layer(hidden: hidden, feedForward: feedForward, capacity: tokens)
    }
    inputs = recomputes ? (0..<count).map { _ in FloatStorage(count: tokens * hidden) } : []
    embedded = FloatStorage(count: tokens * hidden)
    embeddedFactors = FloatStorage(count: tokens)
    rows = (0..<3).map { _ in FloatStorage(count: tokens * hidden) }
    wide = FloatStorage(count: tokens * feedForward)
    attentionInput = FloatStorage(count: tokens * 3 * hidden)
    logitRows = FloatStorage(count: tokens * 2)
    attention = AttentionScratch(longest: longest, threads: threads)
    zeros = FloatStorage(count: feedForward)
  }

  /// The activations of layer `index`. With recomputation all layers share one place.
  func layer(_ index: Int, tokens: Int) -> Layer.Views { layers[recomputes ? 0 : index].views(tokens: tokens) }
  /// Where layer `index`'s input is kept, with recomputation.
  func input(_ index: Int, tokens: Int) -> Matrix { inputs[index].matrix(tokens, hidden) }
  /// x̂ of the embeddings' LayerNorm.
  func embedded(tokens: Int) -> Matrix { embedded.matrix(tokens, hidden) }
  var embeddingFactors: UnsafeMutablePointer<Float> { embeddedFactors.start }
  /// `[tokens, hidden]` for passing use: 0 … 2.
  func scratch(_ index: Int, tokens: Int) -> Matrix { rows[index].matrix(tokens, hidden) }
  /// `[tokens, feedForward]` for passing use.
  func wideScratch(tokens: Int) -> Matrix { wide.matrix(tokens, feedForward) }
  /// `[tokens, 3 · hidden]` for passing use.
  func attentionScratch(tokens: Int) -> Matrix { attentionInput.matrix(tokens, 3 * hidden) }
  func logits(tokens: Int) -> Matrix { logitRows.matrix(tokens, 2) }
}
