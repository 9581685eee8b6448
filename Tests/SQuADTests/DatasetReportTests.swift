import Testing

@testable import SQuAD

struct DatasetReportTests {
  @Test func findsWhatIsWrong() {
    var report = DatasetReport()
    var place = DatasetPlace()
    place.article = 1
    place.paragraph = 1
    func question(_ id: String, _ text: String, _ answers: [Paragraph.Answer] = []) -> Paragraph.Question {
      Paragraph.Question(id: id, text: text, answers: answers)
    }
    let words = { (text: String) in text.split(separator: " ").count }
    report.add(
      Paragraph(
        place: place, context: "e\u{301} 😀 Rome",
        questions: [
          question("a", "Where is it", [.init(text: "Rome", start: 5), .init(text: "😀", start: 3)]),
          question("b", "Where is it", [.init(text: "Rome", start: 4), .init(text: "Romeo", start: 5)]),
          // The same to a reader's eye, other scalars.
          question("c", "What", [.init(text: "\u{E9}", start: 0), .init(text: "e\u{301}", start: 0)]),
          question("a", "Who", [.init(text: "Rome"), .init(text: "Rome", start: -1), .init(text: "", start: .max)]),
        ]), tokenCount: words)
    place.article = 2
    report.add(
      Paragraph(place: place, context: "e\u{301} 😀 Rome", questions: [question("d", "Where is it")]), tokenCount: words)
    #expect(report.articles == 2)
    #expect(report.paragraphs == 2)
    #expect(report.questions == 5)
    #expect(report.answers == 9)
    #expect(report.unanswered == 1)
    #expect(report.misplacedAnswers == 6)
    #expect(report.misplacedExamples.first?.found == " Rom")
    #expect(report.misplacedExamples.first?.place.description == "article 1, paragraph 1, question 2 (b)")
    #expect(report.misplacedExamples[1].found == nil)
    #expect(report.duplicateIDs == 1)
    #expect(report.duplicateIDExamples.first?.question == 4)
    #expect(report.duplicateQuestions == 2)
    #expect(report.duplicatePassages == 1)
    #expect(report.questionTokens.bins == [.init(lengths: 1...1, count: 2), .init(lengths: 2...3, count: 3)])
    #expect(report.passageTokens.mean == 3)
    #expect(report.inputTokens.most == 9)
    #expect(report.inputTokens.least == 7)
  }

  @Test(.enabled(if: Repository.hasShared, "needs ../shared"))
  func theDevelopmentSetIsRight() throws {
    let reader = try DatasetReader(path: Repository.shared.appendingPathComponent("data/squad/dev-v2.0.json").path)
    var report = DatasetReport()
    while let paragraph = try reader.next() { report.add(paragraph, tokenCount: \.utf8.count) }
    #expect(report.questions == 11_873)
    #expect(report.unanswered == 5_945)
    #expect(report.misplacedAnswers == 0)
    #expect(report.duplicateIDs == 0)
  }
}
