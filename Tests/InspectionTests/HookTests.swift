import Encoder
import Foundation
import Kernels
import Lowering
import ONNX
import Observation
import Testing

/// What an observer sees, against PyTorch's hooks.
struct HookTests {
  /// Every value of a sequence, by name.
  private static func values(_ encoder: Encoder, _ ids: [Int32]) throws -> [String: ObservedTensor] {
    var found: [String: ObservedTensor] = [:]
    let observer = Observer(selecting: { _ in true }, tensor: { found[$0.name] = $0 })
    _ = try encoder.forward(PackedBatch([ids]), observer: observer)
    return found
  }

  /// The simulation attends in float32. With attention in fixed point, values near the middle of two integers fall to the other side,
  /// each by a step, which the last line allows for.
  @Test(arguments: [
    ("float32", Precision.float32, KernelSet.AttentionArithmetic.float32, Float(1e-4)), ("int8", .int8, .float32, 1e-4),
    ("int8", .int8, .fixedPoint, 0.15),
  ])
  func everyValueEqualsPyTorch(
    _ kind: String, _ precision: Precision, _ attention: KernelSet.AttentionArithmetic, _ bound: Float
  ) throws {
    let golden = try HookGolden()
    let encoder = try Encoder(golden.model(), precision: precision, attention: attention)
    let found = try golden.sequences.map { try Self.values(encoder, $0) }
    var largest: [String: Float] = [:]
    for (tensor, values) in golden.tensors(kind) {
      let ours = try #require(found[tensor.sequence][tensor.name], "\(tensor.name)")
      #expect(ours.shape == tensor.shape, "\(tensor.name)")
      largest[tensor.name] = max(largest[tensor.name] ?? 0, largestDifference(ours.values, values))
    }
    let names = encoder.tensorNames.filter { !Encoder.isInt8Operand($0) }
    #expect(Set(largest.keys) == Set(names))
    for name in names {
      let difference = largest[name] ?? .infinity
      print("\(kind) \(name): \(difference)")
      #expect(difference <= bound, "\(name)")
    }
    // Before anything is rounded after it, fixed point is nearly exact.
    #expect(largest["layer.0.attention.context"] ?? .infinity <= 2e-4)
    print("\(kind): \(largest.count) tensors of \(golden.sequences.count) sequences compared")
    #expect(largest.count > 40)
  }

