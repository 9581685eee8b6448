import ArgumentParser
import SpanQA

/// The options of reading a passage that subcommands share.
struct ReadingOptions: ParsableArguments {
  @Option(help: "How many tokens of the passage neighbouring windows share.")
  var docStride = Options().docStride

  @Option(help: "The longest window of question and passage, in tokens.")
  var maxSequenceLength = Options().maxSequenceLength

  @Option(help: "The question is cut off after this many tokens.")
  var maxQuestionLength = Options().maxQuestionLength

  @Flag(help: "Let the answer be empty where the model holds that the passage has none.")
  var handleImpossibleAnswer = false

  @Flag(help: "Widen an answer that ends inside a word to the whole word.")
  var alignToWords = false

  func options(topK: Int, maxAnswerLength: Int) -> Options {
    Options(
      topK: topK, maxAnswerLength: maxAnswerLength, docStride: docStride, maxSequenceLength: maxSequenceLength,
      maxQuestionLength: maxQuestionLength, handleImpossibleAnswer: handleImpossibleAnswer, alignToWords: alignToWords)
  }

  func validate() throws {
    for (name, value, least) in [
      ("--doc-stride", docStride, 0), ("--max-sequence-length", maxSequenceLength, 1),
      ("--max-question-length", maxQuestionLength, 1),
    ] where value < least {
      throw ValidationError("\(name) takes a number from \(least) on")
    }
  }
}

/// The options of `spanqa answer`.
struct AnsweringOptions: ParsableArguments {
  @Option(help: "How many candidate answers to rank.")
  var topK = Options().topK

  @Option(help: "The longest answer, in tokens.")
  var maxAnswerLength = Options().maxAnswerLength

  @OptionGroup var reading: ReadingOptions

  var options: Options { reading.options(topK: topK, maxAnswerLength: maxAnswerLength) }

  func validate() throws {
    for (name, value) in [("--top-k", topK), ("--max-answer-length", maxAnswerLength)] where value < 1 {
      throw ValidationError("\(name) takes a number from 1 on")
    }
  }
}
