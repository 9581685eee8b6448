import Foundation
import Testing

@Suite("Lowered exports against ONNX Runtime")
struct ExportTests {
  @Test("spanqa-mini", .enabled(if: FileManager.default.fileExists(atPath: Export.shared.path), "needs ../shared"))
  func mini() throws {
    let folder = Export.shared.appending(path: "models/spanqa-mini/onnx")
    for (name, bound, relative) in [("model", Float(1e-4), false), ("model_quantized", Float(0.05), true)] {
      let export = try Export(
        model: folder.appending(path: "\(name).onnx"), cases: Export.goldens.appending(path: "mini-\(name).json"))
      let difference = try export.largestDifference(relative: relative)
      print("spanqa-mini \(name): largest difference \(difference), \(export.cases.count) cases")
      #expect(difference <= bound)
    }
  }
}
