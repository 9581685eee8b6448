import SQuAD
import WordPiece

/// Why a request cannot be answered.
public enum AnswerError: Error, Equatable, CustomStringConvertible {
  /// Question, passage and window do not go together.
  case windows(WindowError)
  case windowTooLong(Int, positions: Int)
  /// The fixed padding is shorter than a window may be.
  case paddingTooShort(Int, maxSequenceLength: Int)
  case optionTooSmall(String, value: Int, least: Int)

  public var description: String {
    switch self {
    case .windows(let error):
      error.description
    case .windowTooLong(let length, let positions):
      "a window of \(length) tokens is longer than the model's \(positions) positions; choose a maximum sequence length up to that"
    case .paddingTooShort(let length, let maxSequenceLength):
      "windows of up to \(maxSequenceLength) tokens do not fit \(length) padded rows; choose a shorter maximum sequence length "
        + "or more padding"
    case .optionTooSmall(let name, let value, let least):
      "\(name) is \(value); it must be at least \(least)"
    }
  }
}

/// Why a model and a tokeniser cannot answer questions together.
public enum ModelMismatch: Error, Equatable, CustomStringConvertible {
  case notQuestionAnswering(outputs: Int?)
  case vocabulary(tokens: Int, embeddingRows: Int)

  /// - Throws: `vocabulary` where a tokeniser has more tokens than the embedding table has rows, or many fewer.
  package static func check(vocabulary: Vocabulary, embeddingRows rows: Int) throws(ModelMismatch) {
    // Tables are sometimes padded to a round number of rows, never by as much as a warp of 128.
    if vocabulary.count > rows || rows - vocabulary.count >= 128 {
      throw .vocabulary(tokens: vocabulary.count, embeddingRows: rows)
    }
  }

  public var description: String {
    switch self {
    case .notQuestionAnswering(let outputs):
      "the model gives \(outputs.map { "\($0) values" } ?? "no values of a head") a token where question answering needs 2 "
        + "(start and end); export it with a question-answering head"
    case .vocabulary(let tokens, let embeddingRows):
      "the tokeniser has \(tokens) tokens and the model's embedding table \(embeddingRows) rows; "
        + "use the vocabulary that the model was trained with"
    }
  }
}
