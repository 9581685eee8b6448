import Testing
import WordPiece

@testable import SQuAD

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

struct SpanDecoderTests {
  @Test func oneWindowRanksAsThePipelineDoes() throws {
    var compared = 0
    for golden in try DecodingGolden.read().cases {
      let passage = Encoding(
        ids: [Int32](repeating: 9, count: golden.offsets.count), offsets: golden.offsets, words: golden.words)
      let window = Window(ids: [1, 5, 2] + passage.ids + [2], passageTokens: 0..<passage.count, passageStart: 3)
      for ranking in golden.answers {
        let setting = ranking.setting
        var decoder = SpanDecoder(
          passage: passage, text: golden.passage,
          options: SpanDecoder.Options(
            topK: setting.top_k, maxAnswerLength: setting.max_answer_len,
            handleImpossibleAnswer: setting.handle_impossible_answer, alignToWords: setting.align_to_words))
        // The question's and separators' logits must not matter.
        decoder.add(
          window, startLogits: [golden.cls[0], 90, 90] + golden.start + [90],
          endLogits: [golden.cls[1], 90, 90] + golden.end + [90])
        let spans = decoder.finish().spans
        #expect(spans.count >= ranking.answers.count)
        for (span, answer) in zip(spans, ranking.answers) {
          #expect(span.utf8Range == answer.range, "\(golden.passage) \(setting)")
          #expect(abs(span.score - answer.score) < 1e-5)
          compared += 1
        }
      }
    }
    #expect(compared > 100)
    print("compared \(compared) answers with transformers' pipeline")
  }

  @Test(arguments: [1, 3, 40]) func searchIsExact(topK: Int) throws {
    var generator = SeededGenerator(state: UInt64(topK))
    for round in 0..<300 {
      let count = Int.random(in: 1...40, using: &generator)
      let longest = Int.random(in: 1...45, using: &generator)
      let room = Int.random(in: 1...20, using: &generator)
      let stride = Int.random(in: 0..<room, using: &generator)
      // Coarse logits make ties of spans, and of windows, common.
      let fixture = try Fixture(count: count, room: room, stride: stride, coarse: round % 2 == 0, using: &generator)
      let options = SpanDecoder.Options(topK: topK, maxAnswerLength: longest, handleImpossibleAnswer: round % 3 == 0)
      let ranking = fixture.ranking(options)
      let expected = fixture.bruteForce(options)
      #expect(ranking.spans.map(\.tokens) == expected.spans.map(\.tokens), "round \(round)")
      #expect(ranking.spans.map(\.window) == expected.spans.map(\.window), "round \(round)")
      #expect(zip(ranking.spans, expected.spans).allSatisfy { abs($0.score - $1.score) < 1e-12 })
      #expect(abs(ranking.noAnswerScore - expected.noAnswerScore) < 1e-12)
    }
  }

  @Test func allCandidatesSumToOne() throws {
    var generator = SeededGenerator(state: 7)
    // Spans of any length in one window, whichever of start and end is first, are all there is beside "no answer".
    let fixture = try Fixture(count: 12, room: 12, stride: 0, coarse: false, using: &generator)
    let ranking = fixture.ranking(SpanDecoder.Options(topK: 1000, maxAnswerLength: 12))
    #expect(ranking.spans.count == 12 * 13 / 2)
    let total = ranking.spans.reduce(ranking.noAnswerScore) { $0 + $1.score }
    #expect(total < 1)
    let several = try Fixture(count: 90, room: 12, stride: 6, coarse: false, using: &generator)
    let spans = several.ranking(SpanDecoder.Options(topK: 100_000, maxAnswerLength: 12)).spans
    #expect(Set(spans.map(\.tokens)).count == spans.count)
    #expect(spans.reduce(0) { $0 + $1.score } < 1)
  }

  @Test func aSpanInTheOverlapCountsOnce() throws {
    let passage = Fixture.passage(count: 30)
    let windows = try WindowSequence(
      question: Fixture.passage(count: 1), passage: passage, classificationID: 1, separatorID: 2,
      options: WindowOptions(maxSequenceLength: 24, docStride: 10))
    #expect(windows.count == 2)
    var decoder = SpanDecoder(passage: passage, options: SpanDecoder.Options(topK: 2))
    for window in windows {
      var logits = [Float](repeating: -20, count: window.ids.count)
      logits[window.passageStart + 15 - window.passageTokens.lowerBound] = 20
      decoder.add(window, startLogits: logits, endLogits: logits)
    }
    let ranking = decoder.finish()
    #expect(ranking.spans[0].tokens == 15...15)
    #expect(ranking.spans[0].score > 0.9999)
    #expect(ranking.spans[1].tokens != 15...15)
  }

