import Encoder
import Foundation
import Lowering
import ONNX
import Testing

@Suite("Lowered exports against ONNX Runtime")
struct ExportTests {
  /// Bounds on logits. Float models compute the same function. Of quantised ones only the weights are compared: the
  /// file's activations are quantised with one scale a tensor, ours are not, which moved logits by up to 7 % of their
  /// range.
  private static func bound(_ name: String) -> (difference: Float, relative: Bool) {
    if name.contains("int8") || name.contains("quantized") || name.contains("q4") { return (0.1, true) }
    if name.contains("fp16") || name.contains("bf16") { return (0.02, true) }
    return (1e-4, false)
  }

  @Test("spanqa-mini", .enabled(if: FileManager.default.fileExists(atPath: Export.shared.path), "needs ../shared"))
  func mini() throws {
    let folder = Export.shared.appending(path: "models/spanqa-mini/onnx")
    try compare(["model", "model_quantized"].map { name in
      try Export(
        model: folder.appending(path: "\(name).onnx"), cases: Export.goldens.appending(path: "mini-\(name).json"))
    })
  }

  @Test("Tiny exports")
  func tiny() throws { try compare(try Export.all(in: Export.goldens)) }

  @Test(
    "Start and end logits side by side, or stacked, in one output are the head's logits; the other way round they are refused",
    arguments: [-1, 0])
  func joinedLogits(axis: Int64) throws {
    var model = try Model(contentsOf: Export.goldens.appending(path: "legacy13-eager.onnx"))
    let apart = try LoweredModel(model)
    model.graph.initializers["last"] = try Tensor(name: "last", shape: [1], elements: [axis])
    for name in ["start", "end"] {
      model.graph.nodes.append(
        Node(operatorType: "Unsqueeze", inputs: ["\(name)_logits", "last"], outputs: [name]))
    }
    model.graph.outputs = [ValueInfo(name: "logits", elementType: .float, shape: nil)]
    for order in [["start", "end"], ["end", "start"]] {
      var joined = model
      joined.graph.nodes.append(
        Node(operatorType: "Concat", inputs: order, outputs: ["logits"], attributes: ["axis": .int(axis)]))
      if order[0] == "start" {
        let lowered = try LoweredModel(joined)
        #expect(lowered.outputs == .logits(name: "logits", width: 2))
        let batch = try PackedBatch(inputIDs: [[3, 1, 4, 1, 5]], attentionMask: [[1, 1, 1, 1, 1]])
        let values = try Encoder(lowered.model).forward(batch).values
        #expect(try Encoder(apart.model).forward(batch).values == values)
      } else {
        #expect(throws: LoweringError.self) { try LoweredModel(joined) }
      }
    }
  }

  private static let folder = Export.folder(withForms: false)

  @Test("Exports of one's own", .enabled(if: Self.folder != nil, "needs SPANQA_EXPORTS, a folder of make_exports.py"))
  func others() throws { try compare(try Export.all(in: try #require(Self.folder))) }

  private func compare(_ exports: [Export]) throws {
    try #require(!exports.isEmpty)
    for export in exports {
      let (bound, relative) = Self.bound(export.name)
      do {
        let difference = try export.largestDifference(relative: relative)
        let unit = relative ? " of the range" : ""
        print("\(export.name): largest difference \(difference)\(unit), \(export.cases.count) cases")
        #expect(difference <= bound, "\(export.name)")
      } catch {
        Issue.record("\(export.name): \(error)")
      }
    }
    print("compared \(exports.count) models")
  }
}
