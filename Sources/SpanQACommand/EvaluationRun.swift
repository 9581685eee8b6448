import SQuAD
import SpanQA

/// A pass over a dataset: what was answered, and how fast.
struct EvaluationRun {
  private(set) var predictions: [(String, JSON)] = []
  private(set) var noAnswerScores: [(String, JSON)] = []
  private(set) var failures = 0
  private(set) var firstFailure: String?
  private(set) var seconds = 0.0
  private var tokens = 0
  private let total: Int
  private var evaluation: Evaluation
  private var probabilities = QuestionValues<Double>()

  /// - Parameter checkInterruption: called before each batch; what it throws ends the pass.
  init(
    questions: consuming QuestionStream, total: Int, version: Evaluation.Version, batcher: consuming AnswerBatcher,
    checkInterruption: () throws -> Void = {}
  ) throws {
    self.total = total
    evaluation = Evaluation(version: version)
    let clock = ContinuousClock()
    let start = clock.now
    var progress = ProgressBar("questions", total: total)
    // Whose answers are still to come, in order.
    var asked: ArraySlice<Paragraph.Question> = []
    var (done, hasMore) = (0, true)
    while true {
      while hasMore && batcher.wantsMore {
        guard let (question, passage) = try questions.next() else {
          hasMore = false
          break
        }
        batcher.admit(Request(question: question.text, passage: passage))
        asked.append(question)
      }
      if batcher.isEmpty { break }
      try checkInterruption()
      try batcher.runBatch()
      while let result = batcher.popFinished(), let question = asked.popFirst() {
        done += 1
        add(result, to: question)
      }
      let tokens = batcher.tokenCount
      progress.update(done, details: ["\((Double(tokens) / (clock.now - start).seconds).short) tokens/s"])
    }
    progress.finish()
    seconds = (clock.now - start).seconds
    tokens = batcher.tokenCount
  }

  private mutating func add(_ result: Result<Answer, AnswerError>, to question: Paragraph.Question) {
    switch result {
    case .success(let answer):
      predictions.append((question.id, .string(answer.text)))
      noAnswerScores.append((question.id, .number(answer.noAnswerScore)))
      probabilities[question.id] = answer.noAnswerScore
      evaluation.add(question, prediction: answer.text)
    case .failure(let error):
      failures += 1
      firstFailure = firstFailure ?? "\(question.id): \(error)"
      evaluation.add(question, prediction: nil)
    }
  }

  func report() throws -> EvaluationReport { try evaluation.report(noAnswerProbabilities: probabilities) }

  var questionsPerSecond: Double { Double(total) / seconds }
  var tokensPerSecond: Double { Double(tokens) / seconds }
}

/// A dataset's questions, one after the other with their passages.
struct QuestionStream {
  private let reader: DatasetReader
  private var left: Int
  private var passage = ""
  private var questions: ArraySlice<Paragraph.Question> = []

  init(path: String, limit: Int) throws(DatasetError) {
    reader = try DatasetReader(path: path)
    left = limit
  }

  mutating func next() throws(DatasetError) -> (Paragraph.Question, passage: String)? {
    guard left > 0 else { return nil }
    while questions.isEmpty {
      guard let paragraph = try reader.next() else { return nil }
      passage = paragraph.context
      questions = paragraph.questions[...]
    }
    left -= 1
    return (questions.removeFirst(), passage)
  }
}
