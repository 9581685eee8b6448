import Foundation
import ONNX
import Testing

/// Reads the mini model's files. Expected numbers were taken with onnx and numpy in Python.
@Suite(.enabled(if: Repository.hasMiniModel, "needs ../shared"))
struct MiniModelTests {
  @Test func readsTheFloatModel() throws {
    let model = try Self.model("model")
    #expect(model.producerName == "pytorch")
    #expect(model.opsetImports == ["": 14])
    #expect(model.graph.nodes.count == 628)
    #expect(model.graph.initializers.count == 102)
    #expect(
      model.graph.inputs
        == ["input_ids", "attention_mask"].map {
          ValueInfo(name: $0, elementType: .int64, shape: [.symbolic("batch"), .symbolic("sequence")])
        })
    #expect(model.graph.outputs.map(\.name) == ["start_logits", "end_logits"])
    let words = try #require(model.graph.initializers["m.distilbert.embeddings.word_embeddings.weight"])
    #expect(words.shape == [30522, 384])
    #expect(try words.elements(as: Float.self).reduce(0) { $0 ^ $1.bitPattern } == 3_179_204_979)
    #expect(Self.byteSum(model) == 11_222_177_463)
  }

  @Test func readsTheQuantizedModel() throws {
    let model = try Self.model("model_quantized")
    #expect(model.graph.nodes.count == 766)
    #expect(model.graph.initializers.count == 180)
    #expect(model.graph.valueInfos.count == 627)
    let words = try #require(model.graph.initializers["m.distilbert.embeddings.word_embeddings.weight_quantized"])
    #expect(words.elementType == .uint8)
    #expect(try words.int64s().reduce(0, +) == 972_819_230)
    #expect(Self.byteSum(model) == 2_343_343_112)
  }

  @Test func survivesWritingAndReading() throws {
    let model = try Self.model("model_quantized")
    let file = URL.temporaryDirectory.appending(path: "spanqa-\(UUID().uuidString).onnx")
    defer { try? FileManager.default.removeItem(at: file) }
    try model.write(to: file)
    #expect(try Model(contentsOf: file) == model)
  }

  #if os(Linux)
  @Test func tensorsLieInTheMappedFile() throws {
    let model = try Self.model("model")
    let path = Repository.miniModel.appending(path: "model.onnx").resolvingSymlinksInPath().path
    let ranges = try memoryMap().split(separator: "\n").filter { $0.hasSuffix(path) }.map { line in
      let bounds = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
      return try #require(bounds.count == 2 ? bounds[0]..<bounds[1] : nil)
    }
    var byteCount = 0
    for tensor in model.graph.initializers.values {
      byteCount += tensor.bytes.count
      tensor.bytes.withUnsafeBytes { bytes in
        let start = UInt(bitPattern: bytes.baseAddress)
        #expect(ranges.contains { $0.contains(start) && start + UInt(bytes.count) <= $0.upperBound }, "\(tensor.name)")
      }
    }
    #expect(byteCount > 90_000_000)
  }

  /// Pages of the file leave memory when they are released, and come back with what was in them.
  @Test func releasedPagesComeBack() throws {
    let model = try Self.model("model")
    let words = try #require(model.graph.initializers["m.distilbert.embeddings.word_embeddings.weight"]).bytes
    func sum() -> Int { words.withUnsafeBytes { $0.reduce(0) { $0 + Int($1) } } }
    let expected = sum()
    let before = try residentBytes(from: words)
    #expect(before > words.count / 2)
    words.releasePages()
    #expect(try residentBytes(from: words) <= before - words.count / 2)
    #expect(sum() == expected)
  }

  /// What is in memory of the mapping that holds some bytes.
  private func residentBytes(from bytes: TensorBytes) throws -> Int {
    let address = bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    var isInside = false
    for line in try processFile("smaps").split(separator: "\n") {
      let bounds = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
      if bounds.count == 2 { isInside = (bounds[0]..<bounds[1]).contains(address) }
      guard isInside, line.hasPrefix("Rss:") else { continue }
      return try #require(Int(line.split(separator: " ")[1])) << 10
    }
    throw POSIXError(.ENOENT)
  }
  #endif

  private static func model(_ name: String) throws -> Model {
    try Model(contentsOf: Repository.miniModel.appending(path: "\(name).onnx"))
  }

  private static func byteSum(_ model: Model) -> Int {
    model.graph.initializers.values.reduce(0) { sum, tensor in
      sum + tensor.bytes.withUnsafeBytes { $0.reduce(0) { $0 + Int($1) } }
    }
  }
}
