/// A passage of a dataset and what is asked about it.
public struct Paragraph: Sendable, Equatable {
  /// Where the file has it.
  public var place: DatasetPlace
  public var context: String
  public var questions: [Question]

  public init(place: DatasetPlace = DatasetPlace(), context: String, questions: [Question]) {
    self.place = place
    self.context = context
    self.questions = questions
  }
}

extension Paragraph {
  public struct Question: Sendable, Equatable {
    public var id: String
    public var text: String
    /// The accepted answers; none where the passage does not answer the question.
    public var answers: [Answer]
    /// SQuAD 2.0's `is_impossible`; nil where the file does not say.
    public var isImpossible: Bool?

    public init(id: String, text: String, answers: [Answer] = [], isImpossible: Bool? = nil) {
      self.id = id
      self.text = text
      self.answers = answers
      self.isImpossible = isImpossible
    }
  }

  public struct Answer: Sendable, Equatable {
    public var text: String
    /// Where the context is said to have it, in Unicode scalars; nil where the file does not say.
    public var start: Int?

    public init(text: String, start: Int? = nil) {
      self.text = text
      self.start = start
    }
  }
}

/// A place in a dataset file; numbers count from 1.
public struct DatasetPlace: Sendable, Equatable, CustomStringConvertible {
  public var article: Int?
  public var title: String?
  public var paragraph: Int?
  public var question: Int?
  public var id: String?
  /// The record's number, in a file of one question a record.
  public var record: Int?

  public init() {}

  public var description: String {
    var parts: [String] = []
    if let record { parts.append("record \(record)") }
    if let article { parts.append("article \(article)" + Self.inBrackets(title)) }
    if let paragraph { parts.append("paragraph \(paragraph)") }
    if let question { parts.append("question \(question)" + Self.inBrackets(id)) } else if let id {
      parts.append("question" + Self.inBrackets(id))
    }
    return parts.joined(separator: ", ")
  }

  /// Text of the file as part of a line: short, and without control characters.
  private static func inBrackets(_ text: String?) -> String {
    guard let text else { return "" }
    let line = text.unicodeScalars.prefix(60).map { $0.properties.generalCategory == .control ? " " : Character($0) }
    return " (\(String(line)))"
  }
}
