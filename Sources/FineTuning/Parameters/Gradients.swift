/// The gradients of one step, summed over its batches.
///
/// The word embeddings' gradient is kept for the rows that the step's tokens touched; all other rows are zero. A frozen parameter has
/// no gradient, and nothing is computed for it.
public final class Gradients {
  public let table: ParameterTable
  /// By entry of the table.
  public let isTrained: [Bool]
  /// Every parameter but the word embeddings, at its place less `table.wordCount`.
  let dense: FloatStorage
  var words: WordRows
  private let computedOffsets: Set<Int>

  public init(table: ParameterTable, isTrained: (ParameterTable.Entry) -> Bool = { _ in true }) {
    self.table = table
    self.isTrained = table.entries.map(isTrained)
    let trained = zip(table.entries, self.isTrained).filter(\.1).map(\.0.offset)
    // Query, key and value share a product: where one of them is trained, it is computed for all three.
    let shared = table.layers.flatMap { layer in
      let input = layer.attentionInput
      return [(input.weight, input.outputs * input.inputs), (input.bias, input.outputs)].compactMap { offset, count in
        trained.contains { (offset..<offset + count).contains($0) } ? offset : nil
      }
    }
    computedOffsets = Set(trained + shared)
    dense = FloatStorage(count: table.count - table.wordCount)
    words = WordRows(width: table.configuration.hidden)
  }

  /// Forgets what has been summed.
  func clear() {
    dense.start.update(repeating: 0, count: dense.count)
    words.removeAll()
  }

  /// Where the gradient of the parameter at `offset` is summed; `nil` where none is computed.
  func pointer(_ offset: Int) -> UnsafeMutablePointer<Float>? {
    computedOffsets.contains(offset) ? dense.start + (offset - table.wordCount) : nil
  }

  /// The gradient of any parameter but the word embeddings.
  func densePointer(_ entry: ParameterTable.Entry) -> UnsafeMutablePointer<Float> {
    dense.start + (entry.offset - table.wordCount)
  }

  /// Whether the word embeddings are trained.
  var trainsWords: Bool { computedOffsets.contains(table.words) }

  /// Whether anything is trained up to this depth: below that, no gradient has to flow.
  func isNeeded(upToDepth depth: Int) -> Bool {
    zip(table.entries, isTrained).contains { $0.depth <= depth && $1 }
  }

  /// A parameter's whole gradient by its name in transformers; `nil` for a name that there is not.
  public subscript(name: String) -> [Float]? {
    guard let entry = table.entries.first(where: { $0.name == name }) else { return nil }
    if entry.offset != table.words {
      return Array(dense.floats[entry.offset - table.wordCount..<entry.range.upperBound - table.wordCount])
    }
    let width = table.configuration.hidden
    var values = [Float](repeating: 0, count: entry.count)
    for (slot, id) in words.ids.enumerated() {
      for i in 0..<width { values[Int(id) * width + i] = words.values[slot * width + i] }
    }
    return values
  }
}

/// Rows of a large table, of which a step touches few.
struct WordRows {
  let width: Int
  /// The rows touched, in the order in which they first were.
  private(set) var ids: [Int32] = []
  /// `[ids, width]`
  private(set) var values: [Float] = []
  private var slots: [Int32: Int] = [:]

  init(width: Int) { self.width = width }

  mutating func removeAll() {
    ids.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
    slots.removeAll(keepingCapacity: true)
  }

  /// Where row `id` stands among `values`; `nil` for a row that no token touched.
  func slot(of id: Int32) -> Int? { slots[id] }

  /// row `id` += x
  mutating func add(_ x: UnsafePointer<Float>, to id: Int32) {
    let slot: Int
    if let known = slots[id] {
      slot = known
    } else {
      slot = ids.count
      slots[id] = slot
      ids.append(id)
      values.append(contentsOf: repeatElement(0, count: width))
    }
    values.withUnsafeMutableBufferPointer { values in
      for i in 0..<width { values[slot * width + i] += x[i] }
    }
  }

  func withValues(_ body: (UnsafeBufferPointer<Float>) -> Void) { values.withUnsafeBufferPointer(body) }
}
