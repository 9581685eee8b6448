/// How threads divide a batch: parts of consecutive sequences that one thread takes through the whole model, the most expensive first, and
/// parts that would leave threads idle in the end, which they compute together.
struct BatchDivision {
  /// Each on all threads, one after the other.
  private(set) var shared: [Range<Int>] = []
  /// Each on one thread.
  private(set) var independent: [Range<Int>] = []

  /// The share of the whole time that threads may be idle, as far as it can be known before: computing together, they lose about as much by
  /// waiting for each other.
  static let idleShare = 0.03

  init(_ batch: PackedBatch, leastRows: Int, threads: Int, configuration: DistilBERT.Configuration) {
    var parts = batch.parts(leastRows: leastRows).map { sequences in
      (sequences: sequences, cost: sequences.reduce(0) { $0 + configuration.cost(ofRows: batch.rows(ofSequence: $1).count) })
    }
    parts.sort { $0.cost > $1.cost }

    // As they are taken: the next part by the thread that is free first.
    var loads = [Double](repeating: 0, count: threads)
    var takers: [Int] = []
    for part in parts {
      let taker = loads.indices.min { loads[$0] < loads[$1] } ?? 0
      takers.append(taker)
      loads[taker] += part.cost
    }
    let total = loads.reduce(0, +)
    // While one thread would work too long alone, its last part is for all.
    while let busiest = loads.indices.max(by: { loads[$0] < loads[$1] }),
      loads[busiest] * Double(threads) - loads.reduce(0, +) > Self.idleShare * total, let last = takers.lastIndex(of: busiest)
    {
      shared.append(parts[last].sequences)
      loads[busiest] -= parts[last].cost
      parts.remove(at: last)
      takers.remove(at: last)
    }
    independent = parts.map(\.sequences)
  }
}

extension PackedBatch {
  /// Cuts the sequences into parts of so many rows each, or the last sequence more.
  func parts(leastRows: Int) -> Parts { Parts(batch: self, leastRows: leastRows) }

  struct Parts: Sequence, IteratorProtocol {
    fileprivate let batch: PackedBatch
    fileprivate let leastRows: Int
    private var first = 0

    fileprivate init(batch: PackedBatch, leastRows: Int) {
      self.batch = batch
      self.leastRows = leastRows
    }

    mutating func next() -> Range<Int>? {
      guard first < batch.sequenceCount else { return nil }
      var end = first + 1
      while end < batch.sequenceCount, batch.sequenceStarts[end] - batch.sequenceStarts[first] < leastRows { end += 1 }
      defer { first = end }
      return first..<end
    }
  }
}

extension DistilBERT.Configuration {
  /// What a sequence of so many rows costs in a layer, in multiplications of its linear layers; those of attention take about twice as long.
  fileprivate func cost(ofRows rows: Int) -> Double {
    let (rows, hidden, feedForward) = (Double(rows), Double(hidden), Double(feedForward))
    return rows * (4 * hidden * hidden + 2 * hidden * feedForward + 2 * 2 * rows * hidden)
  }
}
