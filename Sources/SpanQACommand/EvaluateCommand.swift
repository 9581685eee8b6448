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

/// A dataset without questions has no score.
struct EmptyDataset: Error, CustomStringConvertible {
  let path: String

  var description: String { "\(path): holds no questions; give a dataset that does" }
}
