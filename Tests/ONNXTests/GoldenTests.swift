import Foundation
import ONNX
import Testing

/// Models made by onnx's own Python package, against what that package reads from them.
@Suite struct GoldenTests {
  static let names: [String] = {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: Repository.goldens.path)) ?? []
    return files.filter { $0.hasSuffix(".onnx") }.map { String($0.dropLast(5)) }.sorted()
  }()

  @Test func areThere() {
    print("ONNX goldens: \(Self.names.count) models")
    #expect(Self.names.count >= 8)
  }

  @Test(arguments: names) func readAsThePythonPackageReadsThem(name: String) throws {
    let expected = try Self.expectation(of: name)
    let model = try Self.model(name)
    let description = try ModelDescription(model, renamed: expected.renamed)
    #expect(description == (expected.renamed ? expected.renamingValues() : expected))
  }

  @Test(arguments: names) func surviveWritingAndReading(name: String) throws {
    let model = try Self.model(name)
    let file = URL.temporaryDirectory.appending(path: "spanqa-\(UUID().uuidString).onnx")
    defer { try? FileManager.default.removeItem(at: file) }
    try model.write(to: file)
    #expect(try Model(contentsOf: file) == model)
    // Replacing the file that the tensors are mapped from must leave them as they are.
    let copy = try Model(contentsOf: file)
    try copy.write(to: file)
    #expect(try Model(contentsOf: file) == model)
    #expect(copy == model)
  }

  @Test(arguments: names) func readTheSameFromMemory(name: String) throws {
    let bytes = [UInt8](try Data(contentsOf: Repository.goldens.appending(path: "\(name).onnx")))
    let model = try Model(bytes: TensorBytes(bytes), name: name, folder: Repository.goldens)
    #expect(try model == Self.model(name))
  }

  static func model(_ name: String) throws -> Model {
    try Model(contentsOf: Repository.goldens.appending(path: "\(name).onnx"))
  }

  private static func expectation(of name: String) throws -> ModelDescription {
    let data = try Data(contentsOf: Repository.goldens.appending(path: "\(name).json"))
    return try JSONDecoder().decode(ModelDescription.self, from: data)
  }
}