  /// What the engine multiplies in int8, beside what PyTorch's simulation of it rounds to.
  @Test func int8ArraysAreTheSimulatedOnes() throws {
    let golden = try HookGolden()
    let encoder = try Encoder(golden.model(), precision: .int8, attention: .float32)
    let found = try golden.sequences.map { try Self.values(encoder, $0) }
    let floats = Dictionary(
      uniqueKeysWithValues: golden.tensors("int8").map { ("\($0.tensor.sequence) \($0.tensor.name)", $0.values) })
    var names: Set<String> = []
    var (integers, others) = (0, 0)
    for (tensor, expected) in golden.tensors("operand") {
      let ours = try #require(found[tensor.sequence][tensor.name], "\(tensor.name)")
      names.insert(tensor.name)
      #expect(ours.shape == tensor.shape, "\(tensor.name)")
      guard case .int8(let numbers) = ours.elements else {
        // Scales.
        #expect(ours.elements == .float32(ours.values) && tensor.name.hasSuffix("_scale"), "\(tensor.name)")
        for (a, b) in zip(ours.values, expected) { #expect(abs(a - b) <= 1e-5 * b, "\(tensor.name)") }
        continue
      }
      // Weights are the same numbers; a value beside a half may be rounded the other way.
      let steps = zip(numbers, expected).map { abs(Float($0) - $1) }
      #expect(numbers.count == expected.count && (steps.max() ?? 9) <= (tensor.name.hasSuffix("weight") ? 0 : 1), "\(tensor.name)")
      integers += numbers.count
      others += steps.count { $0 > 0 }

      // Times its scale it is PyTorch's value there, to half a step.
      guard tensor.name.hasSuffix(".input"), let source = Self.input(of: tensor.name) else { continue }
      let values = try #require(floats["\(tensor.sequence) \(source)"], "\(source)")
      let scales = try #require(found[tensor.sequence][tensor.name + "_scale"]).values
      for (place, number) in numbers.enumerated() {
        let scale = scales[place / tensor.shape[1]]
        #expect(abs(Float(number) * scale - values[place]) <= scale / 2 + 1e-4, "\(tensor.name)")
      }
    }
    print("\(names.count) int8 operands, \(integers) integers compared, \(others) of them a step apart")
    #expect(names == Set(encoder.tensorNames.filter(Encoder.isInt8Operand)) && names.count == 3 * 6 * 4)
    #expect(others * 1000 < integers)
  }

  /// The value that a layer quantises, by the name of what it makes of it.
  private static func input(of operand: String) -> String? {
    let parts = operand.split(separator: ".").map(String.init)
    guard parts.count == 6, let layer = Int(parts[1]) else { return nil }
    switch "\(parts[2]).\(parts[3])" {
    case "attention.output": return "layer.\(layer).attention.context"
    case "feed_forward.expanded": return "layer.\(layer).attention.norm"
    case "feed_forward.output": return "layer.\(layer).feed_forward.middle"
    default: return layer == 0 ? "embeddings" : "layer.\(layer - 1).output"
    }
  }

  @Test(arguments: [Precision.float32, .int8])
  func namesAreThoseOfAPass(_ precision: Precision) throws {
    let golden = try HookGolden()
    let encoder = try Encoder(golden.model(), precision: precision)
    var names: [String] = []
    let observer = Observer(selecting: { _ in true }, tensor: { names.append($0.name) })
    _ = try encoder.forward(PackedBatch([golden.sequences[0]]), observer: observer)
    #expect(names == encoder.tensorNames)
    #expect(Set(encoder.hiddenStateNames).isSubset(of: names) && encoder.hiddenStateNames.count == 4)
  }

  @Test(arguments: [Precision.float32, .int8])
  func watchingChangesNoBit(_ precision: Precision) throws {
    let golden = try HookGolden()
    let encoder = try Encoder(golden.model(), precision: precision)
    let batch = PackedBatch(golden.sequences)
    var operations: [ObservedOperation] = []
    var logits: [Float] = []
    var probabilities: [ObservedTensor] = []
    var regions: [ObservedRegion] = []
    let observer = Observer(
      selecting: { _ in true },
      tensor: { tensor in
        if tensor.name == "logits" { logits = tensor.values }
        if tensor.name == "layer.1.attention.probabilities" { probabilities.append(tensor) }
      },
      operation: { operations.append($0) }, memory: { regions = $0 })
    let watched = try encoder.forward(batch, observer: observer)
    #expect(watched.values == (try encoder.forward(batch)).values)
    #expect(logits == watched.values)

    let layers = (0..<3).flatMap { layer in
      ["query_key_value", "attention", "attention_output", "feed_forward"].map { "layer.\(layer).\($0)" }
    }
    #expect(operations.map(\.name) == ["embeddings"] + layers + ["head"])
    #expect(operations.allSatisfy { $0.duration >= .zero && !$0.kernels.isEmpty && $0.output[0] == batch.tokenCount })
    #expect(zip(operations, operations.dropFirst()).allSatisfy { $0.start + $0.duration <= $1.start })
    #expect(operations[1].arithmetic == 2 * batch.tokenCount * 24 * 72)
    #expect(regions.allSatisfy { $0.byteCount >= 0 } && regions.contains { $0.name == "residual stream" })

    // A table of probabilities for each sequence, whose rows sum to one.
    #expect(probabilities.map(\.sequence) == [0, 1])
    for tensor in probabilities {
      let width = tensor.shape[2]
      for row in stride(from: 0, to: tensor.values.count, by: width) {
        #expect(abs(tensor.values[row..<row + width].reduce(0, +) - 1) < 1e-5)
      }
    }
  }

  @Test func ablationEqualsPyTorch() throws {
    let golden = try HookGolden()
    let encoder = try Encoder(golden.model(), precision: .float32)
    var count = 0
    for kind in ["head", "layer"] {
      for (tensor, values) in golden.tensors(kind) {
        let numbers = tensor.name.split(separator: ".").compactMap { Int($0) }
        let ablation =
          kind == "head" ? Ablation(heads: [Ablation.Head(layer: numbers[0], head: numbers[1])]) : Ablation(layers: [numbers[0]])
        let batch = PackedBatch([golden.sequences[tensor.sequence]])
        let found = try encoder.forward(batch, ablation: ablation).values
        #expect(largestDifference(found, values) <= 1e-4, "\(kind) \(tensor.name)")
        #expect(largestDifference(found, try encoder.forward(batch).values) > 1e-3, "\(kind) \(tensor.name) changes nothing")
        count += 1
      }
    }
    print("\(count) ablations compared")
    #expect(count == 2 * (3 * 3 + 3))
  }

  @Test func whatIsNotThereCannotBeLeftOut() throws {
    let golden = try HookGolden()
    let encoder = try Encoder(golden.model())
    let batch = PackedBatch(golden.sequences)
    #expect(throws: BatchError.layer(3, layers: 3)) { try encoder.forward(batch, ablation: Ablation(layers: [3])) }
    #expect(throws: BatchError.head(-1, heads: 3)) {
      try encoder.forward(batch, ablation: Ablation(heads: [Ablation.Head(layer: 0, head: -1)]))
    }
  }

  static let mini = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../../shared/models/spanqa-mini/onnx/model.onnx").standardizedFileURL

  @Test(.enabled(if: FileManager.default.fileExists(atPath: mini.path), "needs ../shared"))
  func normsOfARealModelEqualPyTorch() throws {
    struct Golden: Decodable {
      var ids: [Int32]
      var norms: [String: Double]
    }
    let golden = try JSONDecoder().decode(
      Golden.self, from: Data(contentsOf: HookGolden.folder.appending(path: "mini_norms.json")))
    let encoder = try Encoder(LoweredModel(Model(contentsOf: Self.mini)).model, precision: .float32)
    let found = try Self.values(encoder, golden.ids)
    #expect(Set(found.keys) == Set(golden.norms.keys))
    for (name, norm) in golden.norms {
      let ours = (found[name]?.values ?? []).reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      #expect(abs(ours - norm) <= 1e-4 * norm, "\(name): \(ours), expected \(norm)")
    }
    print("\(golden.norms.count) norms compared")
    #expect(golden.norms.count > 80)
  }
}
