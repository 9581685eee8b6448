import Encoder
import Kernels
import SQuAD
import WordPiece

/// Answers many requests with few passes of the encoder: the windows of all of them stand end to end in batches of at most
/// a token budget, so that memory is bounded whatever the mix.
///
/// Each batch takes one window of every open request in turn, so a long passage never holds up a short one by more than a
/// batch; answers come out in the order of the requests.
package struct AnswerBatcher {
  private let answerer: QuestionAnswerer
  private let options: Options

  /// Requests not yet tokenised, with their number.
  private var waiting: [(index: Int, request: Request)] = []
  private var waitingBytes = 0
  private var open: [Job] = []
  private var finished: [Int: Result<Answer, AnswerError>] = [:]
  private var admitted = 0
  private var delivered = 0

  /// How many tokens have been computed, padding not among them.
  package private(set) var tokenCount = 0

  private var cache = PassageCache()

  init(_ answerer: QuestionAnswerer, options: Options) {
    self.answerer = answerer
    self.options = options
  }

  /// Whether another request would help to fill the next batch. False too while as many answers as `readAhead` wait for an
  /// earlier one, which bounds the memory of a stream that starts with a long passage.
  package var wantsMore: Bool {
    admitted - delivered < Self.readAhead
      // A token of English text takes about four bytes.
      && waitingBytes / 4 + open.reduce(0, { $0 + $1.tokensLeft }) < answerer.tokenBudget
  }

  private static let readAhead = 1024

  /// Whether every admitted request has been answered and the answer taken.
  package var isEmpty: Bool { admitted == delivered }

  package mutating func admit(_ request: Request) {
    waiting.append((admitted, request))
    waitingBytes += request.passage.utf8.count + request.question.utf8.count
    admitted += 1
  }

  /// The next answer in the order of the requests, if it is there.
  package mutating func popFinished() -> Result<Answer, AnswerError>? {
    guard let result = finished.removeValue(forKey: delivered) else { return nil }
    delivered += 1
    return result
  }

  /// Computes one batch.
  ///
  /// - Throws: what the encoder throws; the requests' own errors are results.
  package mutating func runBatch() throws {
    openWaiting()
    let windows = takeWindows()
    guard !windows.isEmpty else { return }
    let rows = answerer.padding.rowCount(longest: windows.map(\.ids.count).max() ?? 0)
    var batch = PackedBatch()
    for window in windows { batch.append(window.ids, paddedLength: rows) }

    let output = try answerer.encoder.forward(batch)
    // Of a graph that runs node by node this is known only now.
    guard output.outputs == 2 else { throw ModelMismatch.notQuestionAnswering(outputs: output.outputs) }
    for (sequence, window) in windows.enumerated() {
      // What stands behind the tokens is padding.
      open[window.job].add(
        start: Array(output.column(0, ofSequence: sequence).prefix(window.ids.count)),
        end: Array(output.column(1, ofSequence: sequence).prefix(window.ids.count)))
      tokenCount += window.ids.count
    }
    for job in open where job.isComplete {
      finished[job.index] = .success(job.answer())
    }
    open.removeAll(where: \.isComplete)
  }

  /// The next batch's windows, each with the place of its job in `open`: one of every job in turn, for as long as the budget holds
  /// them all with their padding; one at least.
  private mutating func takeWindows() -> [(job: Int, ids: [Int32])] {
    var windows: [(job: Int, ids: [Int32])] = []
    var (tokens, longest) = (0, 0)
    while true {
      let before = windows.count
      for job in open.indices {
        guard let ids = open[job].windowToCompute?.ids else { continue }
        let padded = (windows.count + 1) * answerer.padding.rowCount(longest: max(longest, ids.count))
        if !windows.isEmpty && max(tokens + ids.count, padded) > answerer.tokenBudget { return windows }
        windows.append((job, ids))
        tokens += ids.count
        longest = max(longest, ids.count)
        open[job].advance()
      }
      if windows.count == before { return windows }
    }
  }

  /// Tokenises the waiting requests, several at once, and opens them.
  private mutating func openWaiting() {
    let requests = waiting
    waiting = []
    waitingBytes = 0
    guard !requests.isEmpty else { return }

    let answerer = answerer
    let tokenizer = answerer.tokenizer
    let passages = cache.passages(of: requests.map(\.request.passage)) { texts in
      answerer.map(texts) { TokenizedPassage($0, tokenizer: tokenizer) }
    }
    let questions = answerer.map(requests) { tokenizer.encode($0.request.question) }
    for ((index, _), (passage, question)) in zip(requests, zip(passages, questions)) {
      do {
        let windows = try WindowSequence(
          question: question, passage: passage.encoding, classificationID: tokenizer.classificationID,
          separatorID: tokenizer.separatorID, options: options.windowing)
        open.append(Job(index: index, windows: windows, passage: passage, options: options))
      } catch {
        finished[index] = .failure(.windows(error))
      }
    }
  }
}
