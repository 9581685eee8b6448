import Testing

@testable import SQuAD

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct DatasetReaderTests {
  @Test func readsSQuADWhateverTheOrderOfMembers() throws {
    let reader = DatasetReader(
      bytes: Array(
        #"""
        {"data": [
          {"paragraphs": [
            {"qas": [{"answers": [{"text": "x", "answer_start": 3}], "id": "q1", "question": "Who?"},
                     {"question": "Why?", "id": 2, "is_impossible": true, "answers": [],
                      "plausible_answers": [{"text": "no", "answer_start": 0}]}], "context": "né \ud83d\ude00 \ud800"},
            {"context": "", "qas": []}], "title": "T"},
          {"title": "empty", "paragraphs": []},
          {"title": "U", "paragraphs": [{"context": "c", "document_id": 7, "qas": []}]}
        ], "version": "v2.0"}
        """#.utf8), name: "data.json")
    let first = try #require(try reader.next())
    #expect(first.context == "né 😀 \u{FFFD}")
    #expect(
      first.questions == [
        Paragraph.Question(id: "q1", text: "Who?", answers: [Paragraph.Answer(text: "x", start: 3)]),
        Paragraph.Question(id: "2", text: "Why?", isImpossible: true),
      ])
    #expect(try reader.next()?.place.paragraph == 2)
    let last = try reader.next()
    #expect(last?.place.description == "article 3 (U), paragraph 1")
    #expect(try reader.next() == nil)
    #expect(reader.version == "v2.0")
    #expect(reader.format == .squad)
    #expect(reader.articleCount == 3)
  }

  @Test func readsLines() throws {
    let reader = DatasetReader(
      bytes: Array(
        """
        {"id": "a", "question": "Who?", "context": "One."}

        {"context": "Two.", "answers": [{"text": "Two", "answer_start": 0}], "id": "b", "question": "?", "more": [{}]}
        """.utf8), name: "data.jsonl")
    #expect(try reader.next()?.questions.first?.id == "a")
    let second = try #require(try reader.next())
    #expect(second.context == "Two.")
    #expect(second.questions.first?.answers == [Paragraph.Answer(text: "Two", start: 0)])
    #expect(second.place.record == 2)
    #expect(try reader.next() == nil)
    #expect(reader.format == .lines)
  }

  @Test(arguments: [
    ("", "empty"),
    ("  \n", "empty"),
    ("[]", "an object"),
    (#"{"data": {}}"#, "an array"),
    (#"{"data": [{"title": "T", "paragraphs": [{"qas": []}]}]}"#, "article 1 (T), paragraph 1: byte"),
    (#"{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "q", "answers": []}]}]}]}"#, "question 1 (q)"),
    (#"{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": "q", "question": 5}]}]}]}"#, "a string is expected"),
    (#"{"data": [{"paragraphs": [{"context": "c", "qas": [{"answers": [{"text": "", "answer_start": 1.5}]}]}]}]}"#,
      "1.5 is not an integer"),
    (#"{"data": [{"paragraphs": [{"qas": [{"answers": [{"text": "", "answer_start": 99999999999999999999}]}]}]}]}"#,
      "not an integer"),
    (#"{"data": []} {"data": []}"#, "more after"),
    (#"{"data": [], "data": []}"#, "second"),
    (#"{"data": [{"paragraphs": [{"context": "c"#, "no end"),
    (#"{"id": "a", "question": "b"}"#, "“context” is missing"),
    (#"{"id": "a\nb", "question": "b"}"#, "question (a b)"),
    (#"{"id": "\x"}"#, "unknown escape"),
    (#"{"id": "\u12"}"#, "hexadecimal"),
    (#"{"more": tru}"#, "true, false or null"),
    (#"{"more": 1 "a": 2}"#, "comma"),
    (#"{"more"}"#, "colon"),
    (#"{"context": "c","#, "a string is expected"),
  ])
  func errorsSayWhere(text: String, reason: String) {
    let reader = DatasetReader(bytes: Array(text.utf8), name: "data.json")
    do {
      while try reader.next() != nil {}
      Issue.record("“\(text)” was read")
    } catch {
      #expect(error.description.contains(reason), "\(error)")
      #expect(error.description.hasPrefix("data.json: "))
      #expect(!error.description.contains("\n"))
    }
    #expect((try? reader.next()) == .some(nil))
  }

  @Test func hostileBytesAreErrors() throws {
    let deep = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
    #expect(throws: DatasetError.self) {
      try DatasetReader(bytes: Array(#"{"more": "#.utf8) + deep, name: "deep").next()
    }
    #expect(throws: DatasetError.self) {
      try DatasetReader(bytes: Array(#"{"context": ""#.utf8) + [0xFF, 0x22, 0x7D], name: "latin").next()
    }
    #expect(throws: DatasetError.self) { try DatasetReader(path: "/nonexistent/data.json") }
    let whole = Array(
      #"{"data":[{"title":"T","paragraphs":[{"context":"c","qas":[{"id":"q","question":"?","answers":"#.utf8)
      + Array(#"[{"text":"c","answer_start":0}]}]}]}]}"#.utf8)
    // Cut anywhere, and with any byte changed, it is read or refused.
    var generator = SeededGenerator(state: 1)
    var refused = 0
    for round in 0..<4000 {
      var bytes = round < whole.count ? Array(whole[..<round]) : whole
      if round >= whole.count, let place = bytes.indices.randomElement(using: &generator) {
        bytes[place] = UInt8.random(in: 0...255, using: &generator)
      }
      let reader = DatasetReader(bytes: bytes, name: "data.json")
      do {
        while try reader.next() != nil {}
      } catch {
        refused += 1
      }
    }
    #expect(refused > whole.count)
  }

  @Test(.enabled(if: Repository.hasShared, "needs ../shared"))
  func readsTheDevelopmentSet() throws {
    let reader = try DatasetReader(path: Repository.shared.appendingPathComponent("data/squad/dev-v1.1.json").path)
    var questions = 0
    var answers = 0
    while let paragraph = try reader.next() {
      questions += paragraph.questions.count
      answers += paragraph.questions.reduce(0) { $0 + $1.answers.count }
    }
    #expect(reader.articleCount == 48)
    #expect(questions == 10_570)
    #expect(answers == 34_726)
  }
}
