import SQuAD
import SpanQA

/// `spanqa answer --jsonl`: a line out for every line in, in order, each as soon as it and those before it are answered.
struct AnswerLines {
  private let lines: QuestionLines
  private var batcher: AnswerBatcher
  /// What the lines read so far wait for, in order.
  private var pending: ArraySlice<Pending> = []
  private(set) var failures = 0

  private enum Pending {
    case answer(id: String)
    case failure(id: String?, reason: String)
  }

  /// Lines read ahead, at most.
  private static let readAhead = 1024

  init(_ lines: QuestionLines, batcher: consuming AnswerBatcher) {
    self.lines = lines
    self.batcher = batcher
  }

  mutating func run() throws {
    WholeLines.begin()
    var hasMore = true
    while hasMore || !pending.isEmpty {
      // Waits for a line only where nothing else is to be done: in a pipe a question is answered before the next one comes.
      while hasMore && batcher.wantsMore && pending.count < Self.readAhead && (pending.isEmpty || lines.isReady) {
        hasMore = read()
      }
      if !batcher.isEmpty { try batcher.runBatch() }
      try writeFinished()
    }
  }

  /// Takes a line; false at the end.
  private mutating func read() -> Bool {
    switch lines.next() {
    case nil: return false
    case .success(let record):
      batcher.admit(Request(question: record.question, passage: record.context))
      pending.append(.answer(id: record.id))
    case .failure(let error):
      pending.append(.failure(id: error.id, reason: "\(error)"))
    }
    return true
  }

  private mutating func writeFinished() throws {
    while let next = pending.first {
      switch next {
      case .failure(let id, let reason):
        try write(id: id, failure: reason)
      case .answer(let id):
        guard let result = batcher.popFinished() else { return }
        switch result {
        case .success(let answer): try WholeLines.write(JSON(answer, id: id).text)
        case .failure(let error): try write(id: id, failure: "\(error)")
        }
      }
      pending.removeFirst()
    }
  }

  private mutating func write(id: String?, failure: String) throws {
    failures += 1
    try WholeLines.write(JSON.object([("id", id.map(JSON.string) ?? .null), ("error", .string(failure))]).text)
  }
}

/// That some lines had no answer; the lines themselves say why.
struct UnansweredLines: Error, CustomStringConvertible {
  let count: Int

  var description: String { "\(count) \(count == 1 ? "line" : "lines") could not be answered; see \"error\" in the output" }
}
