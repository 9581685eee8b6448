import Checkpoints
import Encoder
import Export
import Foundation
import ModelFolders
import ONNX
import SpanQA
import Testing

/// Models that transformers and PyTorch saved, read, written as folders and read again: always the logits that transformers computes.
@Suite struct ModelSourceTests {
  static let tolerance: Float = 2e-5

  /// Start and end logits one after another.
  private static func logits(_ model: DistilBERT, _ ids: [Int32]) throws -> [Float] {
    try logits(ModelRunner.fused(Encoder(model, precision: .float32), outputs: .spans(start: "", end: "")), ids)
  }

  private static func logits(_ runner: ModelRunner, _ ids: [Int32]) throws -> [Float] {
    let output = try runner.forward(PackedBatch([ids]))
    return output.column(0, ofSequence: 0) + output.column(1, ofSequence: 0)
  }

  private static func differ(_ a: [Float], _ b: [Float]) -> Float {
    a.count == b.count ? zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } : .infinity
  }

  @Test(arguments: ["distilbert", "bert-qa"])
  func sourcesAndTheirFoldersComputeWhatTransformersDoes(_ name: String) throws {
    let expected = try Goldens.expected()
    let wanted = (name == "distilbert" ? expected.distilbert : expected.bertQuestionAnswering).flatMap { $0 }
    let source = try ModelSource(at: Goldens.source(name))
    #expect(try Self.differ(Self.logits(source.model, expected.ids), wanted) < Self.tolerance)
    #expect(source.model.configuration.tokenTypes == 0 && source.configuration.kind == .distilBERT)
    for part in ["token type 0", "token type 1"] { #expect(source.notes.contains { $0.contains(part) } == (name == "bert-qa")) }
    if name == "distilbert" {
      #expect(source.notes.isEmpty)
      #expect([source.configuration.dropout, source.configuration.attentionDropout, source.configuration.headDropout] == [0.2, 0.3, 0.4])
    }
    try withTemporaryFolder { folder in
      let place = folder.appending(path: "model")
      try ModelFolder(source).write(to: place)
      #expect(try names(in: folder) == ["model"])
      #expect(
        try names(in: place) == ["config.json", "model.onnx", "model.safetensors", "tokenizer_config.json", "vocab.txt"])
      // The graph, as anyone reads it, and both formats as sources.
      let runner = try ModelRunner(Model(contentsOf: place.appending(path: "model.onnx")), engine: EngineOptions(precision: .float32))
      #expect(try Self.differ(Self.logits(runner, expected.ids), wanted) < Self.tolerance)
      for file in ["", "model.onnx", "model.safetensors"] {
        let again = try ModelSource(at: file.isEmpty ? place : place.appending(path: file))
        #expect(again.notes.isEmpty, "\(again.notes)")
        #expect(again.configuration == source.configuration)
        #expect(try Self.differ(Self.logits(again.model, expected.ids), wanted) < Self.tolerance)
      }
      let config = try JSONSerialization.jsonObject(with: Data(contentsOf: place.appending(path: "config.json"))) as? [String: Any]
      #expect(config?["architectures"] as? [String] == ["DistilBertForQuestionAnswering"] && config?["n_layers"] as? Int == 2)
      #expect(try QuestionAnswerer(modelFolder: place).answer(
        "Who sang?", in: "Anna sang a song.", options: Options(docStride: 4, maxSequenceLength: 16)).text.isEmpty == false)
    }
  }

  @Test func aBareEncoderGetsAHeadFromTheSeed() throws {
    let expected = try Goldens.expected()
    let place = Goldens.source("bert")
    let source = try ModelSource(at: place, headSeed: 7)
    var bare = source.model
    bare.head = nil
    let hidden = try Encoder(bare, precision: .float32).forward(PackedBatch([expected.ids])).values
    // The weights are float16 and LayerNorm's epsilon is the file's own, 1e-5.
    #expect(Self.differ(hidden, expected.bert) < Self.tolerance)
    for part in ["fresh, from seed 7", "token type 0", "pooler.dense.weight", "F16", "epsilon is 1e-05"] {
      #expect(source.notes.contains { $0.contains(part) }, "\(part): \(source.notes)")
    }
    func head(_ seed: UInt64) throws -> [Float]? { try ModelSource(at: place, headSeed: seed).model.head?.weights.values.floats() }
    #expect(try head(7) == source.model.head?.weights.values.floats())
    #expect(try head(8) != head(7))

    try withTemporaryFolder { folder in
      let output = folder.appending(path: "model")
      try ModelFolder(source).write(to: output)
      // The source has tokenizer.json alone; transformers' tokenisers look for the others.
      #expect(try names(in: output).count == 6)
      #expect(
        try String(contentsOf: output.appending(path: "vocab.txt"), encoding: .utf8)
          == String(contentsOf: Goldens.source("distilbert").appending(path: "vocab.txt"), encoding: .utf8))
      let again = try ModelSource(at: output.appending(path: "model.safetensors"))
      #expect(again.configuration.normEpsilon == 1e-5)
      #expect(try Self.logits(again.model, expected.ids) == Self.logits(source.model, expected.ids))
    }
  }

  @Test func headsForOtherTasksAreReplaced() throws {
    let source = try ModelSource(at: Goldens.source("distilbert"))
    try withTemporaryFolder { folder in
      var tagger = source.model
      tagger.head = DistilBERT.Linear(
        name: "head",
        weights: DistilBERT.Weights(values: Parameter([Float](repeating: 0.5, count: 5 * 8), shape: [5, 8]), layout: .outputsByInputs),
        bias: [Float](repeating: 0, count: 5))
      try ModelFolder(source).write(to: folder.appending(path: "model"))
      let onnx = folder.appending(path: "model/model.onnx")
      try Model(tagger, interface: ExportInterface(outputs: .values(name: "logits"))).write(to: onnx)
      let again = try ModelSource(at: onnx)
      #expect(again.notes.count == 2 && again.notes[0].contains("5 values a token") && again.notes[1].contains("fresh"))
      #expect(again.model.head?.weights.outputs == 2)
    }
  }

  /// Each is one line that names the file and what in it is wrong.
  @Test func whatCannotBeStartedFromSaysWhy() throws {
    let source = try ModelSource(at: Goldens.source("distilbert"))
    try withTemporaryFolder { folder in
      func check(_ location: URL, _ parts: String..., of line: Int = #line) {
        do {
          _ = try ModelSource(at: location)
          Issue.record("line \(line): read")
        } catch {
          let text = "\(error)"
          for part in parts + [location.lastPathComponent] { #expect(text.contains(part), "\(text), expected: \(part)") }
          #expect(!text.contains("\n"))
        }
      }
      func copy(_ name: String) throws -> URL {
        let place = folder.appending(path: UUID().uuidString)
        try FileManager.default.copyItem(at: Goldens.source(name), to: place)
        return place
      }
      check(folder.appending(path: "nowhere"), "no such file")
      check(folder, "holds no model")
      check(Goldens.folder.appending(path: "expected.json"), "does not say what it is")

      var place = try copy("distilbert")
      try FileManager.default.removeItem(at: place.appending(path: "vocab.txt"))
      check(place.appending(path: "model.safetensors"), "vocab.txt")
      place = try copy("distilbert")
      try Data("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n".utf8 + (0..<7).flatMap { "word\($0)\n".utf8 }).write(
        to: place.appending(path: "vocab.txt"))
      #expect(throws: ModelMismatch.vocabulary(tokens: 12, embeddingRows: 11)) { try ModelSource(at: place) }
      place = try copy("distilbert")
      try FileManager.default.removeItem(at: place.appending(path: "config.json"))
      check(place, "config.json")
      place = try copy("distilbert")
      try FileManager.default.moveItem(
        at: place.appending(path: "model.safetensors"), to: place.appending(path: "model.safetensors.index.json"))
      check(place, "in several files")

      // A damaged graph is an error though a checkpoint stands beside it; a quantised one is passed over.
      place = try copy("distilbert")
      try Data("rubbish".utf8).write(to: place.appending(path: "model.onnx"))
      check(place, "model.onnx", "not an ONNX model")
      var quantized = source.model
      quantized.embeddings.words = quantized.embeddings.words.quantized()
      try Model(quantized).write(to: place.appending(path: "model.onnx"))
      check(place.appending(path: "model.onnx"), "quantised")
      let passed = try ModelSource(at: place)
      #expect(passed.notes.count == 1 && passed.notes[0].contains("model.safetensors is taken instead"))

      var damaged = source.model
      damaged.layers[1].expand.bias[3] = .infinity
      place = try copy("distilbert")
      try Model(damaged).write(to: place.appending(path: "model.onnx"))
      check(place.appending(path: "model.onnx"), "layer.1.expand", "not finite")
      var tensors = try source.model.checkpointTensors()
      func write(_ tensors: [Checkpoint.Tensor]) throws -> URL {
        let place = try copy("distilbert")
        try Checkpoint.writeSafetensors(tensors, to: place.appending(path: "model.safetensors").path)
        return place
      }
      let name = "distilbert.transformer.layer.1.ffn.lin1.bias"
      let index = try #require(tensors.firstIndex { $0.name == name })
      var values = try #require(tensors[index].parameter?.floats())
      values[5] = .nan
      tensors[index] = Checkpoint.Tensor(name: name, shape: [12], values: values)
      check(try write(tensors), name, "element 5")
      tensors[index] = Checkpoint.Tensor(name: name, shape: [3], values: [0, 0, 0])
      check(try write(tensors), name, "[3]", "[12]")
      // The last layer lacks one tensor: not a model of one layer fewer.
      for lost in [name, "distilbert.transformer.layer.1.attention.q_lin.weight"] {
        check(try write(source.model.checkpointTensors().filter { $0.name != lost }), lost, "is missing")
      }
    }
  }
}
