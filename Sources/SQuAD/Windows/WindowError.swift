/// Why a question and a passage make no windows.
public enum WindowError: Error, Equatable, CustomStringConvertible {
  /// The question has no tokens: it is empty, or all of it is white space or control characters.
  case emptyQuestion
  /// The passage has no tokens.
  case emptyPassage
  /// A length or the stride is less than makes sense.
  case invalidOption(name: String, value: Int, least: Int)
  /// A window of `maxSequenceLength` tokens has no room for the passage beside the question.
  case windowTooSmall(maxSequenceLength: Int, questionTokens: Int)
  /// Every window of `room` passage tokens would only repeat what the one before it held.
  case strideLeavesNoProgress(docStride: Int, room: Int)

  public var description: String {
    switch self {
    case .emptyQuestion:
      "the question is empty: ask something"
    case .emptyPassage:
      "the passage is empty: give the text to look for the answer in"
    case .invalidOption(let name, let value, let least):
      "\(name) is \(value): give at least \(least)"
    case .windowTooSmall(let maxSequenceLength, let questionTokens):
      """
      a window of \(maxSequenceLength) tokens has no room for the passage beside a question of \(questionTokens) \
      and \(Window.specialTokenCount) special ones: raise the window's length or ask a shorter question
      """
    case .strideLeavesNoProgress(let docStride, let room):
      """
      windows that hold \(room) passage tokens cannot share \(docStride) with their neighbour: \
      lower the stride below \(room), raise the window's length or ask a shorter question
      """
    }
  }
}
