/// Reads a dataset paragraph by paragraph, so that the file may be larger than memory: SQuAD 1.1 and 2.0 JSON, or one
/// object `{"id", "question", "context"}` a line (JSONL), which may have `answers` as SQuAD has them.
///
/// The file says itself which it is. Memory is one paragraph with its questions, which may take `maxRecordBytes`.
/// A reader is used by one task at a time.
public final class DatasetReader {
  public enum Format: Sendable, Equatable {
    case squad
    case lines
  }

  /// More than any paragraph or line has: a bound for hostile files.
  public static let maxRecordBytes = 256 << 20

  /// Known once the first paragraph has been read.
  public private(set) var format: Format?
  /// SQuAD's `version`; known when the file has told it, which may be at its end.
  public private(set) var version: String?
  /// How many articles have begun so far.
  public private(set) var articleCount = 0

  private enum State {
    case top, topMembers, articles, articleMembers, paragraphs, finished
  }

  private let file: String
  private var scanner: JSONScanner
  private var state = State.top
  private var place = DatasetPlace()
  private var hasData = false

  public init(path: String) throws(DatasetError) {
    file = path
    do throws(JSONFailure) {
      scanner = JSONScanner(try ByteStream(path: path))
    } catch {
      throw .unreadable(file: path, reason: error.reason)
    }
  }

  /// Reads a descriptor, standard input for one, which stays the caller's; `name` is what errors call it.
  public init(descriptor: Int32, name: String) {
    file = name
    scanner = JSONScanner(ByteStream(descriptor: descriptor))
  }

  /// Reads bytes in memory; `name` is what errors call them.
  public init(bytes: [UInt8], name: String) {
    file = name
    scanner = JSONScanner(ByteStream(bytes: bytes))
  }

  /// The next paragraph; nil at the end. After an error there is nothing more.
  public func next() throws(DatasetError) -> Paragraph? {
    do throws(JSONFailure) {
      while true {
        switch state {
        case .top:
          guard let paragraph = try topLevelValue() else { continue }
          return paragraph
        case .topMembers: try topMembers()
        case .articles:
          place = DatasetPlace()
          if try scanner.nextElement() {
            articleCount += 1
            place.article = articleCount
            try scanner.beginObject()
            state = .articleMembers
          } else {
            state = .topMembers
          }
        case .articleMembers: try articleMembers()
        case .paragraphs:
          place.question = nil
          place.id = nil
          guard try scanner.nextElement() else {
            place.paragraph = nil
            state = .articleMembers
            continue
          }
          place.paragraph = (place.paragraph ?? 0) + 1
          return try paragraph()
        case .finished:
          return nil
        }
      }
    } catch {
      state = .finished
      throw datasetError(error)
    }
  }

  /// A record of a JSONL file, or the beginning of a SQuAD file.
  private func topLevelValue() throws(JSONFailure) -> Paragraph? {
    scanner.stream.limit = .max
    guard try scanner.kind() != nil else {
      guard format != nil else { throw JSONFailure(offset: scanner.offset, reason: "the file is empty") }
      state = .finished
      return nil
    }
    guard !hasData else { throw JSONFailure(offset: scanner.offset, reason: "there is more after the dataset's end") }
    limitRecord()
    try scanner.beginObject()
    place.id = nil
    if format != .squad { place.record = (place.record ?? 0) + 1 }
    var context: String?
    var draft = QuestionDraft()
    while let key = try scanner.nextKey() {
      switch key {
      case "data" where format == nil:
        try beginData()
        return nil
      case "version" where format == nil: try readVersion()
      case "context": context = try scanner.string()
      default: try member(key, of: &draft)
      }
    }
    format = .lines
    guard let context else { throw missing("context") }
    let question = try question(draft)
    return Paragraph(place: place, context: context, questions: [question])
  }

  private func topMembers() throws(JSONFailure) {
    place = DatasetPlace()
    scanner.stream.limit = .max
    while let key = try scanner.nextKey() {
      switch key {
      case "data": throw JSONFailure(offset: scanner.offset, reason: "there is a second “data”")
      case "version": try readVersion()
      default: try scanner.skip()
      }
    }
    state = .top
  }

  private func beginData() throws(JSONFailure) {
    format = .squad
    hasData = true
    place = DatasetPlace()
    scanner.stream.limit = .max
    try scanner.beginArray()
    state = .articles
  }

  private func readVersion() throws(JSONFailure) {
    if try scanner.kind() == .string { version = try scanner.string() } else { try scanner.skip() }
  }

  private func articleMembers() throws(JSONFailure) {
    limitRecord()
    while let key = try scanner.nextKey() {
      switch key {
      case "title": place.title = try scanner.string()
      case "paragraphs":
        try scanner.beginArray()
        state = .paragraphs
        return
      default: try scanner.skip()
      }
    }
    state = .articles
  }

  private func paragraph() throws(JSONFailure) -> Paragraph {
    limitRecord()
    var context: String?
    var questions: [Paragraph.Question] = []
    try scanner.beginObject()
    while let key = try scanner.nextKey() {
      switch key {
      case "context": context = try scanner.string()
      case "qas":
        try scanner.beginArray()
        while try scanner.nextElement() {
          place.question = questions.count + 1
          place.id = nil
          var draft = QuestionDraft()
          try scanner.beginObject()
          while let key = try scanner.nextKey() { try member(key, of: &draft) }
          questions.append(try question(draft))
        }
        place.question = nil
        place.id = nil
      default: try scanner.skip()
      }
    }
    guard let context else { throw missing("context") }
    return Paragraph(place: place, context: context, questions: questions)
  }

  /// What has been read of a question so far.
  private struct QuestionDraft {
    var id: String?
    var text: String?
    var answers: [Paragraph.Answer] = []
    var isImpossible: Bool?
  }

  private func member(_ key: String, of draft: inout QuestionDraft) throws(JSONFailure) {
    switch key {
    case "id":
      let id = try scanner.identifier()
      draft.id = id
      place.id = id
    case "question": draft.text = try scanner.string()
    case "is_impossible": draft.isImpossible = try scanner.boolean()
    case "answers":
      try scanner.beginArray()
      while try scanner.nextElement() { draft.answers.append(try answer()) }
    default: try scanner.skip()
    }
  }

  private func question(_ draft: QuestionDraft) throws(JSONFailure) -> Paragraph.Question {
    guard let id = draft.id else { throw missing("id") }
    guard let text = draft.text else { throw missing("question") }
    return Paragraph.Question(id: id, text: text, answers: draft.answers, isImpossible: draft.isImpossible)
  }

  private func answer() throws(JSONFailure) -> Paragraph.Answer {
    var text: String?
    var start: Int?
    try scanner.beginObject()
    while let key = try scanner.nextKey() {
      switch key {
      case "text": text = try scanner.string()
      case "answer_start": start = try scanner.integer()
      default: try scanner.skip()
      }
    }
    guard let text else { throw missing("text") }
    return Paragraph.Answer(text: text, start: start)
  }

  private func limitRecord() {
    scanner.stream.limit = scanner.offset + Self.maxRecordBytes
  }

  private func missing(_ member: String) -> JSONFailure {
    JSONFailure(offset: scanner.offset, reason: "“\(member)” is missing before here")
  }

  private func datasetError(_ failure: JSONFailure) -> DatasetError {
    guard let offset = failure.offset else { return .unreadable(file: file, reason: failure.reason) }
    return .invalid(file: file, byte: offset, place: place, reason: failure.reason)
  }
}