  @Test func oneWindowWithAnAnswerSpeaksAgainstNone() throws {
    let passage = Fixture.passage(count: 300)
    let windows = try WindowSequence(
      question: Fixture.passage(count: 1), passage: passage, classificationID: 1, separatorID: 2,
      options: WindowOptions(maxSequenceLength: 24, docStride: 10))
    for hasAnswer in [true, false] {
      var decoder = SpanDecoder(passage: passage, options: SpanDecoder.Options(handleImpossibleAnswer: true))
      for (index, window) in windows.enumerated() {
        var logits = [Float](repeating: -8, count: window.ids.count)
        logits[0] = 6
        if hasAnswer, index == 9 {
          logits[0] = -6
          logits[window.passageStart + 12] = 7
        }
        decoder.add(window, startLogits: logits, endLogits: logits)
      }
      let ranking = decoder.finish()
      #expect((ranking.spans[0].tokens == nil) == !hasAnswer)
      #expect(hasAnswer ? ranking.noAnswerScore < 0.01 : ranking.noAnswerScore > 0.99)
      #expect(ranking.spans[0].score > 0.99)
      #expect(ranking.spans[0].utf8Range.isEmpty == !hasAnswer)
    }
  }

  @Test func widensToWholeWords() {
    // "an unlikely name": un + like + ly.
    let passage = Encoding(
      ids: [1, 2, 3, 4, 5], offsets: [0..<2, 3..<5, 5..<9, 9..<11, 12..<16], words: [0, 1, 1, 1, 2])
    let window = Window(ids: [1, 7, 2, 1, 2, 3, 4, 5, 2], passageTokens: 0..<5, passageStart: 3)
    let start: [Float] = [0, 0, 0, 0, 4, 5, 0, 0, 0]
    let end: [Float] = [0, 0, 0, 0, 0, 5, 4, 0, 0]
    var plain = SpanDecoder(passage: passage)
    plain.add(window, startLogits: start, endLogits: end)
    let exact = plain.finish().spans[0]
    #expect(exact.tokens == 2...2)
    #expect(exact.utf8Range == 5..<9)

    var decoder = SpanDecoder(passage: passage, options: SpanDecoder.Options(topK: 3, alignToWords: true))
    decoder.add(window, startLogits: start, endLogits: end)
    let spans = decoder.finish().spans
    #expect(spans[0].tokens == 1...3)
    #expect(spans[0].utf8Range == 3..<11)
    #expect(spans[0].score > exact.score)
    #expect(Set(spans.map(\.utf8Range)).count == spans.count)
  }

  @Test func hostileLogitsAreRanked() throws {
    let values: [Float] = [.nan, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 0, 1e30]
    var generator = SeededGenerator(state: 3)
    for _ in 0..<200 {
      let passage = Fixture.passage(count: 20)
      let windows = try WindowSequence(
        question: Fixture.passage(count: 1), passage: passage, classificationID: 1, separatorID: 2,
        options: WindowOptions(maxSequenceLength: 12, docStride: 3))
      var decoder = SpanDecoder(
        passage: passage, options: SpanDecoder.Options(topK: 4, handleImpossibleAnswer: true, alignToWords: true))
      for window in windows {
        func logits() -> [Float] { window.ids.map { _ in values[Int.random(in: 0..<7, using: &generator)] } }
        decoder.add(window, startLogits: logits(), endLogits: logits())
      }
      let ranking = decoder.finish()
      #expect((1...4).contains(ranking.spans.count))
      #expect(ranking.spans.allSatisfy { (0...1.000001).contains($0.score) })
    }
  }

  @Test func optionsOutOfRangeAreMended() throws {
    var generator = SeededGenerator(state: 11)
    let fixture = try Fixture(count: 5, room: 9, stride: 0, coarse: false, using: &generator)
    let least = fixture.ranking(SpanDecoder.Options(topK: .min, maxAnswerLength: .min))
    #expect(least == fixture.ranking(SpanDecoder.Options(topK: 1, maxAnswerLength: 1)))
    let most = fixture.ranking(SpanDecoder.Options(topK: .max, maxAnswerLength: .max, alignToWords: true))
    #expect(most.spans.count == 15)
  }
}

