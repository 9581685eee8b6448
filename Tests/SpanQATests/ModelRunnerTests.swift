import Encoder
import Foundation
import Lowering
import ONNX
import Testing

@testable import SpanQA

/// Graphs that the fused encoder does not take, and its comparison with the graph run node by node.
@Suite("Running node by node")
struct ModelRunnerTests {
  private static let goldens = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../LoweringTests/Goldens").standardized

  private static func model(_ name: String = "legacy14-sdpa") throws -> Model {
    try Model(contentsOf: goldens.appending(path: "\(name).onnx"))
  }

  private static let batch = PackedBatch([[3, 1, 4, 1, 5, 9], [2, 6, 5], [35, 8]])

  /// A graph whose end logits have the other sign, which no encoder has.
  private static func negated() throws -> Model {
    var model = try model()
    let index = try #require(model.graph.nodes.firstIndex { $0.outputs == ["end_logits"] })
    model.graph.nodes[index].outputs = ["plain"]
    model.graph.nodes.append(Node(name: "turn", operatorType: "Neg", inputs: ["plain"], outputs: ["end_logits"]))
    return model
  }

  @Test func refusedGraphsRunNodeByNode() throws {
    let fused = try ModelRunner(try Self.model())
    #expect(fused.warning == nil)
    let expected = try fused.forward(Self.batch)
    let runner = try ModelRunner(try Self.negated())
    let warning = try #require(runner.warning)
    #expect(warning.contains("turn") && !warning.contains("\n"))
    let found = try runner.forward(Self.batch)
    #expect(found.outputs == 2 && found.values.count == expected.values.count)
    #expect(found.sequenceStarts == expected.sequenceStarts)
    for index in found.values.indices {
      let sign: Float = index % 2 == 0 ? 1 : -1
      #expect(abs(found.values[index] - sign * expected.values[index]) <= 1e-4)
    }
  }

