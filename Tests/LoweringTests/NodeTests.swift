import Foundation
import Interpreter
import ONNX
import Testing

/// The interpreter node by node, each on the values that ONNX Runtime had there (runtime_values.py): what differs is one
/// node's own arithmetic, and nothing that grew on the way.
@Suite("Nodes against ONNX Runtime")
struct NodeTests {
  @Test("Every node of a quantised graph", arguments: ["bert-dynamic-int8", "distilbert-qdq-channel"])
  func tiny(name: String) throws {
    let largest = try Self.largestDifference(of: name, in: Export.goldens.appending(path: "Forms"))
    print("\(name): nodes differ by up to \(largest) of the largest magnitude")
  }

  /// The largest difference of a node's floats, as a part of their largest magnitude; integers must be equal, but for one in a
  /// thousand that is half a step from two.
  static func largestDifference(of name: String, in folder: URL) throws -> Double {
    func file(_ type: String) -> URL { folder.appending(path: "\(name).\(type)") }
    let values = try Model(contentsOf: file("values")).graph.initializers
    let model = try Model(contentsOf: file("onnx"))
    let checks = try Interpreter(model).checkNodes(on: values.mapValues { try Value($0) })
    try #require(checks.count > 10)
    // Float16 sums are rounded to a thousandth, at other places; so are those of bfloat16.
    let isHalf = values.values.contains { $0.elementType == .float16 || $0.elementType == .bfloat16 }
    for check in checks {
      let isEqual = check.isFloatingPoint ? check.relative <= (isHalf ? 4e-3 : 1e-5) : check.absolute <= 1 && check.differing * 1000 <= check.count
      #expect(isEqual, "\(name): \(check)")
    }
    return checks.map { $0.isFloatingPoint ? $0.relative : 0 }.max() ?? 0
  }
}
