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

  @Test(arguments: ["legacy14-sdpa", "dynamo18-eager", "bert14-sdpa", "hidden17", "Forms/bert-optimizer"])
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
