import Encoder
import Foundation
import RandomModels
import SQuAD
import SpanQADefaultModel
import SeededRandom
import Testing
import WordPiece

@testable import SpanQA

/// A sentence put at random places into scientific papers that were joined to one passage.
@Suite(.enabled(if: Shared.isThere, "needs ../shared"))
struct LongPassageTests {
  private struct Papers: Decodable {
    var data: [Article]
    struct Article: Decodable { var paragraphs: [Paragraph] }
    struct Paragraph: Decodable { var context: String }
  }

  private static let question = "Who is the keeper of the old lighthouse?"
  private static let needle = "The keeper of the old lighthouse is Marmaduke Thistlewood."
  private static let name = "Marmaduke Thistlewood"

  /// The papers' first `count` characters.
  private static func hay(_ count: Int) throws -> String {
    let papers = try JSONDecoder().decode(
      Papers.self, from: Data(contentsOf: Shared.folder.appending(path: "data/covid-qa/train.json")))
    let text = papers.data.flatMap { $0.paragraphs.map(\.context) }.joined(separator: "\n\n")
    #expect(text.utf8.count > count)
    return String(text.prefix(count))
  }

  @Test func aNeedleIsFound() throws {
    let hay = try Self.hay(30_000)
    let answerer = try QuestionAnswerer.default
    var generator = SplitMix64(seed: 3)
    let gaps = hay.unicodeScalars.indices.filter { hay.unicodeScalars[$0] == " " }
    for _ in 0..<4 {
      let gap = try #require(gaps.randomElement(using: &generator))
      let passage = "\(hay[..<gap]) \(Self.needle) \(hay[gap...])"
      let answer = try answerer.answer(Self.question, in: passage)
      #expect(answer.text == Self.name, "at byte \(hay.utf8.distance(from: hay.startIndex, to: gap))")
      #expect(Array(passage[answer.range].utf8) == Array(Self.name.utf8))
    }
  }

  /// 50 places in a million characters, where the needle takes the place of as many tokens. The windows without it stay what they were, and
  /// so do their logits in int8, in whatever batch: they are computed once. At the first place the engine's own answer shows that it is so.
  @Test(.enabled(if: Shared.testsWholeSets, "needs SPANQA_TEST_WHOLE_SETS=1"))
  func aNeedleAtFiftyPlacesOfAMillionCharacters() throws {
    let hay = try Self.hay(1_000_000)
    let bytes = Array(hay.utf8)
    let answerer = try QuestionAnswerer.default
    let tokenizer = answerer.tokenizer
    let encoding = tokenizer.encode(hay)
    let length = tokenizer.encode(Self.needle).count
    func windows(_ passage: Encoding) throws -> WindowSequence {
      try WindowSequence(
        question: tokenizer.encode(Self.question), passage: passage, classificationID: tokenizer.classificationID,
        separatorID: tokenizer.separatorID, options: Options().windowing)
    }
    func logits(_ window: Window) throws -> (start: [Float], end: [Float]) {
      let output = try answerer.encoder.forward(PackedBatch([window.ids]))
      return (Array(output.column(0, ofSequence: 0)), Array(output.column(1, ofSequence: 0)))
    }
    let known = try windows(encoding).map(logits)
    var generator = SplitMix64(seed: 3)
    var found = 0
    for place in 0..<50 {
      var first: Int
      repeat {
        first = Int.random(in: 1..<encoding.count - length, using: &generator)
      } while encoding.words[first - 1] == encoding.words[first]
        || encoding.words[first + length - 1] == encoding.words[first + length]
      let tokens = first..<first + length
      let (before, after) = (encoding.offsets[first].lowerBound, encoding.offsets[first + length - 1].upperBound)
      let passage = String(decoding: bytes[..<before] + Array(" \(Self.needle) ".utf8) + bytes[after...], as: UTF8.self)
      let changed = tokenizer.encode(passage)
      #expect(changed.ids[..<first] == encoding.ids[..<first] && changed.ids[tokens.upperBound...] == encoding.ids[tokens.upperBound...])

      var decoder = SpanDecoder(passage: changed, text: passage, options: Options().decoding)
      for (window, known) in zip(try windows(changed), known) {
        let (start, end) = try window.passageTokens.overlaps(tokens) ? logits(window) : known
        decoder.add(window, startLogits: start, endLogits: end)
      }
      let best = decoder.finish().spans[0]
      let text = String(decoding: Array(passage.utf8)[best.utf8Range], as: UTF8.self)
      if text == Self.name { found += 1 } else { print("at byte \(before): \(text), \(best.score)") }
      if place == 0 {
        let answer = try answerer.answer(Self.question, in: passage)
        #expect(answer.text == text && answer.score == best.score && answer.startLogit == best.startLogit)
      }
    }
    print("a needle in \(bytes.count) bytes of \(encoding.count) tokens, \(known.count) windows: found at \(found) of 50 places")
    #expect(found == 50)
  }
}
