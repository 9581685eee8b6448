import Encoder
import Testing

@testable import SpanQA

/// Logits of the real model against ONNX Runtime's.
@Suite(.enabled(if: Shared.isThere, "needs ../shared"))
struct LogitsTests {
  @Test func float32() throws {
    let (golden, expected, _) = try LogitsGolden.read()
    let encoder = try Shared.float32.get().encoder
    // Padded, as the reference was.
    var (worst, compared) = (Float(0), 0)
    for first in stride(from: 0, to: golden.float32Windows, by: 8) {
      let rows = golden.windows[first..<min(first + 8, golden.float32Windows)].map(\.ids)
      let width = rows.map(\.count).max() ?? 0
      let output = try encoder.forward(
        PackedBatch(
          inputIDs: rows.map { $0 + Array(repeating: 0, count: width - $0.count) },
          attentionMask: rows.map { $0.map { _ in 1 } + Array(repeating: 0, count: width - $0.count) }))
      for row in rows.indices {
        let found = output.column(0, ofSequence: row) + output.column(1, ofSequence: row)
        #expect(found.count == expected[first + row].count)
        worst = zip(found, expected[first + row]).reduce(worst) { max($0, abs($1.0 - $1.1)) }
        compared += found.count
      }
    }
    print("logits, float32: \(compared) values, largest difference \(worst)")
    #expect(compared > 0 && worst <= 1e-4)
  }

  @Test func quantized() throws {
    let (golden, _, expected) = try LogitsGolden.read()
    let encoder = try Shared.int8.get().encoder
    var (worst, same) = (Float(0), 0)
    for (index, window) in golden.windows.enumerated() {
      let output = try encoder.forward(PackedBatch([window.ids]))
      let (start, end) = (output.column(0, ofSequence: 0), output.column(1, ofSequence: 0))
      if index < expected.count {
        let values = expected[index]
        let range = (values.max() ?? 0) - (values.min() ?? 0)
        worst = zip(start + end, values).reduce(worst) { max($0, abs($1.0 - $1.1) / range) }
      }
      if bestSpan(window.ids, start, end) == window.span { same += 1 }
    }
    print(
      "logits, int8: largest difference \(worst) of the range; \(same) of \(golden.windows.count) best spans the same")
    #expect(worst > 0 && worst <= 0.05)
    #expect(Double(same) >= 0.95 * Double(golden.windows.count))
  }

  /// As `make_logits.py` finds it.
  private func bestSpan(_ ids: [Int32], _ start: [Float], _ end: [Float]) -> [Int] {
    let first = (ids.firstIndex(of: 102) ?? 0) + 1
    var best = (score: -Double.infinity, span: [0, 0])
    for i in first..<ids.count - 1 {
      for j in i..<min(i + 15, ids.count - 1) where Double(start[i]) + Double(end[j]) > best.score {
        best = (Double(start[i]) + Double(end[j]), [i, j])
      }
    }
    return best.span
  }
}
