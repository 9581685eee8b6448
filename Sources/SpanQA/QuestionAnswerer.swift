import Encoder
import Kernels
import Lowering
import ONNX
import SQuAD
import Synchronization
import WordPiece

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Answers questions from passages with a DistilBERT in ONNX.
///
/// ```swift
/// let answerer = try QuestionAnswerer(modelFolder: URL(filePath: "distilbert-base-cased-distilled-squad"))
/// let answer = try answerer.answer("Who wrote it?", in: passage)
/// print(passage[answer.range], answer.score)
/// ```
///
/// Used from many tasks at once it gives each the same answers as alone.
public struct QuestionAnswerer: Sendable {
  public let tokenizer: Tokenizer
  public let encoder: ModelRunner
  let tokenBudget: Int
  let padding: Padding
  private let threads: Int

  /// Loads the model of a folder as the Hugging Face hub lays it out, or of one ONNX file (see `ModelFiles`).
  ///
  /// - Throws: an error that names the file, and the node or field in it, that stands in the way.
  public init(modelFolder: URL, engine: EngineOptions = EngineOptions()) throws {
    let files = try ModelFiles(at: modelFolder)
    guard let tokenizerFolder = files.tokenizerFolder else {
      throw ModelFilesError.noTokenizer(onnx: files.onnx.path)
    }
    try self.init(
      onnx: Model(contentsOf: files.onnx), tokenizer: Tokenizer(folder: tokenizerFolder), engine: engine)
  }

  /// Prepares an encoder with a question-answering head that is in memory, fresh from training for one.
  ///
  /// - Throws: `ModelMismatch` where model and tokeniser do not belong together.
  public init(model: DistilBERT, tokenizer: Tokenizer, engine: EngineOptions = EngineOptions()) throws {
    try self.init(
      runner: .fused(engine.encoder(for: model), outputs: .spans(start: "start_logits", end: "end_logits")), tokenizer: tokenizer,
      engine: engine)
  }

  /// Prepares a model that has been read already.
  ///
  /// A graph that is not understood runs node by node (`encoder.warning` says so), or is an error if `engine` asks for that.
  /// - Throws: `LoweringError` or `ModelRunnerError` where the graph cannot be run, `ModelMismatch` where model and tokeniser do not
  ///   belong together.
  public init(onnx: Model, tokenizer: Tokenizer, engine: EngineOptions = EngineOptions()) throws {
    try self.init(runner: ModelRunner(onnx, engine: engine), tokenizer: tokenizer, engine: engine)
  }

  private init(runner: ModelRunner, tokenizer: Tokenizer, engine: EngineOptions) throws {
    self.tokenizer = tokenizer
    encoder = runner
    if case .fused(let encoder, let outputs) = encoder { try Self.check(encoder, outputs, fits: tokenizer) }
    tokenBudget = max(1, engine.tokenBudget)
    // A graph that runs node by node pads its batches itself.
    if case .fused = encoder { padding = engine.padding } else { padding = .none }
    threads = engine.threads ?? ProcessorCount.usable
  }

  /// The best answer to a question, and as many alternatives as `options.topK` asks for.
  ///
  /// A passage longer than a window is read in windows that overlap; all of them share one ranking.
  /// - Throws: `AnswerError` where question, passage or options leave nothing to compute; `BatchError` where the model's result is
  ///   not finite.
  public func answer(_ question: String, in passage: String, options: Options = Options()) throws -> Answer {
    try check(options)
    var batcher = AnswerBatcher(self, options: options)
    batcher.admit(Request(question: question, passage: passage))
    while true {
      if let result = batcher.popFinished() { return try result.get() }
      try batcher.runBatch()
    }
  }

  /// The answers to several requests, in their order, computed together.
  ///
  /// - Throws: the first request's error, if any; to go on after one, use `answers(to:options:)`.
  public func answer(_ requests: [Request], options: Options = Options()) async throws -> [Answer] {
    try check(options)
    var results: [Answer] = []
    results.reserveCapacity(requests.count)
    for try await result in answers(to: AsyncRequests(requests), options: options) {
      results.append(try result.get())
    }
    return results
  }

