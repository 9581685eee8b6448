import Encoder
import Foundation
import Lowering
import ONNX
import Testing

/// A model file and the outputs that ONNX Runtime gives for it.
struct Export {
  let name: String
  let model: URL
  let cases: [Case]

  struct Case: Decodable {
    let inputIDs: [[Int32]]
    let attentionMask: [[Int32]]
    let tokenTypes: [[Int32]]?
    /// Output values of the tokens whose mask is 1, by the output's name.
    let outputs: [String: [Float]]

    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: Key.self)
      var outputs: [String: [Float]] = [:]
      for key in container.allKeys where !["input_ids", "attention_mask", "token_type_ids"].contains(key.stringValue) {
        outputs[key.stringValue] = try container.decode([Float].self, forKey: key)
      }
      self.outputs = outputs
      inputIDs = try container.decode([[Int32]].self, forKey: Key("input_ids"))
      attentionMask = try container.decode([[Int32]].self, forKey: Key("attention_mask"))
      tokenTypes = try container.decodeIfPresent([[Int32]].self, forKey: Key("token_type_ids"))
    }

    private struct Key: CodingKey {
      let stringValue: String
      var intValue: Int? { nil }
      init(_ name: String) { stringValue = name }
      init?(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }
  }

  init(model: URL, cases: URL) throws {
    name = model.deletingPathExtension().lastPathComponent
    self.model = model
    self.cases = try JSONDecoder().decode([Case].self, from: Data(contentsOf: cases))
  }

  init(_ name: String, in folder: URL) throws {
    func file(_ type: String) -> URL { folder.appending(path: "\(name).\(type)") }
    try self.init(model: file("onnx"), cases: file("json"))
  }

  /// All models of a folder that have expected outputs beside them.
  static func all(in folder: URL) throws -> [Export] {
    try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
      .filter { $0.pathExtension == "onnx" }
      .sorted { $0.path < $1.path }
      .map { try Export(model: $0, cases: $0.deletingPathExtension().appendingPathExtension("json")) }
  }

  /// The folder that SPANQA_EXPORTS names, if it holds forms (of make_forms.py), or other exports.
  static func folder(withForms: Bool) -> URL? {
    guard let path = ProcessInfo.processInfo.environment["SPANQA_EXPORTS"] else { return nil }
    let folder = URL(filePath: path)
    let hasForms = FileManager.default.fileExists(atPath: folder.appending(path: "forms.json").path)
    return hasForms == withForms ? folder : nil
  }

  static let goldens = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens")
  static let shared = goldens.appending(path: "../../../../shared").standardized

  /// The largest difference between ONNX Runtime's outputs and ours, as a part of the outputs' range where `relative`.
  func largestDifference(relative: Bool = false) throws -> Float {
    try largestDifference(of: try LoweredModel(try Model(contentsOf: model)), relative: relative)
  }

  /// The largest difference between the outputs expected here and there.
  func largestDifference(to other: Export) throws -> Float {
    try #require(cases.count == other.cases.count)
    var largest: Float = 0
    for (ours, theirs) in zip(cases, other.cases) {
      for (name, values) in ours.outputs {
        let others = try #require(theirs.outputs[name])
        try #require(values.count == others.count)
        largest = zip(values, others).reduce(largest) { max($0, abs($1.0 - $1.1)) }
      }
    }
    return largest
  }

  func largestDifference(of lowered: LoweredModel, relative: Bool) throws -> Float {
    let encoder = try Encoder(lowered.model)
    var largest: Float = 0
    var compared = 0
    for test in cases {
      let batch = try PackedBatch(
        inputIDs: test.inputIDs, attentionMask: test.attentionMask,
        tokenTypeIDs: lowered.inputs.tokenTypes == nil ? nil : test.tokenTypes)
      let result = try encoder.forward(batch)
      let pairs: [(found: [Float], expected: [Float])]
      switch lowered.outputs {
      case .spans(let start, let end):
        let columns = (0..<2).map { column in
          stride(from: column, to: result.values.count, by: 2).map { result.values[$0] }
        }
        pairs = [(columns[0], try #require(test.outputs[start])), (columns[1], try #require(test.outputs[end]))]
      case .logits(let name, _), .hiddenState(let name, _):
        pairs = [(result.values, try #require(test.outputs[name]))]
      }
      for (found, expected) in pairs {
        try #require(found.count == expected.count)
        let range = relative ? (expected.max() ?? 0) - (expected.min() ?? 0) : 1
        for (found, expected) in zip(found, expected) {
          largest = max(largest, abs(found - expected) / range)
          compared += 1
        }
      }
    }
    try #require(compared > 0)
    return largest
  }
}
