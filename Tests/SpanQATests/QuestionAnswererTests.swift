import Foundation
import SpanQADefaultModel
import Testing

@testable import SpanQA

/// The door, with the embedded model: needs nothing but the package.
struct QuestionAnswererTests {
  static let passage = """
    The Amazon basin encompasses 7,000,000 square kilometres, of which 5,500,000 are covered by the rainforest. The majority \
    of the forest is contained within Brazil, with 60% of the rainforest, followed by Peru with 13%.
    """

  @Test func answers() throws {
    let answerer = try QuestionAnswerer.default
    #expect(try answerer.answer("Which country contains most of the rainforest?", in: Self.passage).text == "Brazil")
    let answer = try answerer.answer("How much of it is in Peru?", in: Self.passage, options: Options(topK: 4))
    #expect(answer.text == "13%" && Self.passage[answer.range] == "13%")
    #expect(answer.spans.count == 4 && answer.alternatives.count == 3)
    #expect(zip(answer.spans, answer.spans.dropFirst()).allSatisfy { $0.score >= $1.score })
    #expect((0...1).contains(answer.noAnswerScore))
  }

  /// Ranges cut the caller's own string, and scalar offsets the same text, whatever stands before it.
  @Test(arguments: ["", "🎉👩‍👩‍👧 ", "e\u{301}\u{302} ", "עִבְרִית ", "\r\n\t", "日本語 ", "\u{fffd}\u{200b} ", "ﬁ ½ Ǆ "])
  func offsets(_ before: String) throws {
    let passage = before + "Zoë Müller opened the café in 1924." + before
    let answer = try QuestionAnswerer.default.answer("When did the café open?", in: passage)
    #expect(answer.text == "1924" && passage[answer.range] == "1924")
    let scalars = Array(passage.unicodeScalars)[answer.scalarRange]
    #expect(String(String.UnicodeScalarView(scalars)) == "1924")
  }

  /// Passages that Unicode holds for the same are two: each answer's places are those of its own.
  @Test func equivalentPassagesAreApart() async throws {
    let composed = "Caf\u{E9} Zo\u{EB} stands in M\u{FC}nchen, and Andr\u{E9}s owns it."
    let decomposed = composed.decomposedStringWithCanonicalMapping
    #expect(composed == decomposed && composed.utf8.count != decomposed.utf8.count)
    let requests = [composed, decomposed, composed].map { Request(question: "Who owns it?", passage: $0) }
    let answers = try await QuestionAnswerer.default.answer(requests)
    #expect(answers.map { Array($0.text.utf8) } == ["Andr\u{E9}s", "Andre\u{301}s", "Andr\u{E9}s"].map { Array($0.utf8) })
    for (request, answer) in zip(requests, answers) {
      #expect(Array(request.passage[answer.range].utf8) == Array(answer.text.utf8))
      let scalars = Array(request.passage.unicodeScalars)[answer.scalarRange]
      #expect(Array(String(String.UnicodeScalarView(scalars)).utf8) == Array(answer.text.utf8))
    }
  }

  @Test func aNeedleInALongPassage() throws {
    let hay = String(repeating: "The committee met again and talked about the weather for hours. ", count: 200)
    let passage = hay + "The secret word is marmalade. " + hay
    let answer = try QuestionAnswerer.default.answer("What is the secret word?", in: passage)
    #expect(answer.text == "marmalade" && passage[answer.range] == "marmalade")
  }

  @Test func manyAtOnceAnswerAsOneByOne() async throws {
    let answerer = try QuestionAnswerer.default
    let long = String(repeating: Self.passage + " ", count: 30)
    let requests = ["Which country contains most of it?", "How much is in Peru?", "How large is the basin?"].flatMap {
      [Request(question: $0, passage: Self.passage), Request(question: $0, passage: long)]
    }
    let alone = try requests.map { try answerer.answer($0.question, in: $0.passage) }
    let together = try await answerer.answer(requests)
    #expect(together == alone)

    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for (request, expected) in zip(requests, alone) {
            let answer = try answerer.answer(request.question, in: request.passage)
            #expect(answer == expected)
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func aStreamGoesOnAfterABadRequest() async throws {
    let answerer = try QuestionAnswerer.default
    let requests = AsyncStream<Request> { stream in
      stream.yield(Request(question: "How much is in Peru?", passage: Self.passage))
      stream.yield(Request(question: "", passage: Self.passage))
      stream.yield(Request(question: "Who?", passage: " \n"))
      stream.yield(Request(question: "Which country contains most of it?", passage: Self.passage))
      stream.finish()
    }
    var texts: [String?] = []
    for try await result in answerer.answers(to: requests) { texts.append(try? result.get().text) }
    #expect(texts == ["13%", nil, nil, "Brazil"])
  }

  @Test func whatCannotBeAnsweredIsAnError() throws {
    let answerer = try QuestionAnswerer.default
    for (question, passage, options) in [
      ("", Self.passage, Options()), (" \u{200b}", Self.passage, Options()), ("Who?", "", Options()),
      ("Who?", " \n ", Options()), ("Who are you and where?", Self.passage, Options(maxSequenceLength: 6)),
      ("Who?", Self.passage, Options(maxSequenceLength: 513)), ("Who?", Self.passage, Options(topK: 0)),
      ("Who?", Self.passage, Options(maxAnswerLength: 0)), ("Who?", Self.passage, Options(docStride: -1)),
    ] {
      let error = #expect(throws: AnswerError.self) {
        try answerer.answer(question, in: passage, options: options)
      }
      #expect(error.map { !$0.description.isEmpty && !$0.description.contains("\n") } == true)
    }
  }

  @Test func anImpossibleQuestionMayHaveNoAnswer() throws {
    let options = Options(topK: 50, handleImpossibleAnswer: true)
    let answer = try QuestionAnswerer.default.answer("Who?", in: "Nobody came.", options: options)
    let none = try #require(answer.spans.first { $0.text.isEmpty })
    #expect(none.range.isEmpty && none.scalarRange == 0..<0)
    #expect(abs(none.score - answer.noAnswerScore) < 1e-12)
  }

  @Test func modelFilesAreFoundOrMissedByName() throws {
    let folder = URL(filePath: NSTemporaryDirectory()).appending(path: "model-files-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = FileManager.default
    try files.createDirectory(at: folder.appending(path: "onnx"), withIntermediateDirectories: true)
    #expect(throws: ModelFilesError.notFound(folder.path + "/x")) { try ModelFiles(at: folder.appending(path: "x")) }
    #expect(throws: ModelFilesError.noONNXFile(folder: folder.path)) { try ModelFiles(at: folder) }
    try Data().write(to: folder.appending(path: "onnx/b.onnx"))
    #expect(try ModelFiles(at: folder).onnx.lastPathComponent == "b.onnx")
    try Data().write(to: folder.appending(path: "onnx/a.onnx"))
    #expect(throws: ModelFilesError.severalONNXFiles(folder: folder.path, names: ["a.onnx", "b.onnx"])) {
      try ModelFiles(at: folder)
    }
    try Data().write(to: folder.appending(path: "onnx/model.onnx"))
    let found = try ModelFiles(at: folder)
    #expect(found.onnx.lastPathComponent == "model.onnx" && found.tokenizerFolder == nil)
    try Data("[UNK]\n".utf8).write(to: folder.appending(path: "vocab.txt"))
    #expect(try ModelFiles(at: folder).tokenizerFolder?.lastPathComponent == folder.lastPathComponent)
  }
}
