import Encoder
import Kernels
import Lowering
import ONNX
import Observation
import SQuAD
import SpanQA
import WordPiece

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Looks inside a model while it answers.
///
/// ```swift
/// let inspector = try Inspector(onnx: DefaultModel.onnx(), tokenizer: DefaultModel.tokenizer(), name: "spanqa-mini")
/// let report = try inspector.inspect("Who wrote it?", in: passage)
/// try report.html().write(toFile: "report.html", atomically: true, encoding: .utf8)
/// ```
public struct Inspector: Sendable {
  private let name: String
  private let lowered: LoweredModel
  private let answerer: QuestionAnswerer
  private let encoder: Encoder
  private let engine: EngineOptions
  private let threads: Int

  /// - Parameter name: what the report calls the model.
  /// - Throws: `LoweringError` where the graph is not understood: one that runs node by node has no heads and layers to show.
  public init(onnx: Model, tokenizer: Tokenizer, engine: EngineOptions = EngineOptions(), name: String) throws {
    lowered = try LoweredModel(onnx)
    answerer = try QuestionAnswerer(onnx: onnx, tokenizer: tokenizer, engine: engine)
    guard case .fused(let encoder, _) = answerer.encoder else { throw InspectionError.notFused }
    self.encoder = encoder
    self.engine = engine
    self.name = name
    threads = engine.threads ?? ProcessorCount.usable
  }

  /// A question and its passage as this model takes them.
  public func text(_ question: String, in passage: String, options: Options = Options()) throws -> QuestionText {
    try answerer.check(options)
    return try QuestionText(question: question, passage: passage, tokenizer: answerer.tokenizer, options: options)
  }

  /// What becomes of the answer without some parts of the model.
  public func ablate(
    _ ablation: Ablation, question: String, in passage: String, options: Options = Options()
  ) throws -> AblationStudy {
    try AblationStudy(text(question, in: passage, options: options), encoder: encoder, options: options, ablation: ablation)
  }

  /// Runs the model some dozen times over the window, in both precisions, and keeps everything.
  ///
  /// - Parameters:
  ///   - window: which window of a long passage to look at; `nil`: the answer's.
  ///   - ablation: what all passes but the timed ones go without.
  ///   - runs: of how many passes the fastest is the timeline.
  public func inspect(
    _ question: String, in passage: String, options: Options = Options(topK: 5), window chosen: Int? = nil,
    ablation: Ablation = Ablation(), runs: Int = 15
  ) throws -> InspectionReport {
    let text = try self.text(question, in: passage, options: options)
    let reading = try PassageReading(text, encoder: encoder, options: options, ablation: ablation)
    let answers = reading.ranking.spans.map(text.reported)
    let number = chosen ?? answers.first?.window ?? 0
    guard text.windows.indices.contains(number) else { throw InspectionError.window(number, count: text.windows.count) }
    let window = text.windows[number]
    let batch = PackedBatch([window.ids])
    let pass = try WatchedPass(encoder, batch: batch, ablation: ablation)
    let tokens = text.tokens(of: window)
    let configuration = encoder.configuration
    let comparison = try PrecisionComparison(
      lowered.model, batch: batch, float32: makeEncoder(.float32), int8: makeEncoder(.int8), threads: threads)
    let study = try ablation.isEmpty ? nil : AblationStudy(text, encoder: encoder, options: options, ablation: ablation)
    let timeline = try PassTimeline(of: answerer.encoder, batch: batch, runs: runs)
    return InspectionReport(
      version: SpanQAVersion.current, model: try modelFacts(), question: question, passage: passage,
      options: InspectionReport.ReadingFacts(
        maxAnswerLength: options.maxAnswerLength, docStride: options.docStride, maxSequenceLength: options.maxSequenceLength),
      answers: answers, noAnswerScore: reading.ranking.noAnswerScore,
      windows: text.windows.indices.map { facts(ofWindow: $0, text, reading, options) }, window: number, tokens: tokens,
      logits: reading.windows[number],
      attention: AttentionMaps(
        (0..<configuration.layers).map { pass.values["layer.\($0).attention.probabilities"] }, heads: configuration.heads,
        parts: tokens.map(\.part), isAblated: { ablation.heads.contains(Ablation.Head(layer: $0, head: $1)) }),
      stages: stages(of: pass, text, window: number, answer: answers.first, options: options),
      norms: (0..<configuration.layers).map { norms(ofLayer: $0, pass, ablation: ablation) }, precision: comparison,
      timeline: try self.timeline(timeline),
      memory: timeline.memory.map { InspectionReport.Region(name: $0.name, offset: $0.offset, byteCount: $0.byteCount) },
      ablation: study)
  }

