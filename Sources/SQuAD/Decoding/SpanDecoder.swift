import WordPiece

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Finds the best answer spans of a passage from the model's start and end logits, window after window.
///
/// A span is a pair of passage tokens (i, j) of one window with i ≤ j < i + `maxAnswerLength`. Its score is its
/// probability among all pairs of a start and an end that the passage's windows hold, each pair counted once:
///
///     score(i, j) = max over windows w that hold i and j of exp(s[w, i] + e[w, j]) / Z
///     noAnswerScore = N / Z,  N = min over windows of exp(s[w, CLS] + e[w, CLS])
///     Z = N + Σ over windows of (S[w] · E[w] − exp(s[w, CLS] + e[w, CLS]))
///           − Σ over neighbours v, w of min(S[v, v∩w] · E[v, v∩w], S[w, v∩w] · E[w, v∩w])
///
/// where S[w] and E[w] sum exp(s) and exp(e) over the classification token and the window's passage tokens, and
/// S[w, v∩w] and E[w, v∩w] over the passage tokens that two neighbouring windows share. So pairs that two windows hold
/// count once, with the window that gives them more, and so does "no answer": one window that sees an answer is
/// enough to speak against it, however many others see none. Scores of different windows can be compared, none is
/// above 1, and for a passage of one window they are start probability times end probability, those of transformers'
/// question-answering pipeline.
///
/// Spans are ranked by score; of equal ones the one that starts first is first, then the one that ends first. Of two
/// windows that give a span the same score the first counts. The search is exact: no candidate is left out because
/// its start or its end alone looks poor.
///
/// A window costs time proportional to its length, and to `maxAnswerLength` for each span that enters the ranking.
/// Memory is one window's logits and the ranking, however many windows are added.
public struct SpanDecoder: Sendable {
  public struct Options: Sendable, Hashable {
    /// How many spans are ranked; less than 1 is taken for 1.
    public var topK = 1
    /// The longest answer, in tokens; less than 1 is taken for 1.
    public var maxAnswerLength = 15
    /// Whether "no answer" is ranked among the spans, by its score.
    public var handleImpossibleAnswer = false
    /// Whether spans are widened to whole words. As in transformers' pipeline the best 2 · `topK` + 10 spans are
    /// widened, and the scores of those that become the same one are added.
    public var alignToWords = false

    public init(
      topK: Int = 1, maxAnswerLength: Int = 15, handleImpossibleAnswer: Bool = false, alignToWords: Bool = false
    ) {
      self.topK = topK
      self.maxAnswerLength = maxAnswerLength
      self.handleImpossibleAnswer = handleImpossibleAnswer
      self.alignToWords = alignToWords
    }
  }

  private let passage: Encoding
  private let options: Options
  /// The passage, where spans that read the same count as one answer.
  private let text: String?

  private var windowCount = 0
  private var candidates: CandidateRanking
  /// Z without N.
  private var total = LogSum()
  /// The passage tokens of the window before, and their logits.
  private var previous = (tokens: 0..<0, starts: [Float](), ends: [Float]())
  /// The classification token's logits in the window that speaks most against "no answer".
  private var noAnswer = (start: Float(0), end: Float(0), window: 0)

  /// Ranks spans by their place: equal texts at different places are different answers.
  public init(passage: Encoding, options: Options = Options()) {
    self.init(passage: passage, optionalText: nil, options: options)
  }

  /// Ranks spans by what they read, as transformers' pipeline does: among the best `topK` spans (2 · `topK` + 10 with
  /// `alignToWords`) those that are equal but for case are one answer. It stands at the best one's place and its score
  /// is their sum, so there may be fewer than `topK` answers.
  ///
  /// `text` is what `passage` was made from.
  public init(passage: Encoding, text: String, options: Options = Options()) {
    self.init(passage: passage, optionalText: text, options: options)
  }

  private init(passage: Encoding, optionalText: String?, options: Options) {
    self.passage = passage
    self.text = optionalText
    self.options = options
    let topK = max(options.topK, 1)
    let (widened, overflow) = topK.multipliedReportingOverflow(by: 2)
    let capacity = options.alignToWords ? (overflow ? topK : max(widened &+ 10, topK)) : topK
    candidates = CandidateRanking(capacity: capacity)
  }

  /// Takes the logits of the next window, `[tokens]` each, one for each of its `ids`; windows are added in order.
  ///
  /// A logit that is not a number counts as the least one.
  public mutating func add(_ window: Window, startLogits: [Float], endLogits: [Float]) {
    precondition(
      startLogits.count == window.ids.count && endLogits.count == window.ids.count,
      "a window needs one start and one end logit a token")
    let rows = window.passageStart..<window.passageStart + window.passageTokens.count
    precondition(rows.upperBound <= window.ids.count && window.passageTokens.upperBound <= passage.count)
    let starts = startLogits[rows].map(Self.finite)
    let ends = endLogits[rows].map(Self.finite)

    let start = Self.finite(startLogits[0])
    let end = Self.finite(endLogits[0])
    if windowCount == 0 || Double(start) + Double(end) < Double(noAnswer.start) + Double(noAnswer.end) {
      noAnswer = (start, end, windowCount)
    }
    accumulate(window.passageTokens, starts: starts, ends: ends, classification: (Double(start), Double(end)))
    candidates.insert(
      starts: starts, ends: ends, firstToken: window.passageTokens.lowerBound,
      maxAnswerLength: max(options.maxAnswerLength, 1), window: windowCount)
    windowCount += 1
  }

