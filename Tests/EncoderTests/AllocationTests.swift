import AllocationCounter
import Testing

@testable import Encoder

/// Once a batch of its size has been seen, a forward pass allocates the result that it returns.
struct AllocationTests {
  @Test(
    .enabled(if: allocations_so_far().all >= 0, "allocations are counted with glibc, without a sanitiser"), arguments: [1, 2],
    [Precision.float32, .int8])
  func aPassAllocatesItsResult(threads: Int, precision: Precision) throws {
    var counts: [allocation_counts] = []
    for layers in [1, 3] {
      let tiny = TinyModel(TinyModel.Shape(layers: layers, hidden: 32, heads: 2, feedForward: 64), seed: 7)
      let encoder = try Encoder(tiny.model, backend: CPUBackend(threads: threads, precision: precision))
      for batch in [PackedBatch(EncoderTests.sequences), PackedBatch([EncoderTests.sequences[2]])] {
        for _ in 0..<3 { _ = try encoder.forward(batch) }
        let before = allocations_so_far()
        let output = try encoder.forward(batch)
        let after = allocations_so_far()
        #expect(output.values.count == 2 * batch.tokenCount)
        counts.append(allocation_counts(all: after.all - before.all, large: after.large - before.large))
      }
    }
    // The result, whatever the batch and the number of layers.
    #expect(counts.allSatisfy { $0.large == 1 }, "\(counts)")
    // Several threads cost a closure's context, of some tens of bytes, for each step that they share; one costs nothing.
    if threads == 1 { #expect(counts.allSatisfy { $0.all == 1 }, "\(counts)") }
  }
}
