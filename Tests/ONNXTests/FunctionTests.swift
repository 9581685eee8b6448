import ONNX
import Testing

/// Corners of functions that onnx's own inliner treats otherwise, or not at all.
@Suite struct FunctionTests {
  @Test func anOutputThatIsAnInputBecomesAnIdentity() throws {
    let model = try Self.model(calling: .text(4, "i") + .text(5, "i"))
    #expect(model.graph.nodes.map(\.operatorType) == ["Identity", "Identity"])
    #expect(model.graph.nodes[1].inputs == ["x"])
    #expect(model.graph.nodes[1].outputs == ["out"])
  }

  @Test func anOutputThatTheCallLeavesOutKeepsAnInnerName() throws {
    let body: WireMessage =
      .text(4, "i") + .text(5, "o") + .text(5, "unused") + .message(7, .nodeContent("Split", ["i"], ["o", "unused"]))
    let split = try #require(try Self.model(calling: body).graph.nodes.first { $0.operatorType == "Split" })
    #expect(split.inputs == ["x"])
    #expect(split.outputs.count == 2)
    #expect(split.outputs[0] == "out")
    #expect(!["", "unused", "x", "y", "out"].contains(split.outputs[1]))
  }

  @Test func anAttributeThatTheCallLeavesOutIsLeftOut() throws {
    let reference: WireMessage = .text(1, "axis") + .text(21, "axis") + .int(20, 2)
    let body: WireMessage =
      .text(4, "i") + .text(5, "o") + .text(6, "axis") + .message(7, .nodeContent("Softmax", ["i"], ["o"], [reference]))
    let softmax = try #require(try Self.model(calling: body).graph.nodes.first { $0.operatorType == "Softmax" })
    #expect(softmax.attributes.isEmpty)
  }

  /// A model with one call, from `x` to `out`, of a function with this signature and these nodes.
  private static func model(calling body: WireMessage) throws -> Model {
    let function = WireMessage.message(25, .text(1, "F") + .text(10, "f") + .message(9, .int(2, 17)) + body)
    let message = WireMessage.model(
      .graph(.node("F", ["x"], ["out"], domain: "f"), .output("out")), opset: .opset("", 17) + .opset("f", 1),
      more: function)
    return try Model(bytes: TensorBytes(message.bytes), name: "test.onnx")
  }
}