  /// The answers to a stream of requests, in their order, as a stream: requests are read as far ahead as fills a batch, and no further.
  ///
  /// An answer waits for as many requests, or for their end. A stream that comes slowly is better cut into parts, for `answer(_:options:)`.
  public func answers<Requests: AsyncSequence>(
    to requests: Requests, options: Options = Options()
  ) -> AnswerSequence<Requests> where Requests.Element == Request {
    AnswerSequence(requests, answerer: self, options: options)
  }

  /// For callers of this package that decide themselves when to read on and when to compute.
  package func batcher(options: Options) throws(AnswerError) -> AnswerBatcher {
    try check(options)
    return AnswerBatcher(self, options: options)
  }

  // MARK: Parts

  /// Calls `transform` with each element, on the pool's threads.
  func map<Element: Sendable, Result: Sendable>(
    _ elements: [Element], _ transform: @Sendable (Element) -> Result
  ) -> [Result] {
    if elements.count < 2 { return elements.map(transform) }
    let results = Mutex<[Int: Result]>([:])
    ThreadPool.shared.run(tasks: elements.count, threads: threads) { index in
      let result = transform(elements[index])
      results.withLock { $0[index] = result }
    }
    let found = results.withLock { $0 }
    return elements.indices.compactMap { found[$0] }
  }

  package func check(_ options: Options) throws(AnswerError) {
    if let positions = encoder.positions {
      if options.maxSequenceLength > positions { throw .windowTooLong(options.maxSequenceLength, positions: positions) }
      if case .fixed(let length) = padding, length > positions { throw .windowTooLong(length, positions: positions) }
    }
    if case .fixed(let length) = padding, length < options.maxSequenceLength {
      throw .paddingTooShort(length, maxSequenceLength: options.maxSequenceLength)
    }
    for (name, value, least) in [
      ("topK", options.topK, 1), ("maxAnswerLength", options.maxAnswerLength, 1),
      ("docStride", options.docStride, 0), ("maxQuestionLength", options.maxQuestionLength, 1),
    ] where value < least {
      throw .optionTooSmall(name, value: value, least: least)
    }
  }

  private static func check(
    _ encoder: Encoder, _ outputs: LoweredModel.Outputs, fits tokenizer: Tokenizer
  ) throws(ModelMismatch) {
    if case .hiddenState = outputs { throw .notQuestionAnswering(outputs: nil) }
    guard encoder.outputs == 2 else { throw .notQuestionAnswering(outputs: encoder.outputs) }
    try ModelMismatch.check(vocabulary: tokenizer.vocabulary, embeddingRows: encoder.configuration.vocabulary)
  }
}

/// Answers as an asynchronous sequence; see `QuestionAnswerer.answers(to:options:)`.
public struct AnswerSequence<Requests: AsyncSequence>: AsyncSequence where Requests.Element == Request {
  public typealias Element = Result<Answer, AnswerError>

  private let requests: Requests
  private let answerer: QuestionAnswerer
  private let options: Options

  init(_ requests: Requests, answerer: QuestionAnswerer, options: Options) {
    self.requests = requests
    self.answerer = answerer
    self.options = options
  }

  public func makeAsyncIterator() -> Iterator {
    Iterator(
      requests: requests.makeAsyncIterator(), answerer: answerer, options: options,
      batcher: AnswerBatcher(answerer, options: options))
  }

  public struct Iterator: AsyncIteratorProtocol {
    var requests: Requests.AsyncIterator
    let answerer: QuestionAnswerer
    let options: Options
    var batcher: AnswerBatcher
    var hasMore = true

    public mutating func next() async throws -> Result<Answer, AnswerError>? {
      try answerer.check(options)
      while true {
        if let result = batcher.popFinished() { return result }
        while hasMore && batcher.wantsMore {
          if let request = try await requests.next() { batcher.admit(request) } else { hasMore = false }
        }
        if batcher.isEmpty { return nil }
        try Task.checkCancellation()
        try batcher.runBatch()
      }
    }
  }
}

/// An array of requests as a sequence to be awaited.
private struct AsyncRequests: AsyncSequence, AsyncIteratorProtocol {
  private var rest: ArraySlice<Request>

  init(_ requests: [Request]) { rest = requests[...] }

  mutating func next() async -> Request? { rest.popFirst() }

  func makeAsyncIterator() -> AsyncRequests { self }
}
