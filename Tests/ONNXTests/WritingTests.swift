import Foundation
import ONNX
import Testing

@Suite struct WritingTests {
  @Test func aModelMadeInSwiftIsReadBack() throws {
    let folder = try TemporaryFolder()
    let file = folder.url.appending(path: "new.onnx")
    let model = try Self.model()
    try model.write(to: file)
    #expect(try Model(contentsOf: file) == model)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["new.onnx"])
  }

  @Test func equalModelsGiveEqualFiles() throws {
    let folder = try TemporaryFolder()
    let files = ["a.onnx", "b.onnx"].map { folder.url.appending(path: $0) }
    for file in files { try Self.model().write(to: file) }
    #expect(try Data(contentsOf: files[0]) == Data(contentsOf: files[1]))
  }

  @Test func aFailureLeavesTheOldFileAndNothingElse() throws {
    let folder = try TemporaryFolder()
    let file = folder.url.appending(path: "model.onnx")
    try Self.model().write(to: file)
    let before = try Data(contentsOf: file)
    var cyclic = try Self.model()
    cyclic.graph.nodes.append(Node(operatorType: "Neg", inputs: ["q"], outputs: ["q"]))
    #expect(throws: ONNXError.self) { try cyclic.write(to: file) }
    var unnameable = try Self.model()
    unnameable.graph.nodes[0].name = "a\0b"
    #expect(throws: ONNXError.self) { try unnameable.write(to: file) }
    #expect(try Data(contentsOf: file) == before)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["model.onnx"])
  }

  @Test func whatCannotBeWrittenSaysSo() throws {
    let folder = try TemporaryFolder()
    let model = try Self.model()
    for url in [folder.url, folder.url.appending(path: "missing/model.onnx")] {
      let error = try #require(throws: ONNXError.self) { try model.write(to: url) }
      guard case .cannotWrite(url.path, _) = error else {
        Issue.record("\(error)")
        continue
      }
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == [])
  }

  @Test func nodesAreWrittenInOrder() throws {
    let folder = try TemporaryFolder()
    let file = folder.url.appending(path: "model.onnx")
    var reversed = try Self.model()
    reversed.graph.nodes.reverse()
    try reversed.write(to: file)
    #expect(try Data(contentsOf: file) == Self.bytes(of: Self.model()))
  }

  #if os(Linux)
  @Test func theMappingGoesWithTheLastTensor() throws {
    let folder = try TemporaryFolder()
    let file = folder.url.appending(path: "model.onnx")
    try Self.model().write(to: file)
    func isMapped() throws -> Bool {
      try memoryMap().contains(file.path)
    }
    var model: Model? = try Model(contentsOf: file)
    var weight = model?.graph.initializers["w"]
    model = nil
    let isMappedForWeight = try withExtendedLifetime(weight) { try isMapped() }
    #expect(isMappedForWeight)
    weight = nil
    #expect(try !isMapped())
  }
  #endif

  private static func bytes(of model: Model) throws -> Data {
    let folder = try TemporaryFolder()
    let file = folder.url.appending(path: "model.onnx")
    try model.write(to: file)
    return try Data(contentsOf: file)
  }

  private static func model() throws -> Model {
    let weight = try Tensor(name: "w", shape: [2, 3], elements: [1, 2, 3, 4, 5, .nan] as [Float])
    let graph = Graph(
      name: "g",
      nodes: [
        Node(name: "mul", operatorType: "MatMul", inputs: ["x", "w"], outputs: ["h"]),
        Node(operatorType: "Softmax", inputs: ["h"], outputs: ["y"], attributes: ["axis": .int(-1)]),
      ],
      initializers: ["w": weight],
      inputs: [ValueInfo(name: "x", elementType: .float, shape: [.symbolic("batch"), .fixed(2)])],
      outputs: [ValueInfo(name: "y", elementType: .float, shape: [.unknown, .fixed(3)])],
      valueInfos: ["h": ValueInfo(name: "h", elementType: .float, shape: nil)])
    return Model(
      producerName: "SpanQA", opsetImports: ["": 17], metadata: ["a": "1", "b": "2"], graph: graph)
  }
}
