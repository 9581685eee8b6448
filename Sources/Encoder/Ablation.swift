/// Parts of a model that a pass goes without, to see what they do.
public struct Ablation: Sendable, Hashable {
  public struct Head: Sendable, Hashable {
    public var layer, head: Int

    public init(layer: Int, head: Int) {
      self.layer = layer
      self.head = head
    }
  }

  /// Heads whose context is zero, as with probabilities multiplied by zero (Michel et al. 2019, "Are sixteen heads really better than
  /// one?").
  public var heads: Set<Head>
  /// Layers that hand their input on as it is.
  public var layers: Set<Int>

  public init(heads: Set<Head> = [], layers: Set<Int> = []) {
    self.heads = heads
    self.layers = layers
  }

  public var isEmpty: Bool { heads.isEmpty && layers.isEmpty }

  /// Fails where the model has no such part.
  func check(_ configuration: DistilBERT.Configuration) throws(BatchError) {
    for layer in layers.union(heads.map(\.layer)).sorted() where !(0..<configuration.layers).contains(layer) {
      throw .layer(layer, layers: configuration.layers)
    }
    for head in heads.map(\.head).sorted() where !(0..<configuration.heads).contains(head) {
      throw .head(head, heads: configuration.heads)
    }
  }
}
