import ArgumentParser
import SQuAD

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// `spanqa dataset`
struct DatasetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dataset",
    abstract: "Checks a dataset: counts, lengths in tokens, and what is wrong with it; or parts it in two.",
    discussion: """
      Reads SQuAD 1.1 and 2.0 JSON, and JSONL of id, question and context, a paragraph at a time: the file may be larger than memory. \
      Counted as wrong are answers that the passage does not have at their answer_start (in Unicode scalars, which is what Python \
      calls characters), and duplicates.

      --split parts it by articles into train and dev, for training; the lines of one passage stay together where there are no articles.
      """)

  @Argument(help: ArgumentHelp("The dataset (- for standard input).", valueName: "file|-"))
  var file: String

  @OptionGroup var model: ModelOption

  @Flag(help: "Print a JSON object.")
  var json = false

  @Option(help: ArgumentHelp("Part the dataset: about this share of the questions goes to dev, whole articles each.", valueName: "share"))
  var split: Double?

  @Option(help: ArgumentHelp("Where train and dev go.", valueName: "folder"))
  var output: String?

  @Option(help: "Decides which articles go to dev.")
  var seed: UInt64 = 0

  func validate() throws {
    if let split, !(split > 0 && split < 1) { throw ValidationError("--split takes a share between 0 and 1") }
    if (split == nil) != (output == nil) { throw ValidationError("--split and --output go together") }
    if split != nil, file == TextInput.standardInputName { throw ValidationError("--split reads its file twice; name one") }
  }

  func run() throws {
    if let split, let output {
      let parts = try DatasetSplit(path: file, share: split, seed: seed).write(to: output)
      for part in [parts.train, parts.dev] {
        try Output.write("\(part.path): \(part.questions) questions of \(part.articles) articles")
      }
      return
    }
    let tokenizer = try model.tokenizer()
    let reader =
      file == TextInput.standardInputName
      ? DatasetReader(descriptor: STDIN_FILENO, name: "standard input") : try DatasetReader(path: file)
    var report = DatasetReport()
    var progress = ProgressBar("questions", total: nil)
    while let paragraph = try reader.next() {
      report.add(paragraph) { tokenizer.encode($0).count }
      progress.update(report.questions)
    }
    progress.finish()
    if json {
      try Output.write(JSON(report, version: reader.version).text)
    } else {
      for line in report.lines(version: reader.version) { try Output.write(line) }
    }
  }
}

extension JSON {
  fileprivate init(_ report: DatasetReport, version: String?) {
    self = .object([
      ("version", version.map(JSON.string) ?? .null),
      ("articles", .integer(report.articles)),
      ("passages", .integer(report.paragraphs)),
      ("questions", .integer(report.questions)),
      ("answers", .integer(report.answers)),
      ("questions_without_answer", .integer(report.unanswered)),
      ("misplaced_answers", .integer(report.misplacedAnswers)),
      (
        "misplaced_examples",
        .array(
          report.misplacedExamples.map {
            .object([
              ("place", .string($0.place.description)), ("text", .string($0.text)),
              ("answer_start", $0.start.map(JSON.integer) ?? .null), ("found", $0.found.map(JSON.string) ?? .null),
            ])
          })
      ),
      ("duplicate_ids", .integer(report.duplicateIDs)),
      ("duplicate_id_examples", .array(report.duplicateIDExamples.map { .string($0.description) })),
      ("duplicate_questions", .integer(report.duplicateQuestions)),
      ("duplicate_passages", .integer(report.duplicatePassages)),
      ("question_tokens", JSON(report.questionTokens)),
      ("passage_tokens", JSON(report.passageTokens)),
      ("input_tokens", JSON(report.inputTokens)),
    ])
  }

  private init(_ lengths: LengthHistogram) {
    self = .object([
      ("least", lengths.least.map(JSON.integer) ?? .null),
      ("mean", .number(lengths.mean)),
      ("most", lengths.most.map(JSON.integer) ?? .null),
      (
        "bins",
        .array(
          lengths.bins.map {
            .object([
              ("from", .integer($0.lengths.lowerBound)), ("to", .integer($0.lengths.upperBound)),
              ("count", .integer($0.count)),
            ])
          })
      ),
    ])
  }
}

extension DatasetReport {
  fileprivate func lines(version: String?) -> [String] {
    var lines = Table.lines([
      ("version", version ?? "–"), ("articles", "\(articles)"), ("passages", "\(paragraphs)"),
      ("questions", "\(questions)"), ("answers", "\(answers)"), ("questions without answer", "\(unanswered)"),
      ("misplaced answers", "\(misplacedAnswers)"), ("duplicate ids", "\(duplicateIDs)"),
      ("duplicate questions", "\(duplicateQuestions)"), ("duplicate passages", "\(duplicatePassages)"),
    ])
    for answer in misplacedExamples {
      // Texts as JSON: on one line, and what is white space can be seen.
      let said = answer.start.map { "at \($0)" } ?? "nowhere said"
      let found = answer.found.map { JSON.string($0).text } ?? "nothing"
      lines.append("misplaced: \(answer.place): \(JSON.string(answer.text).text) \(said), found \(found)")
    }
    for place in duplicateIDExamples { lines.append("duplicate id: \(place)") }
    lines += Self.histogram("question tokens", questionTokens)
    lines += Self.histogram("passage tokens", passageTokens)
    lines += Self.histogram("input tokens", inputTokens)
    return lines
  }

  private static func histogram(_ name: String, _ lengths: LengthHistogram) -> [String] {
    guard let least = lengths.least, let most = lengths.most else { return [] }
    let largest = lengths.bins.map(\.count).max() ?? 1
    return ["\(name): \(least) to \(most), mean \(lengths.mean.short)"]
      + Table.lines(
        lengths.bins.map { bin in
          let stars = String(repeating: "*", count: (bin.count * 50 + largest - 1) / largest)
          return ("  \(bin.lengths.lowerBound)–\(bin.lengths.upperBound)", "\(bin.count) \(stars)")
        })
  }
}
