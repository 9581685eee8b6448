import ArgumentParser
import SQuAD
import SpanQA

/// `spanqa answer`
struct AnswerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "answer",
    abstract: "Answers a question from a passage.",
    discussion: """
      The passage comes from --passage, --passage-file or standard input. The plain output is the answer alone; --json adds its \
      place (in Unicode scalars, which is what Python calls characters), its score and the alternatives.

      --jsonl answers many: {"id": …, "question": …, "context": …} a line in, one JSON line out for each, in order, as soon as it is \
      there. A line that cannot be answered gives {"id": …, "error": …}; the rest goes on, and the exit code is 1.
      """)

  @Option(help: "The question.")
  var question: String?

  @Option(help: "The passage.")
  var passage: String?

  @Option(help: ArgumentHelp("A UTF-8 text file that holds the passage (- for standard input).", valueName: "file|-"))
  var passageFile: String?

  @Option(help: ArgumentHelp("Questions with their passages, a JSON object a line (- for standard input).", valueName: "file|-"))
  var jsonl: String?

  @OptionGroup var model: ModelOption
  @OptionGroup var answering: AnsweringOptions
  @OptionGroup var batching: BatchingOptions

  @Flag(help: "Print a JSON object.")
  var json = false

  func validate() throws {
    if jsonl != nil {
      if question != nil || passage != nil || passageFile != nil {
        throw ValidationError("--jsonl holds questions and passages; leave out --question, --passage and --passage-file")
      }
      return
    }
    if question == nil { throw ValidationError("give a question with --question, or many with --jsonl") }
    if passage != nil && passageFile != nil { throw ValidationError("give either --passage or --passage-file") }
    if passage == nil && passageFile == nil && TextInput.standardInputIsTerminal {
      throw ValidationError("give a passage with --passage, --passage-file or standard input")
    }
  }

  func run() async throws {
    guard let question else { return try answerLines() }
    let passage = try self.passage ?? TextInput.contents(of: passageFile ?? TextInput.standardInputName)
    let answer = try model.questionAnswerer(batching: batching).answer(question, in: passage, options: answering.options)
    if json {
      try Output.write(JSON(answer).text)
    } else {
      try Output.write(answer.text)
      if TextInput.standardOutputIsTerminal { try Output.write(answer.lineOfContext(in: passage)) }
      for span in answer.alternatives {
        try Output.write(span.text)
      }
    }
  }
}

extension AnswerCommand {
  private func answerLines() throws {
    let path = jsonl ?? TextInput.standardInputName
    let lines =
      path == TextInput.standardInputName
      ? QuestionLines(descriptor: 0, name: "standard input") : try QuestionLines(path: path)
    var answers = try AnswerLines(
      lines, batcher: model.questionAnswerer(batching: batching).batcher(options: answering.options))
    try answers.run()
    if answers.failures > 0 { throw UnansweredLines(count: answers.failures) }
  }
}

extension JSON {
  /// The object that `spanqa answer --json` prints.
  init(_ answer: Answer, id: String? = nil) {
    var members = id.map { [("id", JSON.string($0))] } ?? []
    members += Self.members(of: answer.best)
    members.append(("no_answer_score", .number(answer.noAnswerScore)))
    members.append(("alternatives", .array(answer.alternatives.map { .object(Self.members(of: $0)) })))
    self = .object(members)
  }

  private static func members(of span: Answer.Span) -> [(String, JSON)] {
    [
      ("answer", .string(span.text)),
      ("start", .integer(span.scalarRange.lowerBound)),
      ("end", .integer(span.scalarRange.upperBound)),
      ("score", .number(span.score)),
    ]
  }
}

extension Answer {
  /// The answer in its surroundings, on one line that fits a terminal: `… words **answer** words …`.
  func lineOfContext(in passage: String) -> String {
    let reach = 40
    let start = passage.index(range.lowerBound, offsetBy: -reach, limitedBy: passage.startIndex) ?? passage.startIndex
    let end = passage.index(range.upperBound, offsetBy: reach, limitedBy: passage.endIndex) ?? passage.endIndex
    let before = (start > passage.startIndex ? "…" : "") + passage[start..<range.lowerBound]
    let after = passage[range.upperBound..<end] + (end < passage.endIndex ? "…" : "")
    let bold = "\u{1b}[1m", plain = "\u{1b}[0m"
    return "  " + printable(before) + bold + printable(text) + plain + printable(after)
  }

  /// Line breaks and control characters as spaces: a passage must not steer the terminal.
  private func printable(_ text: some StringProtocol) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
  }
}
