import Encoder
import Foundation
import Lowering
import ONNX
import Observation
import SpanQA
import SpanQADefaultModel
import Testing
import WordPiece

@testable import Inspection

/// The report behind the page, against the parts that it is made from.
struct InspectorTests {
  static let question = "Which country contains most of the rainforest?"
  static let passage = """
    The Amazon basin encompasses 7,000,000 square kilometres, of which 5,500,000 are covered by the rainforest. The majority of the \
    forest is contained within Brazil, with 60% of the rainforest, followed by Peru with 13%.
    """

  private func inspector() throws -> Inspector {
    try Inspector(onnx: DefaultModel.onnx(), tokenizer: DefaultModel.tokenizer(), name: "spanqa-mini")
  }

  private func encoder() throws -> Encoder {
    guard case .fused(let encoder, _) = try QuestionAnswerer.default.encoder else { throw InspectionError.notFused }
    return encoder
  }

  @Test func reportAgreesWithTheAnswerer() throws {
    let answerer = try QuestionAnswerer.default
    let options = Options(topK: 5)
    for passage in [Self.passage, String(repeating: "Nothing is said here of it. ", count: 60) + Self.passage] {
      let report = try inspector().inspect(Self.question, in: passage, options: options)
      let answer = try answerer.answer(Self.question, in: passage, options: options)
      #expect(report.answers.map(\.text) == answer.spans.map(\.text))
      #expect(report.answers.map { $0.start..<$0.end } == answer.spans.map(\.scalarRange))
      for (a, b) in zip(report.answers, answer.spans) { #expect(abs(a.score - b.score) < 1e-9) }
      #expect(report.answers.first?.text == "Brazil")
      #expect(report.windows.contains { $0.proposals.first?.text == "Brazil" })
      #expect(report.window == report.answers.first?.window)
      #expect(report.tokens.count == report.logits.start.count)
      // The head on the last layer is the model's result.
      #expect(report.stages.count == 7)
      #expect(report.stages.last?.logits == report.logits)
      #expect(report.stages.last?.span.text == "Brazil")
      for layer in report.norms {
        #expect(layer.output.count == report.tokens.count && layer.cosine.allSatisfy { (-1.0001...1.0001).contains($0) })
      }
      #expect(report.timeline.operations.count == 26 && !report.memory.isEmpty)
    }
  }

  @Test func attentionMapsAreTheProbabilities() throws {
    let text = try QuestionText(question: Self.question, passage: Self.passage, tokenizer: DefaultModel.tokenizer())
    let encoder = try self.encoder()
    var layers: [[Float]] = []
    let observer = Observer(selecting: { $0.hasSuffix("probabilities") }, tensor: { layers.append($0.values) })
    _ = try encoder.forward(PackedBatch([text.windows[0].ids]), observer: observer)
    let report = try inspector().inspect(Self.question, in: Self.passage)
    let count = report.tokens.count
    for (layer, values) in layers.enumerated() {
      for (place, value) in values.enumerated() {
        let (head, rest) = place.quotientAndRemainder(dividingBy: count * count)
        let kept = report.attention.probability(layer: layer, head: head, from: rest / count, to: rest % count)
        // Half a step of 1/255 in the square root.
        #expect(abs(kept.squareRoot() - Double(value).squareRoot()) <= 0.51 / 255)
      }
    }
    for head in report.attention.heads.joined() {
      #expect(abs(head.toSpecial + head.toQuestion + head.toPassage - 1) < 1e-4)
      #expect((0...log2(Double(count)) + 1e-4).contains(head.entropy))
    }
  }

  @Test func huffmanCodeComesBack() {
    var state: UInt64 = 7
    for alphabet in [1, 2, 5, 256] {
      // Some symbols are far more frequent than others: words would grow beyond fifteen bits.
      let symbols: [UInt8] = (0..<20_000).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(min((state >> 20).trailingZeroBitCount * 7 + Int(state >> 60), alphabet - 1))
      }
      var frequencies = [Int](repeating: 0, count: alphabet)
      for symbol in symbols { frequencies[Int(symbol)] += 1 }
      let code = HuffmanCode(frequencies: frequencies)
      #expect((code.lengths.max() ?? 99) <= HuffmanCode.longestWord)
      let bytes = code.encode(symbols)
      #expect(bytes.count == (code.bitCount(frequencies: frequencies) + 7) / 8)
      #expect(Self.decode(bytes, lengths: code.lengths, count: symbols.count) == symbols)
    }
  }

  /// By the words themselves, one bit after the other.
  private static func decode(_ bytes: [UInt8], lengths: [Int], count: Int) -> [UInt8] {
    var words: [[Bool]: UInt8] = [:]
    var next = 0
    for length in 1...15 {
      for symbol in lengths.indices where lengths[symbol] == length {
        words[(0..<length).map { next >> (length - 1 - $0) & 1 == 1 }] = UInt8(symbol)
        next += 1
      }
      next <<= 1
    }
    var (result, word): ([UInt8], [Bool]) = ([], [])
    for byte in bytes {
      for bit in 0..<8 where result.count < count {
        word.append(byte >> (7 - UInt8(bit)) & 1 == 1)
        if let symbol = words[word] {
          result.append(symbol)
          word = []
        }
      }
    }
    return result
  }

