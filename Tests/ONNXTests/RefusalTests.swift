import Foundation
import ONNX
import Testing

/// What is refused, and what the message says: each case is a valid model with one thing wrong.
@Suite struct RefusalTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var model: WireMessage
    /// Parts of the one-line message.
    var mentions: [String]
    init(_ description: String, _ model: WireMessage, _ mentions: String...) {
      testDescription = description
      self.model = model
      self.mentions = mentions
    }
  }

  @Test func theModelThatTheCasesChangeIsValid() throws {
    let model = try Self.read(.model(.graph(.initializer("w", dims: [2], .rawData(8)))))
    #expect(model.graph.nodes == [Node(operatorType: "Identity", inputs: ["x"], outputs: ["y"])])
    #expect(model.graph.initializers["w"]?.shape == [2])
  }

  @Test(arguments: modelCases + tensorCases + graphCases + attributeCases + functionCases)
  func isRefused(_ item: Case) throws {
    let error = try #require(throws: ONNXError.self) { try Self.read(item.model) }
    let text = "\(error)"
    #expect(!text.contains("\n"))
    #expect(text.hasPrefix("test.onnx: "))
    for part in item.mentions { #expect(text.contains(part), "\(text)") }
  }

  static let modelCases: [Case] = [
    Case("no graph", .int(1, 8) + .opset("", 17), "no graph"),
    Case("no version", .opset("", 17) + .message(7, .graph()), "ir_version"),
    Case("negative version", .int(1, -1) + .opset("", 17) + .message(7, .graph()), "ir_version"),
    Case("no operator sets", .int(1, 8) + .message(7, .graph()), "opset_import"),
    Case("an operator set's version 0", .model(.graph(), opset: .opset("", 0)), "opset_import", "0"),
    Case("two versions", .model(.graph(), opset: .opset("", 17) + .opset("ai.onnx", 16)), "two versions"),
    Case("two graphs", .model(.graph(), more: .message(7, .graph())), "graph", "twice"),
    Case("a group", .model(.graph(), more: .raw([0x0B])), "does not begin a field"),
    Case("field number 0", .model(.graph(), more: .raw([0x00, 0x00])), "does not begin a field"),
    Case("an endless number", .model(.graph(), more: .raw([0x08] + [UInt8](repeating: 0xFF, count: 11))), "ten bytes"),
    Case(
      "a huge length", .model(.graph(), more: .raw([0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F])),
      "left"),
    Case("a number for a name", .model(.graph(), more: .int(2, 1)), "producer_name", "wire type"),
    Case("a name that is not text", .model(.graph(), more: .data(2, [0xFF])), "producer_name", "UTF-8"),
    Case("a name with a zero", .model(.graph(), more: .data(2, [0x61, 0, 0x61])), "producer_name"),
  ]

  static let tensorCases: [Case] = [
    tensorCase("a negative dimension", dims: [-1], data: .rawData(4), "negative"),
    tensorCase("an overflowing shape", dims: [1 << 40, 1 << 40], data: .rawData(4), "too large"),
    tensorCase("an overflowing byte count", dims: [1 << 62], data: .rawData(4), "too large"),
    tensorCase("overflow hidden by a zero", dims: [1 << 40, 1 << 40, 0], "too large"),
    tensorCase("too few bytes", dims: [2, 2], data: .rawData(15), "16", "15"),
    tensorCase("too many bytes", dims: [2], data: .rawData(9), "8", "9"),
    tensorCase("no data", dims: [2], "8", "0"),
    tensorCase("too few values", dims: [3], type: 7, data: .int(7, 1) + .int(7, 2), "24", "16"),
    tensorCase("data twice", dims: [1], data: .rawData(4) + .data(4, [0, 0, 0, 0]), "float_data", "raw_data"),
    tensorCase("data in another type's field", dims: [1], data: .int(7, 1), "int64_data", "float_data"),
    tensorCase("a value that does not fit", dims: [1], type: 3, data: .int(5, 128), "int32_data", "128"),
    tensorCase("a truth value of 2", dims: [1], type: 9, data: .int(5, 2), "truth"),
    tensorCase("raw strings", dims: [1], type: 8, data: .rawData(1), "strings"),
    tensorCase("strings that are not text", dims: [1], type: 8, data: .data(6, [0xFF]), "UTF-8"),
    tensorCase("no type", dims: [1], type: 0, data: .rawData(4), "data_type"),
    tensorCase("complex numbers", dims: [1], type: 14, data: .rawData(8), "14"),
    tensorCase("segments", dims: [1], data: .message(3, .int(1, 0)), "segments"),
    tensorCase("a hundred dimensions", dims: [Int64](repeating: 1, count: 100), data: .rawData(4), "100"),
    tensorCase("an unknown location", dims: [1], data: .int(14, 2), "data_location"),
    Case("no name", .model(.graph(.initializer("", dims: [1], .rawData(4)))), "initializer 0", "no name"),
    Case(
      "a name twice",
      .model(.graph(.initializer("w", dims: [1], .rawData(4)), .initializer("w", dims: [1], .rawData(4)))), "'w'",
      "twice"),
    Case("a sparse one", .model(.graph(.message(15, .message(1, .tensor("sparse", dims: [1]))))), "'sparse'", "dense"),
    tensorCase("external data without a folder", dims: [1], data: .external(["location": "w.bin"]), "folder"),
  ]

  private static func tensorCase(
    _ description: String, dims: [Int64], type: Int64 = 1, data: WireMessage = .init(), _ mentions: String...
  ) -> Case {
    var item = Case(description, .model(.graph(.initializer("w", dims: dims, type: type, data))))
    item.mentions = ["'w'"] + mentions
    return item
  }

  static let graphCases: [Case] = [
    Case("no outputs", .model(.input("x") + .node("Identity", ["x"], ["y"])), "no outputs"),
    Case("an output from nowhere", .model(.graph(.output("z"))), "output 'z'", "nothing produces"),
    Case("an output twice", .model(.graph(.output("y"))), "output 'y'", "twice"),
    Case("an input from nowhere", .model(.graph(.node("Neg", ["z"], ["a"]))), "Neg → a", "'z'", "nothing produces"),
    Case("an input twice", .model(.graph(.input("x"))), "input 'x'", "twice"),
    Case("an input without a name", .model(.graph(.input(""))), "no name"),
    Case("a value produced twice", .model(.graph(.node("Neg", ["x"], ["y"]))), "Neg → y", "produced twice"),
    Case("an input produced by a node", .model(.graph(.node("Neg", ["y"], ["x"]))), "'x'", "produced twice"),
    Case(
      "a cycle", .model(.graph(.node("Neg", ["a"], ["b"]), .node("Abs", ["b"], ["a"]))), "Neg → b", "Abs → a",
      "its own output"),
    Case("a node that takes its output", .model(.graph(.node("Neg", ["a"], ["a"]))), "Neg → a", "its own output"),
    Case("a node without an operator", .model(.graph(.node("", ["x"], ["a"]))), "op_type"),
    Case(
      "an unknown domain", .model(.graph(.node("Neg", ["x"], ["a"], domain: "org.example"))), "Neg → a", "org.example"),
    Case(
      "a domain that is not imported", .model(.graph(.node("Gelu", ["x"], ["a"], domain: "com.microsoft"))), "Gelu → a",
      "com.microsoft", "opset_import"),
    Case(
      "a negative dimension of an input",
      .model(.graph(.input("z", .message(2, .message(1, .int(1, 1) + .message(2, .message(1, .int(1, -2)))))))),
      "input 'z'", "-2"),
    Case("an input that is a sequence", .model(.graph(.input("z", .message(2, .data(4, []))))), "input 'z'", "tensor"),
    Case(
      "an input of complex numbers", .model(.graph(.input("z", .message(2, .message(1, .int(1, 14)))))), "input 'z'",
      "14"),
  ]

  static let attributeCases: [Case] = [
    attributeCase("no name", .int(3, 1) + .int(20, 2), "no name"),
    attributeCase("no value", .text(1, "a"), "'a'", "no value"),
    attributeCase("two values", .text(1, "a") + .int(3, 1) + .text(4, "s"), "'a'", "several kinds"),
    attributeCase("another value than it says", .text(1, "a") + .int(3, 1) + .int(20, 3), "'a'", "is said to be"),
    attributeCase("an unknown type", .text(1, "a") + .int(20, 13), "'a'", "13"),
    attributeCase("no tensor", .text(1, "a") + .int(20, 4), "'a'", "no tensor"),
    attributeCase("no graph", .text(1, "a") + .int(20, 5), "'a'", "no graph"),
    attributeCase("a string that is not text", .text(1, "a") + .data(4, [0xC0]), "'a'", "UTF-8"),
    attributeCase(
      "a tensor of the wrong size", .text(1, "a") + .message(5, .tensor("", dims: [2], .rawData(4))), "'a'", "8"),
    attributeCase("a reference outside of functions", .text(1, "a") + .text(21, "b"), "'a'", "'b'"),
    attributeCase("graphs nested too deeply", nestedGraphs(18), "nested too deeply"),
    attributeCase("messages nested too deeply", nestedGraphs(60), "nested too deeply"),
    attributeCase(
      "a graph that hides a value", .text(1, "a") + .message(6, .node("Neg", ["x"], ["y"]) + .output("y")), "hides",
      "'y'"),
    attributeCase(
      "a graph that takes a value from nowhere", .text(1, "a") + .message(6, .node("Neg", ["q"], ["r"]) + .output("r")),
      "'a'", "Neg → r", "'q'"),
    attributeCase(
      "a graph that takes its node's output", .text(1, "a") + .message(6, .node("Neg", ["out"], ["r"]) + .output("r")),
      "If → out", "its own output"),
    Case(
      "an attribute twice",
      .model(.graph(.node("If", ["x"], ["out"], .text(1, "a") + .int(3, 1), .text(1, "a") + .int(3, 2)))), "'a'",
      "twice"),
  ]

  private static func attributeCase(_ description: String, _ attribute: WireMessage, _ mentions: String...) -> Case {
    var item = Case("attribute: \(description)", .model(.graph(.node("If", ["x"], ["out"], attribute))))
    item.mentions = ["If → out"] + mentions
    if description.hasPrefix("messages") { item.mentions = mentions }
    return item
  }

  private static func nestedGraphs(_ depth: Int) -> WireMessage {
    var attribute: WireMessage = .text(1, "a") + .int(3, 1)
    for _ in 0..<depth {
      attribute = .text(1, "a") + .message(6, .node("If", [], [], attribute))
    }
    return attribute
  }

  static let functionCases: [Case] = [
    functionCase(
      "that calls itself", function("F", .message(7, .nodeContent("F", ["i"], ["o"], domain: "f"))), "itself"),
    functionCase(
      "of another version",
      function("F", .message(7, .nodeContent("Neg", ["i"], ["o"])), opset: .message(9, .int(2, 11))),
      "11", "17"),
    functionCase(
      "defined twice",
      function("F", .message(7, .nodeContent("Neg", ["i"], ["o"])))
        + function("F", .message(7, .nodeContent("Neg", ["i"], ["o"]))), "twice"),
    functionCase(
      "that refers to nothing", function("F", .message(7, .nodeContent("Neg", ["i"], ["p"]))), "'out'",
      "nothing produces"),
    functionCase(
      "that grows beyond all bounds",
      (0..<14).map { level in
        function(
          level == 0 ? "F" : "F\(level)",
          (0..<8).map {
            .message(
              7, .nodeContent(level == 13 ? "Neg" : "F\(level + 1)", ["i"], ["o\($0)"], domain: level == 13 ? "" : "f"))
          }
          .reduce(WireMessage(), +), output: "o0")
      }.reduce(WireMessage(), +), "expand to too many nodes"),
  ]

  private static func functionCase(_ description: String, _ functions: WireMessage, _ mentions: String...) -> Case {
    var item = Case(
      "function \(description)",
      .model(
        .graph(.node("F", ["x"], ["out"], domain: "f"), .output("out")), opset: .opset("", 17) + .opset("f", 1),
        more: functions))
    item.mentions = mentions
    return item
  }

  private static func function(
    _ name: String, _ nodes: WireMessage, output: String = "o", opset: WireMessage = .message(9, .int(2, 17))
  ) -> WireMessage {
    .message(25, .text(1, name) + .text(4, "i") + .text(5, output) + .text(10, "f") + nodes + opset)
  }

  // MARK: Files

  @Test func otherFilesAreCalledWhatTheyAre() throws {
    for (content, mention) in [
      ("", "empty"), (#"{"model": "bert"}"#, "JSON"), ("Not found", "text"),
      ("version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"), ("PK\u{3}\u{4}\u{0}", "ZIP"),
    ] {
      let folder = try TemporaryFolder()
      let file = folder.url.appending(path: "model.onnx")
      try Data(content.utf8).write(to: file)
      let error = try #require(throws: ONNXError.self) { try Model(contentsOf: file) }
      #expect("\(error)".contains(mention))
      #expect("\(error)".contains(file.path))
    }
  }

  @Test func whatIsNoFileIsUnreadable() throws {
    let folder = try TemporaryFolder()
    for url in [folder.url, folder.url.appending(path: "missing.onnx")] {
      let error = try #require(throws: ONNXError.self) { try Model(contentsOf: url) }
      guard case .unreadableFile(url.path, _) = error else {
        Issue.record("\(error)")
        continue
      }
    }
  }

  @Test(
    arguments: [
      (["location": "../outside.bin"], "leaves the model's folder"),
      (["location": "sub/../../outside.bin"], "leaves the model's folder"),
      (["location": "/etc/passwd"], "leaves the model's folder"),
      (["location": "link.bin"], "link"),
      (["location": "linked/outside.bin"], "link"),
      (["location": "missing.bin"], "is not in"),
      (["location": "."], "leaves the model's folder"),
      (["location": ""], "no location"),
      (["offset": "0"], "no location"),
      (["location": "inside.bin", "offset": "-1"], "offset"),
      (["location": "inside.bin", "offset": "x"], "offset"),
      (["location": "inside.bin", "offset": "99999999999999999999"], "offset"),
      (["location": "inside.bin", "offset": "9223372036854775807"], "only 8"),
      (["location": "inside.bin", "offset": "5"], "only 8"),
      (["location": "inside.bin", "length": "8"], "length"),
      (["location": "sub"], "regular file"),
    ] as [([String: String], String)])
  func externalDataStaysInTheFolder(entries: [String: String], mention: String) throws {
    let folder = try TemporaryFolder()
    let inner = folder.url.appending(path: "model")
    try FileManager.default.createDirectory(at: inner.appending(path: "sub"), withIntermediateDirectories: true)
    try Data(count: 8).write(to: folder.url.appending(path: "outside.bin"))
    try Data(count: 8).write(to: inner.appending(path: "inside.bin"))
    try FileManager.default.createSymbolicLink(
      atPath: inner.appending(path: "link.bin").path, withDestinationPath: "../outside.bin")
    try FileManager.default.createSymbolicLink(atPath: inner.appending(path: "linked").path, withDestinationPath: "..")
    let external = entries.map { WireMessage.message(13, .text(1, $0.key) + .text(2, $0.value)) }.reduce(.int(14, 1), +)
    let file = inner.appending(path: "model.onnx")
    try Data(WireMessage.model(.graph(.initializer("w", dims: [1], external))).bytes).write(to: file)
    let error = try #require(throws: ONNXError.self) { try Model(contentsOf: file) }
    guard case .externalData(file.path, "w", let reason) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(reason.contains(mention), "\(reason)")
  }

  /// The hub's cache: a folder of links into a folder of blobs.
  @Test func linksToWhereTheModelItselfLiesAreFine() throws {
    let folder = try TemporaryFolder()
    let blobs = folder.url.appending(path: "blobs")
    let snapshot = folder.url.appending(path: "snapshot")
    for url in [blobs, snapshot] { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
    let model = WireMessage.model(.graph(.initializer("w", dims: [1], .external(["location": "model.onnx_data"]))))
    try Data(model.bytes).write(to: blobs.appending(path: "1"))
    try Data([0, 0, 0x80, 0x3F]).write(to: blobs.appending(path: "2"))
    for (name, blob) in [("model.onnx", "1"), ("model.onnx_data", "2")] {
      try FileManager.default.createSymbolicLink(
        atPath: snapshot.appending(path: name).path, withDestinationPath: "../blobs/\(blob)")
    }
    let read = try Model(contentsOf: snapshot.appending(path: "model.onnx"))
    #expect(try read.graph.initializers["w"]?.floats() == [1])
  }

  private static func read(_ message: WireMessage) throws -> Model {
    try Model(bytes: TensorBytes(message.bytes), name: "test.onnx")
  }
}

/// A folder that goes away with the value.
final class TemporaryFolder {
  let url: URL

  init() throws {
    url = URL.temporaryDirectory.appending(path: "spanqa-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }
}
