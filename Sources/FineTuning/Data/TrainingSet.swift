import SQuAD
import WordPiece

/// A dataset's questions as windows with the places of their answers in tokens.
///
/// As transformers' example does it (`run_qa.py`): a window that does not hold the whole answer has its classification token as target,
/// and so has every window of a question without an answer. Of several answers the first counts.
public struct TrainingSet: Sendable {
  public struct Example: Sendable, Equatable {
    public var ids: [Int32]
    public var target: TrainingBatch.Target

    public init(ids: [Int32], target: TrainingBatch.Target) {
      self.ids = ids
      self.target = target
    }
  }

  /// A question that gives no window, and why.
  public struct Unplaced: Sendable, Equatable, CustomStringConvertible {
    public var place: DatasetPlace
    public var reason: String

    public var description: String { "\(place): \(reason)" }
  }

  public struct Options: Sendable, Equatable {
    public var windows: WindowOptions
    /// How many questions are read; all by default.
    public var questionLimit: Int
    /// How many windows without the answer a question keeps beside those with it, chosen by `seed`; all by default.
    public var negativeWindows: Int
    public var seed: UInt64

    public init(
      windows: WindowOptions = WindowOptions(), questionLimit: Int = .max, negativeWindows: Int = .max, seed: UInt64 = 0
    ) {
      self.windows = windows
      self.questionLimit = questionLimit
      self.negativeWindows = negativeWindows
      self.seed = seed
    }
  }

  public private(set) var examples: [Example] = []
  public private(set) var unplaced: [Unplaced] = []
  /// Questions read, unplaced ones among them.
  public private(set) var questions = 0

  /// Reads a dataset, paragraph by paragraph.
  ///
  /// - Throws: `DatasetError` where the file cannot be read, `TrainingDataError` where nothing in it can be trained on.
  public init(path: String, tokenizer: Tokenizer, options: Options, progress: (_ questions: Int) -> Void = { _ in }) throws {
    let reader = try DatasetReader(path: path)
    while questions < options.questionLimit, let paragraph = try reader.next() {
      let passage = tokenizer.encode(paragraph.context)
      for (index, question) in paragraph.questions.enumerated() where questions < options.questionLimit {
        questions += 1
        var place = paragraph.place
        if place.record == nil { place.question = index + 1 }
        place.id = question.id
        do throws(Failure) {
          try add(question, context: paragraph.context, passage: passage, tokenizer: tokenizer, options: options)
        } catch {
          unplaced.append(Unplaced(place: place, reason: error.reason))
        }
      }
      progress(questions)
    }
    guard !examples.isEmpty else {
      throw questions == 0
        ? TrainingDataError.empty(path: path) : .nothingPlaced(path: path, questions: questions, first: unplaced.first)
    }
  }

  private struct Failure: Error { var reason: String }

  private mutating func add(
    _ question: Paragraph.Question, context: String, passage: Encoding, tokenizer: Tokenizer, options: Options
  ) throws(Failure) {
    var answer: Range<Int>?
    if let first = question.answers.first, question.isImpossible != true {
      guard let bytes = Self.place(of: first, in: context) else {
        throw Failure(reason: "the passage does not hold the answer")
      }
      // The tokens that overlap the answer's bytes.
      let tokens = passage.offsets.indices.filter {
        passage.offsets[$0].lowerBound < bytes.upperBound && passage.offsets[$0].upperBound > bytes.lowerBound
      }
      guard let start = tokens.first, let end = tokens.last else { throw Failure(reason: "the answer has no tokens") }
      answer = start..<end + 1
    }
    let windows: WindowSequence
    do throws(WindowError) {
      windows = try WindowSequence(
        question: tokenizer.encode(question.text), passage: passage, classificationID: tokenizer.classificationID,
        separatorID: tokenizer.separatorID, options: options.windows)
    } catch {
      throw Failure(reason: "\(error)")
    }
    let found = windows.map { window -> Example in
      guard let answer, window.passageTokens.lowerBound <= answer.lowerBound, answer.upperBound <= window.passageTokens.upperBound
      else { return Example(ids: window.ids, target: TrainingBatch.Target(start: 0, end: 0)) }
      let shift = window.passageStart - window.passageTokens.lowerBound
      return Example(
        ids: window.ids, target: TrainingBatch.Target(start: answer.lowerBound + shift, end: answer.upperBound - 1 + shift))
    }
    // Of the windows without the answer some, in the order in which they stand.
    let negatives = found.indices.filter { found[$0].target.start == 0 }
    let key = CounterGenerator.mix(options.seed ^ UInt64(questions) &* 0x9E37_79B9_7F4A_7C15)
    let kept = Set(Permutation(count: negatives.count, key: key).order.prefix(options.negativeWindows).map { negatives[$0] })
    examples += found.indices.filter { found[$0].target.start != 0 || kept.contains($0) }.map { found[$0] }
  }

  /// Where the context has an answer, in UTF-8 bytes: at the place that the file says, else where its text occurs nearest to that.
  static func place(of answer: Paragraph.Answer, in context: String) -> Range<Int>? {
    let text = Array(answer.text.utf8)
    let bytes = Array(context.utf8)
    guard !text.isEmpty, text.count <= bytes.count else { return nil }
    var said = 0
    if let start = answer.start {
      let scalars = context.unicodeScalars
      let index = scalars.index(scalars.startIndex, offsetBy: max(0, start), limitedBy: scalars.endIndex) ?? scalars.endIndex
      said = context.utf8.distance(from: context.startIndex, to: index)
    }
    func occurs(at offset: Int) -> Bool {
      offset >= 0 && offset + text.count <= bytes.count && bytes[offset] == text[0]
        && bytes[offset..<offset + text.count].elementsEqual(text)
    }
    for distance in 0...bytes.count {
      for offset in [said - distance, said + distance] where occurs(at: offset) { return offset..<offset + text.count }
    }
    return nil
  }
}

/// Why a dataset cannot be trained on.
public enum TrainingDataError: Error, Equatable, CustomStringConvertible {
  case empty(path: String)
  case nothingPlaced(path: String, questions: Int, first: TrainingSet.Unplaced?)

  public var description: String {
    switch self {
    case .empty(let path): "\(path): holds no questions: give a dataset that does"
    case .nothingPlaced(let path, let questions, let first):
      "\(path): none of its \(questions) questions can be trained on" + (first.map { "; the first is \($0)" } ?? "")
    }
  }
}