  /// The ranking over all windows added, of which there must be one.
  public func finish() -> SpanRanking {
    precondition(windowCount > 0, "add a window first")
    var total = total
    total.add(Double(noAnswer.start) + Double(noAnswer.end))
    let logarithm = total.logarithm
    // Of the sum, as candidates are ranked: spans that tie there must have the same score.
    func score(_ start: Float, _ end: Float) -> Double { exp(Double(start) + Double(end) - logarithm) }

    let noAnswerScore = score(noAnswer.start, noAnswer.end)
    var spans = merged(
      candidates.entries.map { candidate in
        let tokens = options.alignToWords ? wholeWords(candidate.tokens) : candidate.tokens
        let lower = passage.offsets[tokens.lowerBound].lowerBound
        return RankedSpan(
          tokens: tokens, utf8Range: lower..<max(lower, passage.offsets[tokens.upperBound].upperBound),
          score: score(candidate.startLogit, candidate.endLogit),
          startLogit: candidate.startLogit, endLogit: candidate.endLogit, window: candidate.window)
      })
    if options.handleImpossibleAnswer {
      let place = spans.firstIndex { $0.score < noAnswerScore } ?? spans.endIndex
      spans.insert(
        RankedSpan(
          tokens: nil, utf8Range: 0..<0, score: noAnswerScore, startLogit: noAnswer.start, endLogit: noAnswer.end,
          window: noAnswer.window),
        at: place)
    }
    return SpanRanking(spans: Array(spans.prefix(max(options.topK, 1))), noAnswerScore: noAnswerScore)
  }

  /// Adds a window's pairs to the sum, but for "no answer" and for what the window before has already given.
  private mutating func accumulate(
    _ tokens: Range<Int>, starts: [Float], ends: [Float], classification: (start: Double, end: Double)
  ) {
    precondition(tokens.lowerBound >= previous.tokens.lowerBound, "windows are added in order")
    let shared = min(max(previous.tokens.upperBound - tokens.lowerBound, 0), starts.count)
    let skipped = tokens.lowerBound - previous.tokens.lowerBound
    let before =
      LogSum(previous.starts.dropFirst(skipped).prefix(shared)).logarithm
      + LogSum(previous.ends.dropFirst(skipped).prefix(shared)).logarithm
    let sharedStarts = LogSum(starts[..<shared]).logarithm
    let sharedEnds = LogSum(ends[..<shared]).logarithm
    let newStarts = LogSum(starts[shared...]).logarithm
    let newEnds = LogSum(ends[shared...]).logarithm
    total.add(classification.start + LogSum(ends[...]).logarithm)
    total.add(LogSum(starts[...]).logarithm + classification.end)
    total.add(sharedStarts + newEnds)
    total.add(newStarts + sharedEnds)
    total.add(newStarts + newEnds)
    let again = sharedStarts + sharedEnds
    if again > before { total.add(again + log1p(-exp(before - again))) }
    previous = (tokens, starts, ends)
  }

  /// Widens a span to the words that its ends are pieces of.
  private func wholeWords(_ tokens: ClosedRange<Int>) -> ClosedRange<Int> {
    var lower = tokens.lowerBound
    var upper = tokens.upperBound
    while lower > 0, passage.words[lower - 1] == passage.words[tokens.lowerBound] { lower -= 1 }
    while upper + 1 < passage.count, passage.words[upper + 1] == passage.words[tokens.upperBound] { upper += 1 }
    return lower...upper
  }

  /// What makes two spans the same answer.
  private enum Identity: Hashable {
    case place(Range<Int>)
    case reading([UInt8])
  }

  private func identity(of range: Range<Int>) -> Identity {
    guard let text else { return .place(range) }
    let bytes = text.utf8
    let lower = bytes.index(bytes.startIndex, offsetBy: range.lowerBound)
    let upper = bytes.index(lower, offsetBy: range.count)
    return .reading(Array(String(decoding: bytes[lower..<upper], as: UTF8.self).lowercased().utf8))
  }

  /// Makes one of spans that are the same answer: the best one, with the sum of their scores. Best first again.
  private func merged(_ spans: [RankedSpan]) -> [RankedSpan] {
    var places: [Identity: Int] = [:]
    var result: [RankedSpan] = []
    for span in spans {
      let identity = identity(of: span.utf8Range)
      if let place = places[identity] {
        result[place].score += span.score
      } else {
        places[identity] = result.count
        result.append(span)
      }
    }
    // A sort that need not be stable: the rank before merging breaks ties.
    return result.indices
      .sorted { (result[$1].score, $0) < (result[$0].score, $1) }
      .map { result[$0] }
  }

  /// Keeps hostile logits inside what sums and comparisons stand.
  private static func finite(_ logit: Float) -> Float {
    logit.isNaN
      ? -Float.greatestFiniteMagnitude
      : min(max(logit, -Float.greatestFiniteMagnitude), Float.greatestFiniteMagnitude)
  }
}

/// The logarithm of a running sum of exponentials.
private struct LogSum {
  private var largest = -Double.infinity
  private var sum = 0.0

  init() {}

  init(_ logits: ArraySlice<Float>) {
    for logit in logits { add(Double(logit)) }
  }

  /// Adds the exponential of a number; of −∞ that is nothing.
  mutating func add(_ logit: Double) {
    guard logit > -.infinity else { return }
    if logit <= largest {
      sum += exp(logit - largest)
    } else {
      sum = sum * exp(largest - logit) + 1
      largest = logit
    }
  }

  var logarithm: Double { sum == 0 ? -.infinity : largest + log(sum) }
}
