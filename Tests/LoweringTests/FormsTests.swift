import Foundation
import Lowering
import ONNX
import Testing

/// The table of docs/model-forms.md, over the files that make_forms.py makes.
@Suite("Forms")
struct FormsTests {
  private struct Form: Decodable {
    var file, model, form, tool: String
    var opset: Int
    var quantised: Bool
    /// The largest difference between ONNX Runtime and itself.
    var floor: Float?

    /// Whether more than weights is quantised.
    var hasQuantisedInputs: Bool { quantised && !["q4", "q8", "bnb4"].contains { form.hasPrefix($0) } }

    /// Half types round the weights, which both sides read, and ONNX Runtime's sums, which ours do not.
    var floatBound: Float { form.contains("fp16") || form.hasPrefix("bfloat") ? 0.1 : 1e-4 }
  }

  private static let folder = Export.folder(withForms: true)

  @Test("Every form", .enabled(if: Self.folder != nil, "needs SPANQA_EXPORTS, a folder of make_forms.py"))
  func table() throws { try compare(try #require(Self.folder)) }

  @Test("Tiny forms")
  func tiny() throws { try compare(Export.goldens.appending(path: "Forms")) }

  private func compare(_ folder: URL) throws {
    let forms = try JSONDecoder().decode(
      [Form].self, from: Data(contentsOf: folder.appending(path: "forms.json")))
    try #require(!forms.isEmpty)
    var models: [String] = []
    for form in forms where !models.contains(form.model) { models.append(form.model) }
    var lines = [
      "| model | form | made by | operator set | runs | fused | of the range | interpreter | one node | ONNX Runtime to itself "
        + "| file to float32 | fused to float32 |",
      "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    var fused = 0
    for model in models {
      for form in forms where form.model == model {
        let line = "| \(form.model) | \(form.form) | \(form.tool) | \(form.opset) | "
        do {
          lines.append(line + (try row(form, in: folder)))
          print(lines.last ?? "")
          fused += 1
        } catch let error as LoweringError {
          lines.append(line + "interpreted: \(error) | | | \(try interpreted(form, in: folder)) | | |")
          print(lines.last ?? "")
          #expect(try hasInfiniteScale(form, in: folder), "\(form.file): \(error)")
        }
      }
    }
    print(lines.joined(separator: "\n"))
    print("\(fused) of \(forms.count) forms are fused")
    #expect(fused > 0)
  }

  /// Whether a file computes nothing but NaN: ONNX Runtime's calibration makes an infinite scale of masked scores at −∞.
  private func hasInfiniteScale(_ form: Form, in folder: URL) throws -> Bool {
    let graph = try Model(contentsOf: Export(form.file, in: folder).model).graph
    return try graph.nodes.contains { node in
      guard node.operatorType == "QuantizeLinear", let scale = graph.initializers[node.inputs[1]] else { return false }
      return try scale.floats().contains { $0.isInfinite }
    }
  }

  /// The fused executor's difference to ONNX Runtime on the file; for a quantised file, both's to the model in float32.
  private func row(_ form: Form, in folder: URL) throws -> String {
    func file(_ name: String, _ type: String) -> URL { folder.appending(path: "\(name).\(type)") }
    let export = try Export(form.file, in: folder)
    let lowered = try LoweredModel(try Model(contentsOf: export.model))
    let difference = try export.largestDifference(of: lowered, relative: false)
    let share = try export.largestDifference(of: lowered, relative: true)
    // Random models' logits are nearly equal, so that a small difference may be a large part of their range.
    // Dynamic forms quantise a tensor as a whole, the engine row by row.
    let isClose = form.hasQuantisedInputs ? share <= 0.3 || difference <= 0.3 : difference <= form.floatBound
    #expect(isClose, "\(form.file)")
    var line = "fused | " + String(format: "%.2g | %.2g | ", difference, share)
    line += try interpreted(form, in: folder) + " |"
    let plain = file("\(form.model)-plain", "json")
    if form.quantised, FileManager.default.fileExists(atPath: plain.path) {
      let float = try Export(model: export.model, cases: plain)
      let own = try float.largestDifference(of: lowered, relative: false)
      line += String(format: " %.2g | %.2g |", try export.largestDifference(to: float), own)
    } else {
      line += " | |"
    }
    return line
  }

  /// The interpreter's difference to ONNX Runtime; the same for one node at a time, as a part of the largest magnitude; and ONNX
  /// Runtime's own.
  private func interpreted(_ form: Form, in folder: URL) throws -> String {
    let (difference, share) = try Export(form.file, in: folder).interpretedDifference()
    // Sums in another order fall on the other side of a rounding, and the difference grows, in ONNX Runtime too; that each node is
    // ONNX Runtime's is what tells.
    let isClose = form.hasQuantisedInputs ? share <= 0.2 || difference <= 0.3 : difference <= (form.quantised ? 1e-3 : form.floatBound)
    #expect(isClose, "\(form.file), interpreted: \(difference)")
    var line = String(format: "%.2g | ", difference)
    let values = folder.appending(path: "\(form.file).values")
    if FileManager.default.fileExists(atPath: values.path) {
      line += String(format: "%.2g", try NodeTests.largestDifference(of: form.file, in: folder))
    }
    return line + " | " + (form.floor.map { String(format: "%.2g", $0) } ?? "")
  }
}
