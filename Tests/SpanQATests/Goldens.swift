import Foundation

@testable import SpanQA

/// The folder beside the checkout with the real models and data, and the goldens made from them.
enum Shared {
  static let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  static let folder = package.deletingLastPathComponent().appending(path: "shared")
  static let isThere = FileManager.default.fileExists(atPath: folder.path)
  static let goldens = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens")
  /// Whether tests that take a sample take all there is, which is minutes of work.
  static let testsWholeSets = ProcessInfo.processInfo.environment["SPANQA_TEST_WHOLE_SETS"] == "1"
  static let mini = folder.appending(path: "models/spanqa-mini")

  /// The float32 mini model, loaded once.
  static let float32 = Result { try QuestionAnswerer(modelFolder: mini.appending(path: "onnx/model.onnx")) }
  /// Its dynamically quantised form.
  static let int8 = Result { try QuestionAnswerer(modelFolder: mini.appending(path: "onnx/model_quantized.onnx")) }

  static let dev = Result {
    try JSONDecoder().decode(
      Articles.self, from: Data(contentsOf: folder.appending(path: "data/squad/dev-v1.1.json")))
  }

  struct Articles: Decodable {
    var data: [Article]
    struct Article: Decodable { var paragraphs: [Paragraph] }
    struct Paragraph: Decodable {
      var context: String
      var qas: [Question]
    }
    struct Question: Decodable { var id, question: String }
  }
}

/// `Goldens/pipeline.json`: see `make_pipeline.py`.
struct PipelineGolden: Decodable {
  var one, several: [Case]

  struct Case: Decodable {
    var id: String
    var article: Int
    /// How many of the article's paragraphs make the passage; `nil`: the question's own paragraph does.
    var paragraphs: Int?
    var words, tokens: [Span]

    func request(in articles: Shared.Articles) throws -> Request {
      let all = articles.data[article].paragraphs
      guard let own = all.first(where: { $0.qas.contains { $0.id == id } }),
        let question = own.qas.first(where: { $0.id == id })
      else { throw CocoaError(.coderValueNotFound) }
      let passage = paragraphs.map { all.prefix($0).map(\.context).joined(separator: "\n\n") } ?? own.context
      return Request(question: question.question, passage: passage)
    }
  }

  struct Span: Decodable, Equatable {
    var text: String
    var start, end: Int
    var score: Double

    init(_ span: Answer.Span) {
      text = span.text
      start = span.scalarRange.lowerBound
      end = span.scalarRange.upperBound
      score = span.score
    }

    init(from decoder: any Decoder) throws {
      var values = try decoder.unkeyedContainer()
      text = try values.decode(String.self)
      start = try values.decode(Int.self)
      end = try values.decode(Int.self)
      score = try values.decode(Double.self)
    }

    func agrees(with other: Span) -> Bool {
      text == other.text && start == other.start && end == other.end && abs(score - other.score) <= 1e-4
    }
  }

  static func read() throws -> PipelineGolden {
    try JSONDecoder().decode(Self.self, from: Data(contentsOf: Shared.goldens.appending(path: "pipeline.json")))
  }
}

/// `Goldens/logits.json` and `logits.f32`: see `make_logits.py`.
struct LogitsGolden: Decodable {
  var float32Windows: Int
  var windows: [Window]

  struct Window: Decodable {
    var id: String
    var ids: [Int32]
    var span: [Int]
  }

  static func read() throws -> (golden: LogitsGolden, float32: [[Float]], int8: [[Float]]) {
    let golden = try JSONDecoder().decode(
      Self.self, from: Data(contentsOf: Shared.goldens.appending(path: "logits.json")))
    let bytes = try Data(contentsOf: Shared.goldens.appending(path: "logits.f32"))
    var rest = bytes.withUnsafeBytes { raw in
      (0..<raw.count / 4).map { Float(bitPattern: raw.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)) }
    }[...]
    func next() -> [[Float]] {
      golden.windows.prefix(golden.float32Windows).map { window in
        defer { rest = rest.dropFirst(2 * window.ids.count) }
        return Array(rest.prefix(2 * window.ids.count))
      }
    }
    return (golden, next(), next())
  }
}
