import Encoder
import Kernels
import SQuAD
import WordPiece

/// Answers many requests with few passes of the encoder: the windows of all of them stand end to end in batches of at most
/// a token budget, so that memory is bounded whatever the mix.
///
/// Each batch takes one window of every open request in turn, so a long passage never holds up a short one by more than a
/// batch; answers come out in the order of the requests.
struct AnswerBatcher {
  private let answerer: QuestionAnswerer
  private let options: Options

  /// Requests not yet tokenised, with their number.
  private var waiting: [(index: Int, request: Request)] = []
  private var waitingBytes = 0
  private var open: [Job] = []
  private var finished: [Int: Result<Answer, AnswerError>] = [:]
  private var admitted = 0
  private var delivered = 0

  /// The passages tokenised last: many questions on one passage tokenise it once.
  private var passages: [String: TokenizedPassage] = [:]

  init(_ answerer: QuestionAnswerer, options: Options) {
    self.answerer = answerer
    self.options = options
  }

  /// Whether another request would help to fill the next batch. False too while as many answers as `readAhead` wait for an
  /// earlier one, which bounds the memory of a stream that starts with a long passage.
  var wantsMore: Bool {
    admitted - delivered < Self.readAhead
      // A token of English text takes about four bytes.
      && waitingBytes / 4 + open.reduce(0, { $0 + $1.tokensLeft }) < answerer.tokenBudget
  }

  private static let readAhead = 1024

  /// Whether every admitted request has been answered and the answer taken.
  var isEmpty: Bool { admitted == delivered }

  mutating func admit(_ request: Request) {
    waiting.append((admitted, request))
    waitingBytes += request.passage.utf8.count + request.question.utf8.count
    admitted += 1
  }

  /// The next answer in the order of the requests, if it is there.
  mutating func popFinished() -> Result<Answer, AnswerError>? {
    guard let result = finished.removeValue(forKey: delivered) else { return nil }
    delivered += 1
    return result
  }

  /// Computes one batch.
  ///
  /// - Throws: what the encoder throws; the requests' own errors are results.
  mutating func runBatch() throws {
    openWaiting()
    var batch = PackedBatch()
    // Which job each sequence of the batch belongs to.
    var owners: [Int] = []
    fill: while true {
      let before = batch.sequenceCount
      for job in open.indices {
        guard let window = open[job].windowToCompute else { continue }
        if batch.sequenceCount > 0 && batch.tokenCount + window.ids.count > answerer.tokenBudget { break fill }
        batch.append(window.ids)
        owners.append(job)
        open[job].advance()
      }
      if batch.sequenceCount == before { break }
    }
    guard batch.sequenceCount > 0 else { return }

    let output = try answerer.encoder.forward(batch)
    // Of a graph that runs node by node this is known only now.
    guard output.outputs == 2 else { throw ModelMismatch.notQuestionAnswering(outputs: output.outputs) }
    for (sequence, job) in owners.enumerated() {
      open[job].add(start: output.column(0, ofSequence: sequence), end: output.column(1, ofSequence: sequence))
    }
    for job in open where job.isComplete {
      finished[job.index] = .success(job.answer())
    }
    open.removeAll(where: \.isComplete)
  }

  /// Tokenises the waiting requests, several at once, and opens them.
  private mutating func openWaiting() {
    let requests = waiting
    waiting = []
    waitingBytes = 0
    guard !requests.isEmpty else { return }

    let tokenizer = answerer.tokenizer
    let unknown = Array(Set(requests.map(\.request.passage)).subtracting(passages.keys))
    let tokenized = answerer.map(unknown) { TokenizedPassage($0, tokenizer: tokenizer) }
    let questions = answerer.map(requests) { tokenizer.encode($0.request.question) }
    for (text, passage) in zip(unknown, tokenized) { passages[text] = passage }

    for ((index, request), question) in zip(requests, questions) {
      guard let passage = passages[request.passage] else { continue }
      do {
        let windows = try WindowSequence(
          question: question, passage: passage.encoding, classificationID: tokenizer.classificationID,
          separatorID: tokenizer.separatorID, options: options.windowing)
        open.append(Job(index: index, windows: windows, passage: passage, options: options))
      } catch {
        finished[index] = .failure(.windows(error))
      }
    }
    // Keep what the next requests are likely to ask about.
    let recent = Set(requests.map(\.request.passage))
    passages = passages.filter { recent.contains($0.key) }
  }
}
