import Testing

@testable import SQuAD

struct QuestionLinesTests {
  @Test func goesOnAfterABadLine() {
    let lines = QuestionLines(
      bytes: Array(
        """
        {"id": "a", "question": "Who?", "context": "One."}
        \t
        {"id": "b", "question": "Who?"
        {"id": "c", "question": "Who?"}
        not JSON
        {"id": 4, "context": "Four.", "question": "How many?", "more": {"x": [1, null]}}\r
        {"id": "e", "question": "Who?", "context": "Two."} {}
        {"id": "f", "question": "Who?", "context": "Last."}
        """.utf8), name: "in.jsonl")
    var records: [QuestionRecord] = []
    var errors: [String] = []
    while let line = lines.next() {
      switch line {
      case .success(let record): records.append(record)
      case .failure(let error): errors.append(error.description)
      }
    }
    #expect(
      records == [
        QuestionRecord(id: "a", question: "Who?", context: "One."),
        QuestionRecord(id: "4", question: "How many?", context: "Four."),
        QuestionRecord(id: "f", question: "Who?", context: "Last."),
      ])
    #expect(errors.count == 4)
    #expect(errors.first?.hasPrefix("in.jsonl: record 3, question (b): byte ") == true)
    #expect(errors.dropFirst().first?.contains("record 4, question (c)") == true)
    #expect(errors.allSatisfy { !$0.contains("\n") })
    #expect(lines.next() == nil)
  }

  @Test func passesOverALineThatIsTooLong() {
    let long = [UInt8](repeating: 0x20, count: QuestionLines.maxLineBytes + 1)
    let good = Array(#"{"id": "a", "question": "Who?", "context": "One."}"#.utf8)
    let lines = QuestionLines(bytes: long + [0x0A] + good + [0x0A], name: "in.jsonl")
    #expect((try? lines.next()?.get()) == nil)
    #expect((try? lines.next()?.get())?.id == "a")
    #expect(lines.next() == nil)
  }
}
