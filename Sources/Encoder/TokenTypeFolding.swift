extension DistilBERT {
  /// A model without token types: the embedding of type 0 is added to every position's, in float32.
  ///
  /// The same function for inputs whose token types are all 0, but for the rounding of sums in another order.
  public func foldingTokenTypes() -> DistilBERT {
    guard let types = embeddings.tokenTypes else { return self }
    var folded = self
    folded.embeddings.positions = embeddings.positions.adding(types.floats().prefix(configuration.hidden))
    folded.embeddings.tokenTypes = nil
    folded.configuration.tokenTypes = 0
    return folded
  }
}

extension DistilBERT.EmbeddingTable {
  /// A float32 table whose rows are this one's with `row` added to each.
  ///
  /// - Precondition: `row` is as wide as the table.
  public func adding(_ row: some Collection<Float>) -> DistilBERT.EmbeddingTable {
    let width = values.shape[1]
    precondition(row.count == width)
    let row = Array(row)
    var sums = floats()
    for index in sums.indices { sums[index] += row[index % width] }
    return DistilBERT.EmbeddingTable(values: Parameter(sums, shape: values.shape))
  }
}
