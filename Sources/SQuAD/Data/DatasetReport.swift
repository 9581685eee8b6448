import WordPiece

/// What `spanqa dataset` says of a file: counts, lengths, and what is wrong with it.
///
/// Paragraphs are added one by one; memory is 8 bytes for each question and passage, whatever their length.
public struct DatasetReport: Sendable {
  /// An answer that the context does not have where the file says.
  public struct MisplacedAnswer: Sendable, Equatable {
    /// Its article, paragraph and question.
    public var place: DatasetPlace
    /// The answer's text.
    public var text: String
    /// Where it is said to be, in Unicode scalars; nil where the file does not say.
    public var start: Int?
    /// What the context has there, as many scalars as the answer has; nil where it ends before.
    public var found: String?
  }

  /// How many of what is wrong are kept as examples.
  public static let exampleCount = 20

  public private(set) var articles = 0
  public private(set) var paragraphs = 0
  public private(set) var questions = 0
  public private(set) var answers = 0
  /// Questions without an answer.
  public private(set) var unanswered = 0

  /// Answers that are not at their `answer_start`, counted in Unicode scalars.
  public private(set) var misplacedAnswers = 0
  public private(set) var misplacedExamples: [MisplacedAnswer] = []

  /// Questions whose id an earlier one has.
  public private(set) var duplicateIDs = 0
  public private(set) var duplicateIDExamples: [DatasetPlace] = []
  /// Questions that an earlier one equals, text and passage.
  public private(set) var duplicateQuestions = 0
  /// Passages that an earlier one equals.
  public private(set) var duplicatePassages = 0

  /// Tokens of the questions.
  public private(set) var questionTokens = LengthHistogram()
  /// Tokens of the passages.
  public private(set) var passageTokens = LengthHistogram()
  /// Tokens of question, passage and special tokens together, for each question.
  public private(set) var inputTokens = LengthHistogram()

  private var lastArticle: Int?
  // Equal texts are found by 64-bit hashes: a dataset larger than memory fits.
  private var ids: Set<Int> = []
  private var asked: Set<Int> = []
  private var passages: Set<Int> = []

  public init() {}

  /// Counts a paragraph; `tokenCount` gives the tokens of a text.
  public mutating func add(_ paragraph: Paragraph, tokenCount: (String) -> Int) {
    paragraphs += 1
    if let article = paragraph.place.article, article != lastArticle {
      articles += 1
      lastArticle = article
    }
    if !passages.insert(paragraph.context.utf8Hash).inserted { duplicatePassages += 1 }
    let passageLength = tokenCount(paragraph.context)
    passageTokens.add(passageLength)
    let context = Array(paragraph.context.unicodeScalars)
    for (index, question) in paragraph.questions.enumerated() {
      var place = paragraph.place
      if place.record == nil { place.question = index + 1 }
      place.id = question.id
      add(question, at: place, in: context, hash: paragraph.context.utf8Hash)
      let length = tokenCount(question.text)
      questionTokens.add(length)
      inputTokens.add(length + passageLength + Window.specialTokenCount)
    }
  }

  private mutating func add(
    _ question: Paragraph.Question, at place: DatasetPlace, in context: [Unicode.Scalar], hash: Int
  ) {
    questions += 1
    answers += question.answers.count
    if question.answers.isEmpty { unanswered += 1 }
    if !ids.insert(question.id.utf8Hash).inserted {
      duplicateIDs += 1
      if duplicateIDExamples.count < Self.exampleCount { duplicateIDExamples.append(place) }
    }
    var hasher = Hasher()
    hasher.combine(hash)
    hasher.combine(question.text.utf8Hash)
    if !asked.insert(hasher.finalize()).inserted { duplicateQuestions += 1 }
    for answer in question.answers {
      let text = Array(answer.text.unicodeScalars)
      var found: ArraySlice<Unicode.Scalar>?
      if let start = answer.start, start >= 0, start <= context.count, text.count <= context.count - start {
        found = context[start..<start + text.count]
      }
      if found == text[...] { continue }
      misplacedAnswers += 1
      if misplacedExamples.count < Self.exampleCount {
        misplacedExamples.append(
          MisplacedAnswer(
            place: place, text: answer.text, start: answer.start,
            found: found.map { String(String.UnicodeScalarView($0)) }))
      }
    }
  }
}

extension String {
  /// A hash of the bytes: texts that only mean the same in Unicode's eyes differ.
  fileprivate var utf8Hash: Int { ExactString(self).hashValue }
}
