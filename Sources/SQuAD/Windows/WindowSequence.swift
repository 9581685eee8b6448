import WordPiece

/// The windows that a question and a passage make, first to last; each is built when asked for, in time and memory
/// proportional to its own length.
///
/// Every window but the last holds as many tokens of the passage as fit, and begins `docStride` tokens before the end
/// of the one before it: the windows that Hugging Face's `tokenizers` gives for `truncation="only_second"` with that
/// stride. The last one ends with the passage and is as short as that makes it.
public struct WindowSequence: Sendable, RandomAccessCollection {
  private let questionIDs: [Int32]
  private let passage: Encoding
  private let classificationID: Int32
  private let separatorID: Int32

  /// How many tokens of the passage fit into a window.
  private let room: Int
  /// How many tokens of the passage lie between the beginnings of two windows.
  private let step: Int

  /// The length of the longest window in tokens: that of all but the last one.
  public var longestLength: Int { questionIDs.count + Swift.min(room, passage.count) + Window.specialTokenCount }

  public let startIndex = 0
  public let endIndex: Int

  public init(
    question: Encoding, passage: Encoding, classificationID: Int32, separatorID: Int32,
    options: WindowOptions = WindowOptions()
  ) throws(WindowError) {
    guard question.count > 0 else { throw .emptyQuestion }
    guard passage.count > 0 else { throw .emptyPassage }
    guard options.maxQuestionLength >= 1 else {
      throw .invalidOption(name: "maxQuestionLength", value: options.maxQuestionLength, least: 1)
    }
    guard options.docStride >= 0 else {
      throw .invalidOption(name: "docStride", value: options.docStride, least: 0)
    }
    guard options.maxSequenceLength >= 1 else {
      throw .invalidOption(name: "maxSequenceLength", value: options.maxSequenceLength, least: 1)
    }
    questionIDs = Array(question.ids.prefix(options.maxQuestionLength))
    self.passage = passage
    self.classificationID = classificationID
    self.separatorID = separatorID
    room = options.maxSequenceLength - questionIDs.count - Window.specialTokenCount
    guard room > 0 else {
      throw .windowTooSmall(maxSequenceLength: options.maxSequenceLength, questionTokens: questionIDs.count)
    }
    step = room - options.docStride
    let rest = passage.count - room
    if rest <= 0 {
      endIndex = 1
    } else {
      guard step > 0 else { throw .strideLeavesNoProgress(docStride: options.docStride, room: room) }
      endIndex = 1 + (rest - 1) / step + 1
    }
  }

  public subscript(position: Int) -> Window {
    precondition(indices.contains(position), "window index out of range")
    let start = position * step
    let tokens = start..<Swift.min(start + room, passage.count)
    var ids: [Int32] = []
    ids.reserveCapacity(questionIDs.count + tokens.count + Window.specialTokenCount)
    ids.append(classificationID)
    ids += questionIDs
    ids.append(separatorID)
    let passageStart = ids.count
    ids += passage.ids[tokens]
    ids.append(separatorID)
    return Window(ids: ids, passageTokens: tokens, passageStart: passageStart)
  }
}
