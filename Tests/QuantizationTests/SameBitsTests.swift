import Encoder
import Foundation
import Kernels
import Lowering
import ONNX
import Testing

private enum Repository {
  static let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  static let miniModel = tests.appending(path: "../../shared/models/spanqa-mini/onnx/model.onnx").standardizedFileURL
}

/// int8 logits of the real model over real windows: the same bits on every kernel set, for every number of threads, alone and in
/// batches of mixed lengths.
///
/// `SPANQA_ALL_WINDOWS=1` compares 64 windows in batches of 16; without it 4 of them take part, and the readable reference, which is
/// some thousand times slower than the others, runs the shortest one alone. `SPANQA_REFERENCE_WINDOWS=16` has it compute so many of the 64
/// in one batch, on two threads, instead of all of them in three ways.
@Suite(.enabled(if: FileManager.default.fileExists(atPath: Repository.miniModel.path), "needs ../shared"))
struct SameBitsTests {
  /// `Tests/SpanQATests/Goldens/logits.json`: windows of the dev set.
  private struct Golden: Decodable {
    struct Window: Decodable { var ids: [Int32] }
    var windows: [Window]
  }

  @Test func everySetEveryThreadEveryBatch() throws {
    let isWhole = ProcessInfo.processInfo.environment["SPANQA_ALL_WINDOWS"] != nil
    let file = Repository.tests.appending(path: "SpanQATests/Goldens/logits.json")
    let all = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: file)).windows.prefix(64).map(\.ids)
    // Four of very different lengths.
    let sorted = all.sorted { $0.count < $1.count }
    let windows = isWhole ? all : [sorted[40], sorted[0], sorted[20], sorted[10]]
    let model = try LoweredModel(Model(contentsOf: Repository.miniModel)).model

    func logits(_ set: KernelSet.Name, threads: Int, batch size: Int, of windows: [[Int32]]) throws -> [[UInt32]] {
      let encoder = try Encoder(
        model, backend: CPUBackend(threads: threads, kernels: KernelSet(set), precision: .int8))
      return try stride(from: 0, to: windows.count, by: size).flatMap { first in
        let batch = Array(windows[first..<min(first + size, windows.count)])
        let output = try encoder.forward(PackedBatch(batch))
        return batch.indices.map { index in
          (output.column(0, ofSequence: index) + output.column(1, ofSequence: index)).map(\.bitPattern)
        }
      }
    }

    let fastest = try #require(KernelSet.available.last)
    let expected = try logits(fastest, threads: 1, batch: 1, of: windows)
    var (passes, values) = (0, 0)
    func compare(_ set: KernelSet.Name, threads: Int, batch: Int, _ chosen: [Int]? = nil) throws {
      let chosen = chosen ?? Array(windows.indices)
      let found = try logits(set, threads: threads, batch: batch, of: chosen.map { windows[$0] })
      for (index, bits) in zip(chosen, found) {
        #expect(bits == expected[index], "\(set), \(threads) threads, in batches of \(batch): window \(index)")
        (passes, values) = (passes + 1, values + bits.count)
      }
    }
    for set in KernelSet.available where set != .reference {
      for threads in [1, 2, 4] {
        try compare(set, threads: threads, batch: 1)
        try compare(set, threads: threads, batch: 16)
      }
    }
    if isWhole, let count = ProcessInfo.processInfo.environment["SPANQA_REFERENCE_WINDOWS"].flatMap({ Int($0) }) {
      try compare(.reference, threads: 2, batch: 16, Array(windows.indices.prefix(count)))
    } else if isWhole {
      try compare(.reference, threads: 1, batch: 1)
      try compare(.reference, threads: 2, batch: 16)
      try compare(.reference, threads: 4, batch: 16)
    } else {
      try compare(.reference, threads: 2, batch: 1, windows.indices.filter { windows[$0] == sorted[0] })
    }
    let sets = KernelSet.available.map(\.rawValue).joined(separator: ", ")
    print("int8 logits of \(windows.count) windows: \(values) values the same bits in \(passes) passes on \(sets)")
    #expect(passes > 20)
  }
}