/// A passage with its windows and random logits for each.
private struct Fixture {
  let passage: Encoding
  let windows: WindowSequence
  var logits: [(start: [Float], end: [Float])] = []

  init(count: Int, room: Int, stride: Int, coarse: Bool, using generator: inout SeededGenerator) throws {
    passage = Self.passage(count: count)
    windows = try WindowSequence(
      question: Self.passage(count: 1), passage: passage, classificationID: 1, separatorID: 2,
      options: WindowOptions(maxSequenceLength: room + 4, docStride: stride))
    for window in windows {
      func random() -> [Float] {
        window.ids.map { _ in
          coarse
            ? Float(Int.random(in: -2...2, using: &generator)) : Float.random(in: -6...6, using: &generator)
        }
      }
      let start = random()
      logits.append((start, random()))
    }
  }

  /// A passage of one-letter words with spaces between.
  static func passage(count: Int) -> Encoding {
    Encoding(
      ids: [Int32](repeating: 9, count: count), offsets: (0..<count).map { 2 * $0..<2 * $0 + 1 },
      words: (0..<Int32(count)).map { $0 })
  }

  func ranking(_ options: SpanDecoder.Options) -> SpanRanking {
    var decoder = SpanDecoder(passage: passage, options: options)
    for (window, logits) in zip(windows, logits) {
      decoder.add(window, startLogits: logits.start, endLogits: logits.end)
    }
    return decoder.finish()
  }

  /// The documented formula, term by term.
  func bruteForce(_ options: SpanDecoder.Options) -> (
    spans: [(tokens: ClosedRange<Int>?, score: Double, window: Int)], noAnswerScore: Double
  ) {
    var total = 0.0
    var previous: (window: Window, start: [Double], end: [Double])?
    var noAnswer = (start: Double.infinity, end: Double.infinity, window: 0)
    var spans: [ClosedRange<Int>: (sum: Double, window: Int)] = [:]
    for (number, (window, logits)) in zip(windows, logits).enumerated() {
      let start = logits.start.map(Double.init)
      let end = logits.end.map(Double.init)
      if start[0] + end[0] < noAnswer.start + noAnswer.end { noAnswer = (start[0], end[0], number) }
      let row = { (token: Int) in window.passageStart + token - window.passageTokens.lowerBound }
      let inside = [0] + window.passageTokens.map(row)
      for i in inside {
        for j in inside where i > 0 || j > 0 { total += exp(start[i] + end[j]) }
      }
      if let previous {
        var shared = (before: 0.0, now: 0.0)
        let held = previous.window
        let heldRow = { (token: Int) in held.passageStart + token - held.passageTokens.lowerBound }
        let both = window.passageTokens.filter(held.passageTokens.contains)
        for i in both {
          for j in both {
            shared.before += exp(previous.start[heldRow(i)] + previous.end[heldRow(j)])
            shared.now += exp(start[row(i)] + end[row(j)])
          }
        }
        total -= min(shared.before, shared.now)
      }
      previous = (window, start, end)
      for i in window.passageTokens {
        for j in window.passageTokens where j >= i && j - i < options.maxAnswerLength {
          let sum = start[row(i)] + end[row(j)]
          if sum > spans[i...j]?.sum ?? -.infinity { spans[i...j] = (sum, number) }
        }
      }
    }
    total += exp(noAnswer.start + noAnswer.end)
    let noAnswerScore = exp(noAnswer.start + noAnswer.end) / total
    var ranked: [(tokens: ClosedRange<Int>?, score: Double, window: Int)] =
      spans
      .sorted {
        (-$0.value.sum, $0.key.lowerBound, $0.key.upperBound) < (-$1.value.sum, $1.key.lowerBound, $1.key.upperBound)
      }
      .prefix(options.topK)
      .map { ($0.key, exp($0.value.sum) / total, $0.value.window) }
    if options.handleImpossibleAnswer {
      let least = noAnswer.start + noAnswer.end
      let place = ranked.firstIndex { spans[$0.tokens ?? 0...0].map { $0.sum < least } ?? true } ?? ranked.count
      ranked.insert((nil, noAnswerScore, noAnswer.window), at: place)
      ranked = Array(ranked.prefix(options.topK))
    }
    return (ranked, noAnswerScore)
  }
}
