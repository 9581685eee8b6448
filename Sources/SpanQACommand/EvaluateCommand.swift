import ArgumentParser
import SQuAD
import SpanQA

/// `spanqa evaluate`
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Answers a dataset's questions and scores the answers as SQuAD's official scripts do.",
    discussion: """
      For version 2.0 the best threshold on the no-answer score is found too; --handle-impossible-answer lets an answer be empty \
      without one. The files of --predictions and --na-probabilities are those that `spanqa score` reads; each appears whole, at the \
      end, or not at all.
      """)

  @Option(help: ArgumentHelp("SQuAD 1.1 or 2.0 JSON, or JSONL of id, question, context and answers.", valueName: "file"))
  var dataset: String

  @OptionGroup var model: ModelOption

  @Option(help: ArgumentHelp("Where the answers go, as JSON by question id.", valueName: "file"))
  var predictions: String?

  @Option(help: ArgumentHelp("Where the no-answer scores go, as JSON by question id.", valueName: "file"))
  var naProbabilities: String?

  @Option(help: "Ask only the first so many questions.")
  var limit: Int?

  @Option(help: "The longest answer, in tokens.")
  var maxAnswerLength = 30

  @OptionGroup var reading: ReadingOptions
  @OptionGroup var batching: BatchingOptions

  @Flag(help: "Print a JSON object.")
  var json = false

  func validate() throws {
    if let limit, limit < 1 { throw ValidationError("--limit takes a number from 1 on") }
    if maxAnswerLength < 1 { throw ValidationError("--max-answer-length takes a number from 1 on") }
  }

  func run() throws {
    for path in [predictions, naProbabilities].compactMap(\.self) { try Output.checkWritable(path) }
    let overview = try DatasetOverview(path: dataset)
    let total = min(limit ?? .max, overview.questions)
    if total == 0 { throw EmptyDataset(path: dataset) }
    let answerer = try model.questionAnswerer(batching: batching)
    let run = try EvaluationRun(
      questions: QuestionStream(path: dataset, limit: total), total: total, version: overview.version,
      batcher: answerer.batcher(options: reading.options(topK: 1, maxAnswerLength: maxAnswerLength)))
    if let predictions { try Output.write(JSON.object(run.predictions).text + "\n", toFile: predictions) }
    if let naProbabilities { try Output.write(JSON.object(run.noAnswerScores).text + "\n", toFile: naProbabilities) }

    if let failure = run.firstFailure {
      try Output.write(
        "spanqa: \(run.failures) of \(total) questions could not be answered and score 0; the first is \(failure)",
        to: .standardError)
    }
    let report = try run.report()
    let memory = PeakMemory.bytes
    if json {
      try Output.write(
        JSON.object(
          report.members + [
            ("failed", .integer(run.failures)), ("seconds", .number(run.seconds)),
            ("questions_per_second", .number(run.questionsPerSecond)),
            ("tokens_per_second", .number(run.tokensPerSecond)), ("peak_memory_bytes", .integer(memory)),
          ]
        ).text)
    } else {
      let speed = "\(run.questionsPerSecond.short) questions/s, \(run.tokensPerSecond.short) tokens/s"
      for line in Table.lines(report.rows + [("speed", speed), ("peak memory", "\(memory >> 20) MiB")]) {
        try Output.write(line)
      }
    }
  }
}

/// A pass over a dataset: what was answered, and how fast.
private struct EvaluationRun {
  private(set) var predictions: [(String, JSON)] = []
  private(set) var noAnswerScores: [(String, JSON)] = []
  private(set) var failures = 0
  private(set) var firstFailure: String?
  private(set) var seconds = 0.0
  private var tokens = 0
  private let total: Int
  private var evaluation: Evaluation
  private var probabilities = QuestionValues<Double>()

  init(
    questions: consuming QuestionStream, total: Int, version: Evaluation.Version, batcher: consuming AnswerBatcher
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
private struct QuestionStream {
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

/// A dataset without questions has no score.
private struct EmptyDataset: Error, CustomStringConvertible {
  let path: String

  var description: String { "\(path): holds no questions; give a dataset that does" }
}
