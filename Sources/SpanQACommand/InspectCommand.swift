import ArgumentParser
import Inspection
import SpanQA

/// `spanqa inspect`
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Shows what goes on inside the model while it answers, as a page.",
    discussion: """
      The page is one file that needs nothing else: the answer and its runners-up, tokens, logits, windows, the attention of every head, \
      how the answer forms layer by layer, norms, float32 beside int8, the timeline and the memory. --json prints the same as data. \
      docs/inside.md is the tour.

      --ablate-head 3.7 leaves out a head and --ablate-layer 5 a layer; the page then shows that pass, and how answer and logits change.
      """)

  @Option(help: "The question.")
  var question: String

  @OptionGroup var passage: PassageOptions

  @Option(help: ArgumentHelp("Where the page goes.", valueName: "file"))
  var html: String?

  @Flag(help: "Print everything as a JSON object.")
  var json = false

  @Option(help: "Which window of a long passage to look at, from 0. Without it: the answer's.")
  var window: Int?

  @Option(help: "How many candidate answers to rank.")
  var topK = 5

  @Option(help: "The longest answer, in tokens.")
  var maxAnswerLength = Options().maxAnswerLength

  @OptionGroup var reading: ReadingOptions
  @OptionGroup var ablation: AblationOptions
  @OptionGroup var model: ModelOption

  func validate() throws {
    try passage.validateSource()
    if html == nil && !json { throw ValidationError("give a file with --html, or --json") }
    for (name, value) in [("--top-k", topK), ("--max-answer-length", maxAnswerLength)] where value < 1 {
      throw ValidationError("\(name) takes a number from 1 on")
    }
  }

  func run() throws {
    if let html { try Output.checkWritable(html) }
    let report = try model.inspector().inspect(
      question, in: passage.text(), options: reading.options(topK: topK, maxAnswerLength: maxAnswerLength), window: window,
      ablation: ablation.ablation())
    if let html { try Output.write(report.html(), toFile: html) }
    if json {
      try Output.write(report.json())
    } else if let study = report.ablation {
      for line in study.lines { try Output.write(line) }
    } else {
      try Output.write(report.answers.first?.text ?? "")
    }
  }
}
