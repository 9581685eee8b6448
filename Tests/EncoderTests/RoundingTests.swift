import Kernels
import Observation
import Testing

@testable import Encoder

/// Values that are rounded between operations, as statically quantised files have them.
struct RoundingTests {
  @Test func followsTheOperatorsDocuments() throws {
    let rounding = try #require(Rounding(scale: 0.5, zeroPoint: 128, integers: .uint8))
    // Halves to even; saturated at −128 and 127 steps; the least value for what is not a number.
    let cases: [(Float, Float)] = [
      (0, 0), (0.24, 0), (0.25, 0), (0.75, 1), (1.25, 1), (-0.75, -1), (63.4, 63.5), (64, 63.5), (1e30, 63.5), (-64, -64),
      (-1e30, -64), (.infinity, 63.5), (-.infinity, -64), (.nan, -64),
    ]
    for (x, y) in cases { #expect(rounding(x) == y, "\(x)") }
    let wide = try #require(Rounding(scale: 0.25, zeroPoint: 65_535, integers: .uint16))
    #expect(wide(0.3) == 0 && wide(-16_383.75) == -16_383.75 && wide(-20_000) == -16_383.75)
    let signed = try #require(Rounding(scale: 1, zeroPoint: -100, integers: .int8))
    #expect(signed(500) == 227 && signed(-500) == -28)
    for scale in [0, -1, .infinity, .nan] as [Float] { #expect(Rounding(scale: scale, zeroPoint: 0, integers: .int8) == nil) }
    #expect(Rounding(scale: 1, zeroPoint: 128, integers: .int8) == nil)
  }

  /// Roundings that change nothing, with the scale on the queries: the same function, step by step.
  private static func none(_ configuration: DistilBERT.Configuration) -> DistilBERT.Roundings {
    var layer = DistilBERT.Roundings.Layer()
    layer.queries = [.scale(1 / Float(configuration.headSize).squareRoot())]
    let sum = DistilBERT.Roundings.EmbeddingSum.sum(.words, .positions)
    return DistilBERT.Roundings(
      embeddings: configuration.tokenTypes > 0 ? .sum(sum, .tokenTypes) : sum, embeddingSum: [],
      layers: Array(repeating: layer, count: configuration.layers), head: DistilBERT.Roundings.Linear())
  }

  private static func rounded(_ shape: TinyModel.Shape, _ change: (inout DistilBERT.Roundings) -> Void) -> DistilBERT {
    var model = TinyModel(shape, seed: 21).model
    var roundings = none(model.configuration)
    change(&roundings)
    model.roundings = roundings
    return model
  }

  @Test(arguments: EncoderTests.shapes)
  func thePassIsTheFusedPassStepByStep(_ shape: TinyModel.Shape) throws {
    var model = Self.rounded(shape) { _ in }
    var tensors: [[String: [Float]]] = []
    var operations: [[ObservedOperation]] = []
    for _ in 0..<2 {
      var found: [String: [Float]] = [:]
      var (names, done): ([String], [ObservedOperation]) = ([], [])
      let observer = Observer(
        selecting: { _ in true },
        tensor: { tensor in
          if tensor.sequence ?? 0 == 0 { names.append(tensor.name) }
          found[tensor.name, default: []] += tensor.values
        }, operation: { done.append($0) })
      let encoder = try Encoder(model)
      let output = try encoder.forward(PackedBatch(EncoderTests.sequences), observer: observer)
      #expect(names == encoder.tensorNames && encoder.roundsBetweenOperations == (model.roundings != nil))
      found["result"] = output.values
      tensors.append(found)
      operations.append(done)
      model.roundings = nil
    }
    // The same names, those of each layer's logits among them, and the same operations.
    #expect(Set(tensors[0].keys) == Set(tensors[1].keys) && tensors[0]["layer.0.logits"] != nil)
    #expect(operations[0].map(\.name) == operations[1].map(\.name))
    #expect(operations[0].map(\.arithmetic) == operations[1].map(\.arithmetic) && operations[0].allSatisfy { !$0.kernels.isEmpty })
    for (name, values) in tensors[0] {
      let expected = try #require(tensors[1][name], "\(name)")
      let worst = zip(values, expected).map { abs($0 - $1) }.max() ?? .infinity
      #expect(values.count == expected.count && worst < 2e-5, "\(name): \(worst)")
    }
    #expect(tensors[0].keys.contains("layer.0.attention.probabilities"))
  }

  /// Norms and GELUs written out step by step are what the kernels compute at once, where the roundings are as fine as floats.
  @Test func normsAndGELUsAreTheFusedOnesStepByStep() throws {
    let fine = try #require(Rounding(scale: 0x1p-11, zeroPoint: 32_768, integers: .uint16))
    let exact = Self.rounded(EncoderTests.shapes[0]) { _ in }
    let model = Self.rounded(EncoderTests.shapes[0]) { roundings in
      roundings.embeddingNorm.mean = [fine]
      for index in roundings.layers.indices {
        roundings.layers[index].gelu.sum = [fine]
        roundings.layers[index].gelu.product = [.scale(0.5), .round(fine), .sum]
        roundings.layers[index].outputNorm.normalized = [fine]
        roundings.layers[index].attentionNorm.scaled = [fine]
      }
    }
    let (found, expected) = try (
      Encoder(model).forward(PackedBatch(EncoderTests.sequences)).values,
      Encoder(exact).forward(PackedBatch(EncoderTests.sequences)).values
    )
    let worst = zip(found, expected).map { abs($0 - $1) }.max() ?? .infinity
    let range = (expected.max() ?? 0) - (expected.min() ?? 0)
    #expect(worst > 0 && worst < 0.01 * range, "\(worst) of \(range)")
  }

  /// A sequence's result depends on nothing that shares its batch, on no kernel set, and on no number of threads.
  @Test func theSameBitsHoweverItIsRun() throws {
    let rounding = try #require(Rounding(scale: 0.05, zeroPoint: 3, integers: .int8))
    let model = Self.rounded(EncoderTests.shapes[0]) { roundings in
      roundings.embeddings = .rounded(roundings.embeddings, rounding)
      for index in roundings.layers.indices {
        roundings.layers[index].query.product = [rounding]
        roundings.layers[index].scores = [.round(rounding)]
        roundings.layers[index].probabilities = [rounding]
        roundings.layers[index].outputResidual = [rounding]
        roundings.layers[index].gelu.erf = [rounding]
        roundings.layers[index].gelu.product = [.sum, .scale(0.5)]
        roundings.layers[index].attentionNorm.normalized = [rounding]
      }
      roundings.head.output = [rounding]
    }
    #expect(model.roundings?.count == 14)
    let alone = try Encoder(model, threads: 1)
    let expected = try EncoderTests.sequences.flatMap { try alone.forward(PackedBatch([$0])).values }
    #expect(expected.allSatisfy { rounding($0) == $0 })
    var padded = PackedBatch()
    for sequence in EncoderTests.sequences { padded.append(sequence, paddedLength: 20) }
    for kernels in KernelSet.available {
      for threads in [1, 2, 4] {
        let encoder = try Encoder(model, backend: CPUBackend(threads: threads, kernels: KernelSet(kernels)))
        #expect(try encoder.forward(PackedBatch(EncoderTests.sequences)).values == expected, "\(kernels), \(threads) threads")
        let computed = try encoder.forward(padded)
        let tokens = EncoderTests.sequences.enumerated().flatMap { index, sequence in
          computed.values[index * 20 * computed.outputs..<(index * 20 + sequence.count) * computed.outputs]
        }
        #expect(tokens == expected, "\(kernels), \(threads) threads, padded")
      }
    }
    // In float32 throughout, nothing is rounded.
    let float = try Encoder(model, precision: .float32).forward(PackedBatch(EncoderTests.sequences)).values
    #expect(!float.allSatisfy { rounding($0) == $0 })
  }
}