  // MARK: Parts

  private func makeEncoder(_ precision: Precision) throws -> Encoder {
    var engine = engine
    engine.precision = precision
    return try engine.encoder(for: lowered.model)
  }

  private func modelFacts() throws -> InspectionReport.ModelFacts {
    let configuration = encoder.configuration
    return InspectionReport.ModelFacts(
      name: name, layers: configuration.layers, heads: configuration.heads, hidden: configuration.hidden,
      feedForward: configuration.feedForward, vocabulary: configuration.vocabulary, positions: configuration.positions,
      weightPrecision: lowered.weightPrecision, weightBytes: lowered.model.weightByteCount, precision: engine.precision.rawValue,
      backend: encoder.backend.rawValue, kernels: try KernelSet.chosen().name.rawValue, isRounded: encoder.roundsBetweenOperations,
      threads: threads)
  }

  private func facts(
    ofWindow number: Int, _ text: QuestionText, _ reading: PassageReading, _ options: Options
  ) -> InspectionReport.WindowFacts {
    let (window, logits) = (text.windows[number], reading.windows[number])
    var decoding = options.decoding
    (decoding.topK, decoding.handleImpossibleAnswer) = (3, false)
    let ranking = text.ranking(of: number, logits, options: decoding)
    let range = text.scalarRange(window.passageTokens.lowerBound...window.passageTokens.upperBound - 1)
    return InspectionReport.WindowFacts(
      start: range.lowerBound, end: range.upperBound, tokenCount: window.ids.count,
      proposals: ranking.spans.map { text.reported($0, window: number) }, noAnswerScore: ranking.noAnswerScore)
  }

  private func stages(
    of pass: WatchedPass, _ text: QuestionText, window number: Int, answer: ReportedSpan?, options: Options
  ) -> [InspectionReport.Stage] {
    var decoding = options.decoding
    (decoding.topK, decoding.handleImpossibleAnswer) = (1, false)
    let window = text.windows[number]
    let rows = [0] + Array(window.passageStart..<window.passageStart + window.passageTokens.count)
    let names: [(String, Int?)] = [("embeddings", nil)] + (0..<encoder.configuration.layers).map { ("layer \($0)", $0 as Int?) }
    return names.compactMap { name, layer in
      guard let values = pass.values[layer.map { "layer.\($0).logits" } ?? "embeddings.logits"] else { return nil }
      let logits = PassageReading.Logits(
        start: stride(from: 0, to: values.count, by: 2).map { values[$0] },
        end: stride(from: 1, to: values.count, by: 2).map { values[$0] })
      guard let span = text.ranking(of: number, logits, options: decoding).spans.first else { return nil }
      var probability: InspectionReport.AnswerProbability?
      if let answer, answer.window == number, let first = answer.firstRow, let last = answer.lastRow {
        let (start, end) = (Self.softmax(logits.start, at: first, over: rows), Self.softmax(logits.end, at: last, over: rows))
        probability = InspectionReport.AnswerProbability(start: start, end: end, both: start * end)
      }
      return InspectionReport.Stage(
        name: name, layer: layer, logits: logits, span: text.reported(span, window: number), answer: probability)
    }
  }

  /// The probability of a row among some.
  private static func softmax(_ logits: [Float], at row: Int, over rows: [Int]) -> Double {
    let largest = rows.map { logits[$0] }.max() ?? 0
    return exp(Double(logits[row] - largest)) / rows.reduce(0) { $0 + exp(Double(logits[$1] - largest)) }
  }

  private func norms(ofLayer layer: Int, _ pass: WatchedPass, ablation: Ablation) -> InspectionReport.LayerNorms {
    let width = encoder.configuration.hidden
    func norms(_ name: String) -> [Float] { pass.rowNorms("layer.\(layer).\(name)", width: width) }
    // The layer before may have been left out.
    let before = (0..<layer).last { !ablation.layers.contains($0) }.map { "layer.\($0).output" } ?? "embeddings"
    let isThere = !ablation.layers.contains(layer)
    return InspectionReport.LayerNorms(
      layer: layer, input: isThere ? pass.rowNorms(before, width: width) : [], attentionUpdate: norms("attention.output"),
      attentionSum: norms("attention.residual"), attentionNorm: norms("attention.norm"),
      feedForwardUpdate: norms("feed_forward.output"), feedForwardSum: norms("feed_forward.residual"), output: norms("output"),
      cosine: pass.rowCosines(before, "layer.\(layer).output", width: width))
  }

