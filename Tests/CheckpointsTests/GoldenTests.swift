import Encoder
import Foundation
import Testing

@testable import Checkpoints

/// Files that transformers and PyTorch wrote: see `make_checkpoints.py`.
@Suite struct GoldenTests {
  struct Expected: Decodable {
    var ids: [Int32]
    var distilbert, bert: [Float]
  }

  static func expected() throws -> Expected {
    try JSONDecoder().decode(Expected.self, from: Data(contentsOf: Files.goldens.appending(path: "expected.json")))
  }

  @Test(arguments: ["distilbert.safetensors", "distilbert.bin", "bert.bin"])
  func modelsComputeWhatTransformersDoes(_ name: String) throws {
    let expected = try Self.expected()
    let path = Files.golden(name)
    let checkpoint = try name.hasSuffix(".bin") ? Checkpoint(pyTorch: path) : Checkpoint(safetensors: path)
    let kind = String(name.prefix { $0 != "." })
    let configuration = try ModelConfiguration(contentsOf: Files.golden(kind + ".json"))
    var ignored: [String] = []
    let model = try DistilBERT(checkpoint, configuration: configuration, ignored: &ignored)
    #expect(ignored == (kind == "bert" ? ["pooler.dense.weight", "pooler.dense.bias"] : []))
    let output = try Encoder(model, precision: .float32).forward(PackedBatch([expected.ids])).values
    let wanted = kind == "bert" ? expected.bert : expected.distilbert
    #expect(output.count == wanted.count)
    #expect(zip(output, wanted).allSatisfy { abs($0 - $1) < 2e-5 })
    print("\(name): \(wanted.count) values compared with transformers")
  }

  @Test func bothFormatsHoldTheSameTensors() throws {
    let safetensors = try Checkpoint(safetensors: Files.golden("distilbert.safetensors"))
    let pyTorch = try Checkpoint(pyTorch: Files.golden("distilbert.bin"))
    #expect(safetensors.metadata == ["format": "pt"])
    #expect(safetensors.tensors.count == 38 && pyTorch.tensors.count == 38)
    for tensor in safetensors.tensors {
      let other = try #require(pyTorch[tensor.name])
      #expect(other.shape == tensor.shape)
      #expect(other.parameter?.floats() == tensor.parameter?.floats())
    }
  }

  @Test func whatIsWrittenIsReadBack() throws {
    let path = Files.golden("distilbert.safetensors")
    let configuration = try ModelConfiguration(contentsOf: Files.golden("distilbert.json"))
    var ignored: [String] = []
    let model = try DistilBERT(Checkpoint(safetensors: path), configuration: configuration, ignored: &ignored)
    let url = FileManager.default.temporaryDirectory.appending(path: "spanqa-\(UUID().uuidString).safetensors")
    defer { try? FileManager.default.removeItem(at: url) }
    try Checkpoint.writeSafetensors(model.checkpointTensors(), metadata: ["format": "pt", "a \"b\"\n": "é"], to: url.path)
    let (before, after) = (try Checkpoint(safetensors: path), try Checkpoint(safetensors: url.path))
    #expect(after.metadata == ["format": "pt", "a \"b\"\n": "é"])
    #expect(Set(after.tensors.map(\.name)) == Set(before.tensors.map(\.name)))
    for tensor in before.tensors { #expect(after[tensor.name]?.parameter?.floats() == tensor.parameter?.floats()) }

    let json = configuration.json(model.configuration)
    let readBack = try Files.with(Array(json.utf8)) { try ModelConfiguration(contentsOf: $0) }
    #expect(readBack == configuration)
  }

  @Test func aFullFolderIsAnErrorAndLeavesNothing() throws {
    #expect(throws: CheckpointError.self) { try Checkpoint.writeSafetensors([], to: "/dev/full/model.safetensors") }
  }
}