  @Test func ablationIsTheEncodersOwn() throws {
    let inspector = try self.inspector()
    let ablation = Ablation(heads: [Ablation.Head(layer: 3, head: 7)], layers: [5])
    let study = try inspector.ablate(ablation, question: Self.question, in: Self.passage)
    let text = try inspector.text(Self.question, in: Self.passage)
    let encoder = try self.encoder()
    let output = try encoder.forward(PackedBatch([text.windows[0].ids]), ablation: ablation)
    #expect(study.ablatedLogits.start == output.column(0, ofSequence: 0) && study.ablatedLogits.end == output.column(1, ofSequence: 0))
    #expect(study.wholeLogits != study.ablatedLogits && study.without == ["layer 5", "head 3.7"])
    let change = study.largestChanges.start
    #expect(change.whole == study.wholeLogits.start[change.row] && change.ablated == study.ablatedLogits.start[change.row])

    let report = try inspector.inspect(Self.question, in: Self.passage, ablation: ablation)
    #expect(report.logits == study.ablatedLogits)
    #expect(report.stages.map(\.name) == ["embeddings"] + (0..<5).map { "layer \($0)" })
    #expect(report.norms[5].output.isEmpty && report.attention.heads[3][7].isAblated && report.attention.heads[5].allSatisfy(\.isAblated))
    #expect(throws: BatchError.layer(9, layers: 6)) {
      try inspector.ablate(Ablation(layers: [9]), question: Self.question, in: Self.passage)
    }
    #expect(throws: InspectionError.window(2, count: 1)) { try inspector.inspect(Self.question, in: Self.passage, window: 2) }
  }

  @Test func jsonHoldsAllOfIt() throws {
    let report = try inspector().inspect(Self.question, in: Self.passage)
    let object = try #require(JSONSerialization.jsonObject(with: Data(report.json().utf8)) as? [String: Any])
    for key in [
      "version", "model", "question", "passage", "options", "answers", "no_answer_score", "windows", "window", "tokens", "logits", "attention",
      "stages", "norms", "precision", "timeline", "memory",
    ] { #expect(object[key] != nil, "\(key)") }
    let attention = try #require(object["attention"] as? [String: Any])
    let maps = try #require(attention["maps"] as? [[String]])
    #expect(attention["encoding"] as? String == "bytes" && maps.count == 6 && maps.allSatisfy { $0.count == 12 })
    #expect(Data(base64Encoded: maps[2][3])?.count == report.tokens.count * report.tokens.count)
  }

  /// A file that rounds between operations: a vocabulary of its own size, and everything but the memory's map.
  @Test func modelThatRoundsBetweenOperations() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../LoweringTests/Goldens/Forms/distilbert-qdq-channel.onnx").standardizedFileURL
    let onnx = try Model(contentsOf: file)
    let size = try LoweredModel(onnx).model.configuration.vocabulary
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    let letters = "abcdefghijklmnopqrstuvwxyz".map { "\($0)" }
    let tokens = Array((special + letters + letters.map { "##\($0)" } + (0..<size).map { "unused\($0)" }).prefix(size))
    let tokenizer = try Tokenizer(vocabulary: Vocabulary(tokens: tokens), options: Tokenizer.Options())
    let inspector = try Inspector(onnx: onnx, tokenizer: tokenizer, name: "rounded")
    let report = try inspector.inspect("a b", in: "c d e f g h", options: Options(topK: 5, docStride: 8, maxSequenceLength: 32))
    #expect(report.model.isRounded && report.memory.isEmpty)
    #expect(report.stages.count == report.model.layers + 1 && report.stages.last?.logits == report.logits)
    #expect(report.norms.allSatisfy { $0.output.count == report.tokens.count })
    #expect(report.timeline.operations.count == 2 + 4 * report.model.layers)
    #expect(report.timeline.operations.contains { $0.arithmetic > 0 && $0.kernels.contains { $0.contains("u8s8") } })
    #expect(try report.html().contains("rounds values between operations"))
    #expect(!(try self.inspector().inspect("a b", in: "c d e f g h")).model.isRounded)
  }

  static let mini = HookTests.mini

  /// Where the float model is: an int8 file has its weights rounded already.
  @Test(.enabled(if: FileManager.default.fileExists(atPath: mini.path), "needs ../shared"))
  func errorsOfInt8AreThoseOfItsParts() throws {
    let inspector = try Inspector(onnx: Model(contentsOf: Self.mini), tokenizer: DefaultModel.tokenizer(), name: "float")
    let precision = try inspector.inspect(Self.question, in: Self.passage).precision
    #expect(!precision.areWeightsRounded && precision.products.count == 24 && precision.tokens.count == 7)
    for product in precision.products {
      // Both roundings are small, neither is nothing, and together they are about their root of squares.
      #expect(product.weights > 1e-4 && product.inputs > 1e-4 && product.both < 0.1, "\(product)")
      let sum = (product.weights * product.weights + product.inputs * product.inputs).squareRoot()
      #expect(product.both > 0.7 * sum && product.both < 1.4 * sum, "\(product)")
    }
    let hidden = precision.values.filter { $0.name == "embeddings" || $0.name.hasSuffix("\($0.layer ?? -1).output") }.map(\.error)
    print("int8 error of the hidden states: \(hidden)")
    #expect(hidden.count == 7 && hidden.allSatisfy { $0 > 1e-4 && $0 < 0.2 })
  }
}
