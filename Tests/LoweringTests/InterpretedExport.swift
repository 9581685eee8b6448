import Encoder
import Foundation
import Interpreter
import Lowering
import ONNX
import Testing

extension Export {
  /// The outputs of a model's graph run node by node, for the tokens whose mask is 1, by name.
  static func interpreted(
    _ model: Model, inputIDs: [[Int32]], attentionMask: [[Int32]], tokenTypes: [[Int32]]?
  ) throws -> [String: [Float]] {
    let interface = try GraphInterface(model.graph)
    let (rows, columns) = (inputIDs.count, inputIDs.first?.count ?? 0)
    var inputs: [String: Value] = [:]
    for input in model.graph.inputs {
      let source: [[Int32]] =
        switch input.name {
        case interface.inputs.inputIDs: inputIDs
        case interface.inputs.attentionMask: attentionMask
        default: tokenTypes ?? inputIDs.map { $0.map { _ in 0 } }
        }
      inputs[input.name] = try Value(
        shape: [rows, columns], int64s: source.joined().map { Int64($0) }, as: input.elementType ?? .int64)
    }
    let results = try Interpreter(model).run(inputs, outputs: interface.outputs)
    let kept = attentionMask.joined().enumerated().filter { $0.element == 1 }.map(\.offset)
    return try results.mapValues { value in
      let elements = try value.floats()
      let width = elements.count / (rows * columns)
      return kept.flatMap { elements[$0 * width..<($0 + 1) * width] }
    }
  }

  /// The largest difference between ONNX Runtime's outputs and those of the graph run node by node, and the same as a
  /// part of the outputs' range.
  func interpretedDifference() throws -> (absolute: Float, share: Float) {
    let model = try Model(contentsOf: self.model)
    var (absolute, share, compared): (Float, Float, Int) = (0, 0, 0)
    for test in cases {
      let found = try Self.interpreted(
        model, inputIDs: test.inputIDs, attentionMask: test.attentionMask, tokenTypes: test.tokenTypes)
      for (name, values) in found {
        let expected = try #require(test.outputs[name])
        let difference = try Self.largestDifference(values, expected)
        absolute = max(absolute, difference.absolute)
        share = max(share, difference.share)
        compared += values.count
      }
    }
    try #require(compared > 0)
    return (absolute, share)
  }

  static func largestDifference(
    _ found: [Float], _ expected: [Float]
  ) throws -> (absolute: Float, share: Float) {
    try #require(found.count == expected.count && found.allSatisfy(\.isFinite))
    let absolute = zip(found, expected).reduce(0) { max($0, abs($1.0 - $1.1)) }
    let range = (expected.max() ?? 0) - (expected.min() ?? 0)
    return (absolute, absolute == 0 ? 0 : absolute / range)
  }
}

/// Exports through the interpreter, which follows ONNX's semantics, against ONNX Runtime.
@Suite("Interpreted exports against ONNX Runtime")
struct InterpretedExportTests {
  @Test("Tiny exports")
  func tiny() throws { try compare(try Export.all(in: Export.goldens)) }

  @Test("Tiny forms")
  func forms() throws { try compare(try Export.all(in: Export.goldens.appending(path: "Forms"))) }

  @Test("spanqa-mini", .enabled(if: FileManager.default.fileExists(atPath: Export.shared.path), "needs ../shared"))
  func mini() throws {
    let folder = Export.shared.appending(path: "models/spanqa-mini/onnx")
    try compare(["model", "model_quantized"].map { name in
      try Export(
        model: folder.appending(path: "\(name).onnx"), cases: Export.goldens.appending(path: "mini-\(name).json"))
    })
  }

  private static let folder = Export.folder(withForms: false) ?? Export.folder(withForms: true)

  @Test("Exports of one's own", .enabled(if: Self.folder != nil, "needs SPANQA_EXPORTS"))
  func others() throws { try compare(try Export.all(in: try #require(Self.folder))) }

  private func compare(_ exports: [Export]) throws {
    try #require(!exports.isEmpty)
    for export in exports {
      do {
        let (absolute, share) = try export.interpretedDifference()
        print("\(export.name): interpreted, largest difference \(absolute), \(share) of the range")
        #expect(isWithinBound(export, absolute, share), "\(export.name): \(absolute), \(share) of the range")
      } catch {
        Issue.record("\(export.name): \(error)")
      }
    }
    print("interpreted \(exports.count) models")
  }

  /// 1e-4 for float32; 1e-3 for quantised values, or a part of the range where float sums that differ in their last bit
  /// made one of many roundings fall the other way; of half types ONNX Runtime's own sums are rounded at other places.
  private func isWithinBound(_ export: Export, _ absolute: Float, _ share: Float) -> Bool {
    if ["fp16", "bf16", "O4"].contains(where: { export.name.contains($0) }) { return absolute <= 0.1 }
    let isQuantized = ["int8", "quantized", "qdq", "qoperator", "dynamic-"].contains { export.name.contains($0) }
    return absolute <= (isQuantized ? 1e-3 : 1e-4) || (isQuantized && share <= 0.05)
  }
}
