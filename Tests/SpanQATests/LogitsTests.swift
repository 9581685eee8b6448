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

  /// The same file in int8. ONNX Runtime quantises activations by the tensor, we by the row, so the two are different roundings of the
  /// same weights: each is held against the float32 model, which ours must be nearer to.
  @Test func quantized() throws {
    let (golden, float32, runtime) = try LogitsGolden.read()
    let encoder = try Shared.int8.get().encoder
    func error(_ found: [Float], _ exact: [Float]) -> Float {
      let range = (exact.max() ?? 0) - (exact.min() ?? 0)
      return zip(found, exact).reduce(0) { max($0, abs($1.0 - $1.1)) } / range
    }
    var (ours, theirs, apart, same) = ([Float](), [Float](), [Float](), 0)
    for (index, window) in golden.windows.enumerated() {
      let output = try encoder.forward(PackedBatch([window.ids]))
      let (start, end) = (output.column(0, ofSequence: 0), output.column(1, ofSequence: 0))
      if index < golden.float32Windows {
        ours.append(error(start + end, float32[index]))
        theirs.append(error(runtime[index], float32[index]))
        apart.append(error(start + end, runtime[index]))
      }
      if bestSpan(window.ids, start, end) == window.span { same += 1 }
    }
    let (worst, worstRuntime) = (ours.max() ?? 1, theirs.max() ?? 0)
    print(
      """
      logits, int8, of the logits' range: ours to float32 \(worst), ONNX Runtime's to float32 \(worstRuntime), \
      between the two \(apart.max() ?? 0); \(same) of \(golden.windows.count) best spans as ONNX Runtime's int8
      """)
    #expect(ours.count == golden.float32Windows && worst > 0)
    #expect(worst <= 0.07 && worst < worstRuntime)
    #expect(Double(same) >= 0.88 * Double(golden.windows.count))
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
