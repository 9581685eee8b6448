import Encoder
import SQuAD
import WordPiece

/// Questions of a dataset, evenly spread over it, as windows for calibration.
struct CalibrationQuestions {
  /// The windows of each question.
  private(set) var windows: [[Window]] = []

  /// - Parameter samples: how many questions; all where the file has no more.
  init(path: String, samples: Int, tokenizer: Tokenizer, positions: Int) throws {
    // One pass to count and one to take, so that no more than the chosen questions is ever in memory.
    var total = 0
    let counter = try DatasetReader(path: path)
    while let paragraph = try counter.next() { total += paragraph.questions.count }
    guard total > 0 else { throw CalibrationError(path: path) }

    let count = min(samples, total)
    let options = WindowOptions(maxSequenceLength: min(WindowOptions().maxSequenceLength, positions))
    var index = 0
    let reader = try DatasetReader(path: path)
    while let paragraph = try reader.next() {
      var passage: Encoding?
      for question in paragraph.questions {
        defer { index += 1 }
        // Question k is the one that stands k · total / count from the beginning.
        guard (index * count) % total < count else { continue }
        let encoded = passage ?? tokenizer.encode(paragraph.context)
        passage = encoded
        // A question or passage without a token has nothing to show.
        guard
          let sequence = try? WindowSequence(
            question: tokenizer.encode(question.text), passage: encoded, classificationID: tokenizer.classificationID,
            separatorID: tokenizer.separatorID, options: options)
        else { continue }
        windows.append(Array(sequence))
      }
    }
  }

  /// Runs the windows through an encoder, several questions at once; calls `progress` with how many questions are done.
  func run(through encoder: Encoder, tokenBudget: Int, progress: (Int) -> Void) throws {
    var batch = PackedBatch()
    for (index, question) in windows.enumerated() {
      for window in question {
        if batch.sequenceCount > 0, batch.tokenCount + window.ids.count > tokenBudget {
          _ = try encoder.forward(batch)
          batch = PackedBatch()
          progress(index)
        }
        batch.append(window.ids)
      }
    }
    if batch.sequenceCount > 0 { _ = try encoder.forward(batch) }
    progress(windows.count)
  }
}

/// A file without questions.
struct CalibrationError: Error, CustomStringConvertible {
  let path: String

  var description: String { "\(path): holds no questions; give SQuAD JSON, or JSONL with id, question and context" }
}
