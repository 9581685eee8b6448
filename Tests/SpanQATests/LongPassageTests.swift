import Foundation
import RandomModels
import SpanQADefaultModel
import Testing

@testable import SpanQA

/// A sentence put at random places into scientific papers that were joined to one passage.
@Suite(.enabled(if: Shared.isThere, "needs ../shared"))
struct LongPassageTests {
  private struct Papers: Decodable {
    var data: [Article]
    struct Article: Decodable { var paragraphs: [Paragraph] }
    struct Paragraph: Decodable { var context: String }
  }

  /// 1 MB of papers. The whole takes minutes and is run on request; the first part of it in every test.
  @Test func aNeedleIsFound() throws {
    let papers = try JSONDecoder().decode(
      Papers.self, from: Data(contentsOf: Shared.folder.appending(path: "data/covid-qa/train.json")))
    var hay = papers.data.flatMap { $0.paragraphs.map(\.context) }.joined(separator: "\n\n")
    let (size, places) = Shared.testsWholeSets ? (1_000_000, 50) : (30_000, 4)
    #expect(hay.utf8.count > size)
    hay = String(hay.prefix(size))
    let answerer = try QuestionAnswerer.default
    var generator = SeededGenerator(seed: 3)
    let gaps = hay.unicodeScalars.indices.filter { hay.unicodeScalars[$0] == " " }
    var found = 0
    for _ in 0..<places {
      let gap = try #require(gaps.randomElement(using: &generator))
      let passage = "\(hay[..<gap]) The keeper of the old lighthouse is Marmaduke Thistlewood. \(hay[gap...])"
      let answer = try answerer.answer("Who is the keeper of the old lighthouse?", in: passage)
      if answer.text == "Marmaduke Thistlewood" {
        found += 1
      } else {
        print("at byte \(hay.utf8.distance(from: hay.startIndex, to: gap)): \(answer.text), \(answer.score)")
      }
      #expect(Array(passage[answer.range].utf8) == Array(answer.text.utf8))
    }
    print("a needle in \(hay.utf8.count) bytes: found at \(found) of \(places) random places")
    #expect(found == places)
  }
}
