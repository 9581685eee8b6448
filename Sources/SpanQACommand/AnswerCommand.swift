import ArgumentParser
import Encoder
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

      --ablate-head 3.7 leaves out a head and --ablate-layer 5 a layer, and shows how answer and logits change.
      """)

  @Option(help: "The question.")
  var question: String?

  @OptionGroup var passage: PassageOptions

  @Option(help: ArgumentHelp("Questions with their passages, a JSON object a line (- for standard input).", valueName: "file|-"))
  var jsonl: String?

  @OptionGroup var model: ModelOption
  @OptionGroup var answering: AnsweringOptions
  @OptionGroup var batching: BatchingOptions
  @OptionGroup var ablation: AblationOptions

  @Flag(help: "Print a JSON object.")
  var json = false

  func validate() throws {
    if jsonl != nil {
      if question != nil || passage.isGiven {
        throw ValidationError("--jsonl holds questions and passages; leave out --question, --passage and --passage-file")
      }
      if try !ablation.ablation().isEmpty { throw ValidationError("--ablate-head and --ablate-layer take one --question") }
      return
    }
    if question == nil { throw ValidationError("give a question with --question, or many with --jsonl") }
    try passage.validateSource()
  }

  func run() async throws {
    guard let question else { return try answerLines() }
    let passage = try self.passage.text()
    let ablation = try self.ablation.ablation()
    guard ablation.isEmpty else { return try printChange(question, in: passage, without: ablation) }
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
  private func printChange(_ question: String, in passage: String, without ablation: Ablation) throws {
    let study = try model.inspector().ablate(ablation, question: question, in: passage, options: answering.options)
    if json {
      try Output.write(JSON(study).text)
    } else {
      for line in study.lines { try Output.write(line) }
    }
  }

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
