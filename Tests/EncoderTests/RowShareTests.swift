import Synchronization
import Testing

@testable import Encoder

/// Rows that stay with one thread between one attention and the next.
struct RowShareTests {
  /// A long sequence's result does not depend on how many threads share its rows.
  @Test(arguments: EncoderTests.shapes, [Precision.float32, .int8])
  func aSharedSequenceHasTheBitsOfOneThread(_ shape: TinyModel.Shape, _ precision: Precision) throws {
    var shape = shape
    shape.positions = 401
    let model = TinyModel(shape, seed: 15).model
    let batch = PackedBatch([(0..<401).map { Int32($0 * 7 % shape.vocabulary) }])
    let expected = try Encoder(model, backend: CPUBackend(threads: 1, precision: precision)).forward(batch).values
    for threads in 2...4 {
      let encoder = try Encoder(model, backend: CPUBackend(threads: threads, precision: precision))
      #expect(try encoder.forward(batch).values == expected, "on \(threads) threads")
    }
    #expect(expected.count == 2 * 401)
  }

  /// All rows once, by threads that have enough of them; else in one share, on all threads.
  @Test func sharesAreAllRowsOnce() throws {
    let model = TinyModel(EncoderTests.shapes[0], seed: 16).model
    for (rows, threads, expected) in [(192, 2, 2), (191, 2, 2), (190, 1, 1), (300, 3, 3), (301, 3, 3), (300, 4, 1), (20, 2, 1)] {
      let backend = try CPUBackend(threads: threads, precision: .float32)
      let layer = backend.prepare([model.layers[0].expand])
      let batch = PackedBatch([Array(repeating: 1, count: rows)])
      let workspace = backend.makeWorkspace(for: batch.whole, configuration: model.configuration, outputs: 2)
      defer { backend.recycle(workspace) }
      let shares = Mutex<[(rows: Range<Int>, threads: Int)]>([])
      try backend.forEachShare(of: workspace, through: layer) { (backend, share) throws(BackendError) in
        shares.withLock { $0.append((share.rows, backend.threads)) }
      }
      let found = shares.withLock { $0.sorted { $0.rows.lowerBound < $1.rows.lowerBound } }
      #expect(found.count == expected, "\(rows) rows on \(threads) threads")
      #expect(found.flatMap { Array($0.rows) } == Array(0..<rows))
      #expect(found.allSatisfy { $0.threads == (expected > 1 ? 1 : threads) && $0.rows.lowerBound % CPUWorkspace.shareUnit == 0 })
    }
  }
}