  private func timeline(_ timeline: PassTimeline) throws -> InspectionReport.Timeline {
    let kernels = try KernelSet.chosen().name
    func peak(isInt8: Bool) -> InspectionReport.Peak? {
      let peak = ArithmeticPeak(isInt8: isInt8, kernels: kernels, threads: threads)
      // Of many short moments the best, as of the passes: other programs are in all the rest.
      let speed = (0..<40).map { _ in peak.operationsPerSecond(for: 0.001) }.max() ?? 0
      return speed > 0 ? InspectionReport.Peak(instructions: peak.name, gigaoperations: speed / 1e9) : nil
    }
    let isInt8Used = timeline.operations.contains(where: \.isInt8)
    let (float32, int8) = (peak(isInt8: false), isInt8Used ? peak(isInt8: true) : nil)
    return InspectionReport.Timeline(
      duration: timeline.duration.microseconds,
      operations: timeline.operations.map { operation in
        let speed = operation.gigaoperationsPerSecond
        let peak = operation.isInt8 ? int8 : float32
        return InspectionReport.Operation(
          name: operation.name, layer: operation.layer, start: operation.start.microseconds,
          duration: operation.duration.microseconds, inputs: operation.inputs, output: operation.output, kernels: operation.kernels,
          arithmetic: operation.arithmetic, gigaoperations: speed,
          shareOfPeak: speed.flatMap { speed in peak.map { speed / $0.gigaoperations } })
      },
      threads: timeline.threads.map {
        InspectionReport.ThreadWork(
          thread: $0.thread, start: $0.start.microseconds, duration: $0.duration.microseconds, tasks: $0.tasks)
      },
      float32Peak: float32, int8Peak: int8)
  }
}

extension ObservedOperation {
  /// Whether its products are of int8 numbers.
  fileprivate var isInt8: Bool { kernels.contains { $0.contains("s8s8") || $0.contains("u8s8") } }
}

extension QuestionText {
  /// The spans of one window by itself.
  fileprivate func ranking(of number: Int, _ logits: PassageReading.Logits, options: SpanDecoder.Options) -> SpanRanking {
    var decoder = SpanDecoder(passage: passageEncoding, text: passage, options: options)
    decoder.add(windows[number], startLogits: logits.start, endLogits: logits.end)
    return decoder.finish()
  }
}

/// The values of one pass over one sequence that a report is made from.
private struct WatchedPass {
  private(set) var values: [String: [Float]] = [:]

  init(_ encoder: Encoder, batch: PackedBatch, ablation: Ablation) throws(BatchError) {
    let unused = ["query", "key", "value", "context", "expanded", "middle"]
    var found: [String: [Float]] = [:]
    let observer = Observer(
      selecting: { name in !Encoder.isInt8Operand(name) && !unused.contains { name.hasSuffix(".\($0)") } },
      tensor: { found[$0.name] = $0.values })
    _ = try encoder.forward(batch, observer: observer, ablation: ablation)
    values = found
  }

  /// The Euclidean norm of each row; empty where there is no such value.
  func rowNorms(_ name: String, width: Int) -> [Float] {
    guard let values = values[name] else { return [] }
    return stride(from: 0, to: values.count, by: width).map { row in
      Float(Self.product(values, values, row: row, width: width).squareRoot())
    }
  }

  func rowCosines(_ a: String, _ b: String, width: Int) -> [Float] {
    guard let x = values[a], let y = values[b] else { return [] }
    return stride(from: 0, to: x.count, by: width).map { row in
      let lengths = Self.product(x, x, row: row, width: width) * Self.product(y, y, row: row, width: width)
      return lengths > 0 ? Float(Self.product(x, y, row: row, width: width) / lengths.squareRoot()) : 0
    }
  }

  private static func product(_ a: [Float], _ b: [Float], row: Int, width: Int) -> Double {
    (row..<row + width).reduce(0) { $0 + Double(a[$1]) * Double(b[$1]) }
  }
}

/// Why there is nothing to look at.
public enum InspectionError: Error, Equatable, CustomStringConvertible {
  case notFused
  case window(Int, count: Int)

  public var description: String {
    switch self {
    case .notFused:
      "this graph runs node by node, which has no heads and layers to look at; see spanqa model --passes for what stopped lowering"
    case .window(let window, let count): "there is no window \(window); the passage makes windows 0 to \(count - 1)"
    }
  }
}
