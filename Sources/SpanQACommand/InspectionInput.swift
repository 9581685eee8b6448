import ArgumentParser
import Encoder
import Inspection
import SpanQA

/// What a subcommand that looks inside the model runs: a question and its passage, or one sequence of token ids.
struct InspectionInput: ParsableArguments {
  @Option(help: "The question.")
  var question: String?

  @OptionGroup var passage: PassageOptions

  @Option(help: ArgumentHelp("One sequence of token ids as JSON, {\"input_ids\": [[…]]}, instead of texts.", valueName: "file|-"))
  var input: String?

  @Option(help: "Which window of a long passage, from 0.")
  var window = 0

  @OptionGroup var reading: ReadingOptions

  func validate() throws {
    if (question == nil) == (input == nil) { throw ValidationError("give a question with --question, or token ids with --input") }
    if input == nil { try passage.validateSource() }
    if input != nil, passage.isGiven { throw ValidationError("--input holds token ids; leave out --passage and --passage-file") }
  }

  /// The sequence to run.
  func batch(_ model: ModelOption) throws -> PackedBatch {
    if let input {
      let batch = try TokenBatch(contentsOf: input).packed()
      guard batch.sequenceCount == 1 else { throw InspectionInputError.sequences(batch.sequenceCount) }
      return batch
    }
    let text = try QuestionText(
      question: question ?? "", passage: passage.text(), tokenizer: model.tokenizer(),
      options: reading.options(topK: 1, maxAnswerLength: Options().maxAnswerLength))
    guard text.windows.indices.contains(window) else { throw InspectionError.window(window, count: text.windows.count) }
    return PackedBatch([text.windows[window].ids])
  }
}

/// The parts of the model that a pass goes without.
struct AblationOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Leave a head out: its context is zero. May be given several times.", valueName: "layer.head"))
  var ablateHead: [String] = []

  @Option(help: ArgumentHelp("Leave a layer out: it hands its input on. May be given several times.", valueName: "layer"))
  var ablateLayer: [Int] = []

  func validate() throws { _ = try ablation() }

  func ablation() throws -> Ablation {
    Ablation(
      heads: Set(
        try ablateHead.map { text in
          let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
          guard parts.count == 2, let layer = parts[0], let head = parts[1] else {
            throw ValidationError("--ablate-head takes a layer and a head, such as 3.7; not \(text)")
          }
          return Ablation.Head(layer: layer, head: head)
        }),
      layers: Set(ablateLayer))
  }
}

/// Why there is nothing to look at.
enum InspectionInputError: Error, CustomStringConvertible {
  case sequences(Int)
  case noTensor(pattern: String, examples: [String])

  var description: String {
    switch self {
    case .sequences(let count): "--input holds \(count) sequences; give one, \"input_ids\": [[…]]"
    case .noTensor(let pattern, let examples):
      "no tensor is called '\(pattern)'; names are \(examples.joined(separator: ", ")), … (docs/inside.md)"
    }
  }
}
