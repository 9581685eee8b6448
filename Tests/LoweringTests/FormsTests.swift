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
    print("| model | form | made by | operator set | runs | largest difference | of the outputs' range |")
    print("|---|---|---|---|---|---|---|")
    var compared = 0
    for form in forms {
      let model = folder.appending(path: "\(form.file).onnx")
      let row = "| \(form.model) | \(form.form) | \(form.tool) | \(form.opset) |"
      do {
        let export = try Export(model: model, cases: folder.appending(path: "\(form.file).json"))
        let lowered = try LoweredModel(try Model(contentsOf: model))
        let (difference, share) = (
          try export.largestDifference(of: lowered, relative: false),
          try export.largestDifference(of: lowered, relative: true)
        )
        print(row, "fused |", String(format: "%.2g | %.2g |", difference, share))
        #expect(difference <= bound(form.form) || (form.quantised && share <= 0.25), "\(form.file)")
        compared += 1
      } catch let error as LoweringError {
        print(row, "interpreted: \(error) | | |")
        #expect(form.form.hasSuffix("-all"), "\(form.file): \(error)")
      }
    }
    print("compared \(compared) of \(forms.count) forms")
    #expect(compared > 0)
  }

  /// Half types round the weights, which both sides read, and ONNX Runtime's sums, which ours do not.
  private func bound(_ form: String) -> Float { form.contains("fp16") || form.hasSuffix("O4") ? 0.1 : 1e-4 }
}