  @Test func requiredFusionIsAnError() throws {
    #expect(throws: LoweringError.self) {
      try ModelRunner(try Self.negated(), engine: EngineOptions(requiresFused: true))
    }
  }

  @Test func unknownOperatorsNameBothReasons() throws {
    var model = try Self.negated()
    model.graph.nodes[model.graph.nodes.count - 1].operatorType = "Nonsense"
    let error = try #require(throws: ModelRunnerError.self) { try ModelRunner(model) }
    #expect("\(error)".contains("Nonsense") && "\(error)".contains("turn"))
  }

  @Test func theGraphIsThePaddedRowsFunction() throws {
    let interpreted = try InterpretedModel(try Self.model("fixeddyn18-sdpa"))
    let fused = try ModelRunner(try Self.model("fixeddyn18-sdpa"))
    let (found, expected) = (try interpreted.forward(Self.batch), try fused.forward(Self.batch))
    #expect(found.values.count == expected.values.count)
    for (found, expected) in zip(found.values, expected.values) { #expect(abs(found - expected) <= 1e-4) }
  }

  @Test(arguments: ["legacy14-sdpa", "dynamo18-eager", "bert14-sdpa", "hidden17", "Forms/bert-optimizer", "Forms/distilbert-qdq-channel"])
  func everyLayerAgrees(_ name: String) throws {
    let verification = try Verification(try Self.model(name))
    let differences = try verification.run(verification.randomBatch(seed: 1), tolerance: 1e-4)
    let hidden = differences.filter { $0.name == "embeddings" || $0.name.hasPrefix("layer") }
    #expect(hidden.count >= 3 && differences.count > hidden.count)
    #expect(differences.allSatisfy { $0.firstBeyond == nil && $0.count > 0 })
    let worst = differences.map(\.absolute).max() ?? 0
    print("\(name): \(differences.count) values compared, largest difference \(worst)")
    // With no tolerance, rounding shows somewhere, and where it is said is where it is.
    let strict = try verification.run(verification.randomBatch(seed: 1), tolerance: 0)
    let place = try #require(strict.compactMap(\.firstBeyond).first)
    #expect(place.found != place.expected)
  }

  /// `[2, batch, sequence]`, also where that could be `[batch, sequence, 2]`.
  @Test func stackedLogits() throws {
    var model = try Self.model()
    model.graph.initializers["first"] = try Tensor(name: "first", shape: [1], elements: [0 as Int64])
    for name in ["start", "end"] {
      model.graph.nodes.append(Node(operatorType: "Unsqueeze", inputs: ["\(name)_logits", "first"], outputs: [name]))
    }
    model.graph.nodes.append(
      Node(operatorType: "Concat", inputs: ["start", "end"], outputs: ["logits"], attributes: ["axis": .int(0)]))
    let sizes: [ONNX.Dimension] = [.fixed(2), .symbolic("batch"), .symbolic("sequence")]
    model.graph.outputs = [ValueInfo(name: "logits", elementType: .float, shape: sizes)]
    let batch = PackedBatch([[3, 1], [2, 6]])
    let expected = try ModelRunner(try Self.model()).forward(batch)
    let interpreted = try InterpretedModel(model).forward(batch)
    #expect(interpreted.outputs == 2)
    for (found, expected) in zip(interpreted.values, expected.values) { #expect(abs(found - expected) <= 1e-4) }
    #expect(try ModelRunner(model, engine: EngineOptions(requiresFused: true)).forward(batch).values == expected.values)
    let verification = try Verification(model)
    let differences = try verification.run(verification.randomBatch(seed: 1), tolerance: 1e-4)
    #expect(differences.last?.name == "logits" && differences.allSatisfy { $0.firstBeyond == nil })
  }

  @Test func refusedGraphsAreComparedAlone() throws {
    let verification = try Verification(try Self.negated())
    #expect("\(try #require(verification.refusal))".contains("turn"))
    let batch = try PaddedBatch(Self.batch)
    let error = try #require(throws: VerificationError.self) { try verification.run(batch, tolerance: 1e-4) }
    #expect("\(error)".contains("turn") && !"\(error)".contains("\n"))
    let output = try ModelRunner(try Self.negated()).forward(Self.batch)
    let columns = (0..<2).map { column in stride(from: column, to: output.values.count, by: 2).map { output.values[$0] } }
    let same = try verification.run(
      batch, against: ["start_logits": columns[0], "end_logits": columns[1]], tolerance: 1e-4)
    #expect(same.map(\.name) == ["start_logits, node by node", "end_logits, node by node"])
    #expect(same.allSatisfy { $0.firstBeyond == nil })
    #expect(throws: LoweringError.self) { try Verification(try Self.negated(), engine: EngineOptions(requiresFused: true)) }
  }

  @Test func nodesOnValuesMadeElsewhere() throws {
    let model = try Self.model("Forms/distilbert-qdq-channel")
    var values = try Model(contentsOf: Self.goldens.appending(path: "Forms/distilbert-qdq-channel.values")).graph.initializers
    let checks = try Verification.nodes(of: model, on: values)
    #expect(checks.count > 100 && checks.allSatisfy { $0.relative < 1e-6 })
    // One value that no node gives, and no more than the nodes around it differ.
    let name = try #require(checks.first { $0.operatorType == "Softmax" }?.output)
    values[name] = try Tensor(
      shape: values[name]?.shape ?? [], elements: try #require(try values[name]?.floats()).map { $0 + 1 })
    let changed = try Verification.nodes(of: model, on: values).filter { $0.relative >= 1e-6 }.map(\.operatorType)
    #expect(changed == ["Softmax", "QuantizeLinear"])
  }

  @Test func outputsMadeElsewhere() throws {
    let verification = try Verification(try Self.model())
    let batch = try PaddedBatch(Self.batch)
    let output = try ModelRunner(try Self.model()).forward(Self.batch)
    var reference = ["start_logits": [Float](), "end_logits": []]
    for (index, value) in output.values.enumerated() {
      reference[index % 2 == 0 ? "start_logits" : "end_logits", default: []].append(value)
    }
    let same = try verification.run(batch, against: reference, tolerance: 1e-4)
    #expect(same.count == 4 && same.allSatisfy { $0.firstBeyond == nil })
    // The second row's first token is the seventh of all.
    reference["end_logits"]?[6] += 1
    let other = try verification.run(batch, against: reference, tolerance: 1e-4)
    #expect(other.compactMap(\.firstBeyond).map { [$0.row, $0.column] } == [[1, 0], [1, 0]])
    reference["end_logits"] = nil
    #expect(throws: VerificationError.self) { try verification.run(batch, against: reference, tolerance: 1e-4) }
  }
}
