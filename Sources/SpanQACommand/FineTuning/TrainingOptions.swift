import ArgumentParser
import FineTuning
import Inspection
import SQuAD

/// How a dataset becomes windows to train on.
struct TrainingDataOptions: ParsableArguments {
  @Option(help: "Train on the first so many questions only.")
  var limit: Int?

  @Option(help: "The longest window of question and passage, in tokens.")
  var maxLength = WindowOptions().maxSequenceLength

  @Option(help: "How many tokens of the passage neighbouring windows share.")
  var docStride = WindowOptions().docStride

  @Option(help: "The question is cut off after this many tokens.")
  var maxQuestionLength = WindowOptions().maxQuestionLength

  @Option(
    help: """
      How many windows without the answer are kept of each question, chosen by the seed; all by default. A long passage has many, from \
      which little is learned.
      """)
  var negativeWindows: Int?

  func validate() throws {
    for (name, value, least) in [
      ("--limit", limit ?? 1, 1), ("--max-length", maxLength, 1), ("--doc-stride", docStride, 0),
      ("--max-question-length", maxQuestionLength, 1), ("--negative-windows", negativeWindows ?? 0, 0),
    ] where value < least {
      throw ValidationError("\(name) takes a number from \(least) on")
    }
  }

  func check(positions: Int) throws {
    if maxLength > positions { throw ValidationError("--max-length takes at most \(positions), the tokens that the model has positions for") }
  }

  var windows: WindowOptions {
    WindowOptions(maxSequenceLength: maxLength, docStride: docStride, maxQuestionLength: maxQuestionLength)
  }

  func options(seed: UInt64) -> TrainingSet.Options {
    TrainingSet.Options(windows: windows, questionLimit: limit ?? .max, negativeWindows: negativeWindows ?? .max, seed: seed)
  }
}

/// What a step does.
struct TrainingOptions: ParsableArguments {
  @Option(help: "Passes over the training questions; a fraction is a part of one.")
  var epochs = 2.0

  @Option(help: "Windows a batch.")
  var batchSize = 16

  @Option(help: "Batches a step: their gradients are summed before the weights change.")
  var accumulate = 1

  @Option(help: "The most tokens computed at once, which bounds the memory: a batch with more is computed in parts.")
  var tokenBudget = 4096

  @Option(help: "The highest learning rate.")
  var learningRate = 3e-5

  @Option(help: "The share of all steps in which the rate rises to the highest; then it falls to 0.")
  var warmup = 0.1

  @Option(help: "How much weights decay: AdamW's, not for biases and LayerNorm.")
  var weightDecay = 0.01

  @Option(help: "What the rate is multiplied by for each layer further from the head.")
  var layerDecay = 1.0

  @Option(help: "The largest norm of a step's gradient; 0 for any.")
  var clip = 1.0

  @Option(help: "The probability with which elements fall everywhere. Without it: what the model's config.json says.")
  var dropout: Float?

  @Option(help: "How much of an answer's probability is spread evenly over the window.")
  var labelSmoothing: Float = 0

  @Option(help: ArgumentHelp("A model whose logits are learned too: ONNX, or a checkpoint with a trained head.", valueName: "folder|file"))
  var teacher: String?

  @Option(help: "What both models' logits are divided by where the teacher's are learned.")
  var temperature: Float = 2

  @Option(help: "The teacher's share of the loss, from 0 to 1.")
  var teacherWeight: Float = 0.5

  @Option(
    help: ArgumentHelp(
      "Parameters that keep their values, by transformers' names: * for any characters, ? for one; several between commas.",
      valueName: "pattern"))
  var freeze: String?

  @Option(help: "Decides the order of the windows, dropout, a new head, and which windows without an answer are kept.")
  var seed: UInt64 = 0

  @Flag(help: "Take the windows in the file's order in every epoch.")
  var inOrder = false

  @Flag(help: "Keep only the layers' inputs and compute the rest again: less memory, a third more time, the same bits.")
  var recompute = false

  @Flag(
    help: """
      Change only the word embeddings of tokens that a step held. Saves time with large vocabularies; differs from AdamW, which lets every \
      word's embedding decay and follow its momentum in every step.
      """)
  var sparseEmbeddings = false

  func validate() throws {
    for (name, value) in [("--batch-size", batchSize), ("--accumulate", accumulate), ("--token-budget", tokenBudget)]
    where !(1...1_000_000).contains(value) {
      throw ValidationError("\(name) takes a number from 1 to 1000000")
    }
    for (name, value, range) in [
      ("--warmup", warmup, 0.0...1), ("--weight-decay", weightDecay, 0.0...1), ("--clip", clip, 0.0...1e9),
      ("--layer-decay", layerDecay, 0.0...1), ("--dropout", Double(dropout ?? 0), 0.0...0.99),
      ("--label-smoothing", Double(labelSmoothing), 0.0...0.99), ("--teacher-weight", Double(teacherWeight), 0.0...1),
      ("--temperature", Double(temperature), 0.01...1000), ("--learning-rate", learningRate, 0.0...1e9),
    ] where !range.contains(value) {
      throw ValidationError("\(name) takes a number from \(range.lowerBound) to \(range.upperBound)")
    }
    if !(epochs > 0 && epochs <= 100_000) { throw ValidationError("--epochs takes a number above 0") }
  }

  func options(dropout stated: DropoutProbabilities, threads: Int?) -> Trainer.Options {
    let distillation = teacher == nil ? nil : SpanLoss.Distillation(temperature: temperature, weight: teacherWeight)
    return Trainer.Options(
      epochs: epochs, batchSize: batchSize, accumulation: accumulate, tokenBudget: tokenBudget, learningRate: learningRate, warmup: warmup,
      optimizer: AdamW.Options(weightDecay: weightDecay, layerDecay: layerDecay, hasSparseWords: sparseEmbeddings),
      clipping: clip > 0 ? clip : nil, dropout: dropout.map { DropoutProbabilities(hidden: $0, attention: $0, head: $0) } ?? stated,
      loss: SpanLoss(labelSmoothing: labelSmoothing, distillation: distillation), seed: seed, shuffles: !inOrder,
      recomputes: recompute, threads: threads)
  }

  /// - Throws: where a pattern matches nothing: a misspelt one would train what was to stay.
  func freezePattern(names: [String]) throws -> NamePattern? {
    guard let freeze else { return nil }
    for part in freeze.split(separator: ",") where !names.contains(where: NamePattern(String(part)).matches) {
      throw ValidationError("--freeze: no parameter is called \(part); they are called like \(names[0]) and \(names[names.count - 1])")
    }
    return NamePattern(freeze)
  }
}

/// When the model is scored and the state is saved.
struct SupervisionOptions: ParsableArguments {
  @Option(help: "Score the model on the dev set every so many steps. Without it: at the end of each epoch.")
  var evaluateEvery: Int?

  @Option(help: "Score it on the first so many questions only.")
  var devLimit: Int?

  @Option(help: "Stop after so many scores in a row without a better F1 (early stopping).")
  var patience: Int?

  @Option(help: "Write a checkpoint every so many steps.")
  var checkpointEvery = 500

  func validate() throws {
    for (name, value) in [
      ("--evaluate-every", evaluateEvery ?? 1), ("--dev-limit", devLimit ?? 1), ("--patience", patience ?? 1),
      ("--checkpoint-every", checkpointEvery),
    ] where value < 1 {
      throw ValidationError("\(name) takes a number from 1 on")
    }
  }
}
