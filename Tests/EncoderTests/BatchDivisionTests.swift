import Testing

@testable import Encoder

struct BatchDivisionTests {
  private static let configuration = DistilBERT.Configuration(
    layers: 6, hidden: 768, heads: 12, feedForward: 3072, vocabulary: 10, positions: 512, tokenTypes: 0, activation: .gelu)

  private func batch(_ lengths: [Int]) -> PackedBatch { PackedBatch(lengths.map { Array(repeating: 1, count: $0) }) }

  @Test func partsAreConsecutiveAndOfSomeRows() {
    #expect(Array(batch([]).parts(leastRows: 96)).isEmpty)
    #expect(Array(batch([500]).parts(leastRows: 96)) == [0..<1])
    #expect(Array(batch([96, 95, 1, 40, 40, 40, 3]).parts(leastRows: 96)) == [0..<1, 1..<3, 3..<6, 6..<7])
    #expect(Array(batch([10, 20, 30]).parts(leastRows: 96)) == [0..<3])
  }

  @Test(arguments: [
    [384], [384, 384, 384], Array(repeating: 128, count: 8), [384, 10], [500, 100, 100, 100, 100, 100], Array(59...200), [],
  ], [2, 3, 4, 64])
  func everySequenceIsComputedOnceAndFewThreadsWait(_ lengths: [Int], threads: Int) {
    let division = BatchDivision(batch(lengths), leastRows: 96, threads: threads, configuration: Self.configuration)
    let sequences = (division.shared + division.independent).flatMap { Array($0) }
    #expect(sequences.sorted() == Array(lengths.indices))

    // As if a row cost the same in each sequence, which is nearly so.
    var loads = [Int](repeating: 0, count: threads)
    for part in division.independent {
      loads[loads.indices.min { loads[$0] < loads[$1] } ?? 0] += lengths[part].reduce(0, +)
    }
    let idle = (loads.max() ?? 0) * threads - loads.reduce(0, +)
    #expect(Double(idle) <= 2 * BatchDivision.idleShare * Double(lengths.reduce(0, +)))
  }

  @Test func whatLeavesNobodyIdleIsIndependent() {
    func division(_ lengths: [Int], threads: Int) -> (shared: Int, independent: Int) {
      let division = BatchDivision(batch(lengths), leastRows: 96, threads: threads, configuration: Self.configuration)
      return (division.shared.count, division.independent.count)
    }
    #expect(division([384], threads: 2) == (1, 0))
    #expect(division([384, 384, 384], threads: 2) == (1, 2))
    #expect(division(Array(repeating: 128, count: 8), threads: 2) == (0, 8))
    #expect(division([100, 300, 200, 100, 100], threads: 2) == (0, 5))
    #expect(division(Array(repeating: 128, count: 8), threads: 16) == (8, 0))
  }

  /// Parts that threads compute alone, and others together, with sequences without rows among them.
  @Test(arguments: EncoderTests.shapes, [Precision.float32, .int8])
  func aDividedBatchHasTheBitsOfItsSequences(_ shape: TinyModel.Shape, _ precision: Precision) throws {
    let model = TinyModel(shape, seed: 14).model
    let lengths = Array(repeating: [24, 1, 24, 24, 24, 24, 0, 7, 24, 24, 24, 24, 3, 24, 24, 24, 24, 24, 24, 24, 24, 0, 0], count: 3).flatMap { $0 }
    let sequences = lengths.enumerated().map { index, length in (0..<length).map { Int32(($0 * 7 + index) % shape.vocabulary) } }
    let (batch, alone) = (PackedBatch(sequences), try Encoder(model, backend: CPUBackend(threads: 1, precision: precision)))
    let expected = try sequences.flatMap { try alone.forward(PackedBatch([$0])).values }
    for threads in 1...4 {
      let encoder = try Encoder(model, backend: CPUBackend(threads: threads, precision: precision))
      #expect(try encoder.forward(batch).values == expected, "on \(threads) threads")
    }
    let two = BatchDivision(batch, leastRows: 256, threads: 2, configuration: model.configuration)
    #expect(two.independent.count > 1)
  }
}
