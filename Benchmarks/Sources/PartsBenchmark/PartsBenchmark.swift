import ArgumentParser
import BenchmarkSupport
import Encoder
import Lowering
import ONNX
import SQuAD
import WordPiece

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Times what surrounds the encoder: loading a model, reading a dataset, tokenising, decoding.
@main
struct PartsBenchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "PartsBenchmark",
    abstract: "Times the parts of an answer that are not the encoder: loading, reading, tokenising, decoding.",
    discussion: "Each part runs several times; the median counts. Files are in the page cache after the first time.")

  @Option(help: ArgumentHelp("A folder with model.onnx (or onnx/model.onnx) and the tokeniser's files.", valueName: "folder"))
  var model: String

  @Option(help: ArgumentHelp("A SQuAD file.", valueName: "file"))
  var dataset: String

  @Option(help: "How often each part runs.")
  var rounds = 9

  @Option(help: "On how many threads weights are packed.")
  var threads: Int?

  func validate() throws {
    if !(1...10_000).contains(rounds) { throw ValidationError("--rounds takes a number from 1 to 10000") }
  }

  func run() throws {
    print("part                                     median       rate")
    let folder = URL(filePath: model)
    let tokenizer = try Tokenizer(folder: folder)
    try report("tokeniser's files read") { _ = try Tokenizer(folder: folder) }

    let file = ["\(model)/model.onnx", "\(model)/onnx/model.onnx"].first { FileManager.default.fileExists(atPath: $0) }
    guard let file else { throw ValidationError("\(model) holds neither model.onnx nor onnx/model.onnx") }
    let onnx = try Model(contentsOf: URL(filePath: file))
    let lowered = try LoweredModel(onnx)
    try report("model file read") { _ = try Model(contentsOf: URL(filePath: file)) }
    try report("graph lowered") { _ = try LoweredModel(onnx) }
    try report("weights packed", bytes: Data(contentsOf: URL(filePath: file)).count) { _ = try Encoder(lowered.model, threads: threads) }

    let paragraphs = try self.paragraphs()
    try report("dataset read", bytes: Data(contentsOf: URL(filePath: dataset)).count) { _ = try self.paragraphs() }

    let texts = paragraphs.map(\.context) + paragraphs.flatMap { $0.questions.map(\.text) }
    try report("tokenised", bytes: texts.reduce(0) { $0 + $1.utf8.count }) { for text in texts { _ = tokenizer.encode(text) } }

    let windows = try paragraphs.prefix(500).map { paragraph in
      let passage = tokenizer.encode(paragraph.context)
      let question = tokenizer.encode(paragraph.questions.first?.text ?? "?")
      let windows = try WindowSequence(
        question: question, passage: passage, classificationID: tokenizer.classificationID, separatorID: tokenizer.separatorID)
      return (passage, paragraph.context, windows)
    }
    var generator = Generator()
    let logits = windows.map { _, _, windows in
      windows.map { window in (window.ids.map { _ in Float.random(in: -5...5, using: &generator) }, window) }
    }
    try report("windows decoded", count: logits.reduce(0) { $0 + $1.count }) {
      for ((passage, text, _), outputs) in zip(windows, logits) {
        var decoder = SpanDecoder(passage: passage, text: text)
        for (values, window) in outputs { decoder.add(window, startLogits: values, endLogits: values) }
        _ = decoder.finish()
      }
    }
  }

  private func paragraphs() throws -> [Paragraph] {
    let reader = try DatasetReader(path: dataset)
    var result: [Paragraph] = []
    while let paragraph = try reader.next() { result.append(paragraph) }
    return result
  }

  private func report(_ part: String, bytes: Int? = nil, count: Int? = nil, _ body: () throws -> Void) throws {
    let clock = ContinuousClock()
    let seconds = try (0..<rounds).map { _ in try clock.measure(body) / .seconds(1) }.median
    var rate = ""
    if let bytes { rate = "\(Int((Double(bytes) / seconds / 1e6).rounded())) MB/s" }
    if let count { rate = "\(Int((Double(count) / seconds).rounded())) a second" }
    let time = "\((seconds * 1e5).rounded() / 100) ms"
    print(part + String(repeating: " ", count: max(1, 47 - part.count - time.count)) + time + "   " + rate)
  }
}
