import Kernels
import SeededRandom
import Testing

@testable import Encoder

struct EncoderTests {
  static let sequences: [[Int32]] = [[1, 5, 9, 3], [2], [7, 7, 7, 1, 0, 4, 8, 2, 3, 6, 5, 1, 2, 9, 4, 3, 2, 1], [3, 2, 1]]

  /// Sizes that no vector or tile divides, and ones that they do.
  static let shapes: [TinyModel.Shape] = [
    .init(layers: 2, hidden: 48, heads: 3, feedForward: 80),
    .init(layers: 1, hidden: 40, heads: 2, feedForward: 37),
    .init(layers: 2, hidden: 64, heads: 1, feedForward: 256, activation: .geluTanh),
    .init(layers: 1, hidden: 32, heads: 4, feedForward: 64, tokenTypes: 2),
  ]

  @Test(arguments: shapes, FloatGEMM.allCases)
  func agreesWithDoublePrecision(_ shape: TinyModel.Shape, _ gemm: FloatGEMM) throws {
    let tiny = TinyModel(shape, seed: 11)
    let encoder = try Encoder(tiny.model, backend: CPUBackend(gemm: gemm))
    let output = try encoder.forward(PackedBatch(Self.sequences))
    let exact = Self.sequences.flatMap { tiny.forward($0) }
    #expect(output.values.count == exact.count && !exact.isEmpty)
    let worst = zip(output.values, exact).map { abs(Double($0) - $1) }.max() ?? .infinity
    #expect(worst < 2e-5)
  }

  /// A sequence's result depends on nothing that shares its batch, on no kernel set, and on no number of threads.
  @Test(arguments: shapes, [Precision.float32, .int8])
  func theSameBitsHoweverItIsRun(_ shape: TinyModel.Shape, _ precision: Precision) throws {
    let model = TinyModel(shape, seed: 12).model
    let alone = try Encoder(model, threads: 1, precision: precision, gemm: .packed)
    let expected = try Self.sequences.flatMap { try alone.forward(PackedBatch([$0])).values }
    for kernels in KernelSet.available {
      for threads in [1, 2, 4] {
        let encoder = try Encoder(
          model, backend: CPUBackend(threads: threads, kernels: KernelSet(kernels), precision: precision))
        let values = try encoder.forward(PackedBatch(Self.sequences)).values
        #expect(values == expected, "\(kernels) on \(threads) threads")
      }
    }
  }

  @Test func paddingIsPackedAway() throws {
    let encoder = try Encoder(TinyModel(Self.shapes[0], seed: 13).model)
    let width = 20
    let ids = Self.sequences.map { $0 + Array(repeating: 0, count: width - $0.count) }
    let mask = Self.sequences.map { Array(repeating: Int32(1), count: $0.count) + Array(repeating: 0, count: width - $0.count) }
    let padded = try encoder.forward(PackedBatch(inputIDs: ids, attentionMask: mask))
    let packed = try encoder.forward(PackedBatch(Self.sequences))
    #expect(padded.values == packed.values)

    // Padding on the left keeps the tokens' positions in the padded row.
    let left = try PackedBatch(inputIDs: [[0, 0, 5, 6]], attentionMask: [[0, 0, 1, 1]])
    #expect(left.positions == [2, 3])
  }

  /// Rows of padding that are really computed leave the tokens' bits as they are.
  @Test(arguments: shapes, [Precision.float32, .int8])
  func computedPaddingChangesNothing(_ shape: TinyModel.Shape, _ precision: Precision) throws {
    let encoder = try Encoder(TinyModel(shape, seed: 19).model, precision: precision)
    var padded = PackedBatch()
    for sequence in Self.sequences { padded.append(sequence, paddedLength: 20) }
    #expect(padded.tokenCount == 20 * Self.sequences.count)
    let packed = try encoder.forward(PackedBatch(Self.sequences))
    let computed = try encoder.forward(padded)
    for (index, sequence) in Self.sequences.enumerated() {
      #expect(padded.attendedCount(ofSequence: index) == sequence.count)
      for output in 0..<encoder.outputs {
        let tokens = computed.column(output, ofSequence: index).prefix(sequence.count)
        #expect(Array(tokens) == packed.column(output, ofSequence: index))
      }
    }
    var empty = PackedBatch()
    empty.append([], paddedLength: 4)
    #expect(try encoder.forward(empty).values.isEmpty)
  }

  @Test func weightsInAnyFormGiveTheSameModel() throws {
    let tiny = TinyModel(Self.shapes[0], seed: 14)
    var turned = tiny.model
    for index in turned.layers.indices { turned.layers[index].expand.weights = turned.layers[index].expand.weights.transposed() }
    let batch = PackedBatch(Self.sequences)
    let (found, expected) = (try Encoder(turned).forward(batch), try Encoder(tiny.model).forward(batch))
    #expect(found.values == expected.values)
  }

  @Test func integerWeightsStandForRealOnes() throws {
    var quantized = TinyModel(Self.shapes[0], seed: 15).model
    var real = quantized
    let (k, n) = (quantized.configuration.hidden, quantized.configuration.feedForward)
    let integers = (0..<k * n).map { Int8(truncatingIfNeeded: $0 &* 37) }
    let scales = (0..<n).map { 0.001 * Float($0 % 7 + 1) }
    let zeros = (0..<n).map { Int32($0 % 5) }
    quantized.layers[0].expand.weights = DistilBERT.Weights(
      values: Parameter(integers, shape: [k, n]), layout: .inputsByOutputs,
      quantization: .init(scales: scales, zeroPoints: zeros))
    real.layers[0].expand.weights = DistilBERT.Weights(
      values: Parameter(
        integers.enumerated().map { (Float($1) - Float(zeros[$0 % n])) * scales[$0 % n] }, shape: [k, n]),
      layout: .inputsByOutputs)
    let batch = PackedBatch(Self.sequences)
    let (found, expected) = (try Encoder(quantized).forward(batch), try Encoder(real).forward(batch))
    #expect(found.values == expected.values)
  }

  /// int8 is an approximation of float32, and of nothing else.
  @Test(arguments: shapes)
  func int8IsCloseToFloat32(_ shape: TinyModel.Shape) throws {
    let model = TinyModel(shape, seed: 19).model
    let batch = PackedBatch(Self.sequences)
    let exact = try Encoder(model, precision: .float32).forward(batch).values
    let rounded = try Encoder(model, precision: .int8).forward(batch).values
    let range = (exact.max() ?? 0) - (exact.min() ?? 0)
    let worst = zip(exact, rounded).map { abs($0 - $1) }.max() ?? .infinity
    #expect(worst > 0 && worst < 0.05 * range)
  }

  @Test func manyTasksAtOnce() async throws {
    let encoder = try Encoder(TinyModel(Self.shapes[0], seed: 16).model)
    let expected = try Self.sequences.map { try encoder.forward(PackedBatch([$0])).values }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<20 {
            for (sequence, values) in zip(Self.sequences, expected) {
              let found = try encoder.forward(PackedBatch([sequence])).values
              #expect(found == values)
            }
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func badBatchesAreErrors() throws {
    let shape = Self.shapes[0]
    let encoder = try Encoder(TinyModel(shape, seed: 17).model)
    func error(_ body: () throws -> Void) -> BatchError? {
      do { try body() } catch { return error as? BatchError }
      return nil
    }
    #expect(error { _ = try encoder.forward(PackedBatch([[-1]])) } == .tokenID(row: 0, value: -1, vocabulary: shape.vocabulary))
    #expect(
      error { _ = try encoder.forward(PackedBatch([[Int32(shape.vocabulary)]])) }
        == .tokenID(row: 0, value: Int32(shape.vocabulary), vocabulary: shape.vocabulary))
    let long = [Int32](repeating: 1, count: shape.positions + 1)
    #expect(
      error { _ = try encoder.forward(PackedBatch([long])) }
        == .position(row: shape.positions, value: Int32(shape.positions), positions: shape.positions))
    #expect(
      error { _ = try encoder.forward(PackedBatch(inputIDs: [[1]], tokenTypeIDs: [[1]])) }
        == .tokenType(row: 0, value: 1, tokenTypes: 0))
    #expect(
      error { _ = try PackedBatch(inputIDs: [[1, 2]], attentionMask: [[1]]) }
        == .rowLength(field: "attention_mask", row: 0, found: 1, expected: 2))
    #expect(
      error { _ = try PackedBatch(inputIDs: [[1, 2]], attentionMask: [[1, 2]]) } == .maskValue(row: 0, column: 1, value: 2))
    let nothing = try encoder.forward(PackedBatch())
    #expect(nothing.values.isEmpty)
    let nothingFirst = try encoder.forward(PackedBatch([[], [1]]))
    #expect(nothingFirst.sequenceStarts == [0, 0, 1])
  }

  /// What is not finite comes out as an error wherever it comes in, and never as a number: in float32, in int8 with rows' own scales,
  /// and with scales that a file fixes.
  @Test(arguments: [Float.nan, .infinity, -.infinity]) func damagedWeightsAreAnError(value: Float) throws {
    let places: [(String, (inout DistilBERT) -> Void)] = [
      ("embedding norm", { $0.embeddings.norm.bias[2] = value }), ("query", { $0.layers[0].query.bias[1] = value }),
      ("key", { $0.layers[0].key.bias[1] = value }), ("value", { $0.layers[0].value.bias[0] = value }),
      ("attention output", { $0.layers[0].attentionOutput.bias[4] = value }),
      ("attention norm", { $0.layers[0].attentionNorm.scale[3] = value }), ("contract", { $0.layers[0].contract.bias[0] = value }),
      ("output norm", { $0.layers[0].outputNorm.scale[3] = value }),
    ]
    func expand(_ model: inout DistilBERT) { model.layers[0].expand.bias[5] = value }
    let undamaged = TinyModel(Self.shapes[0], seed: 18).model
    for precision in [Precision.float32, .int8, .automatic] {
      // GELU of −∞ is 0, and rightly so.
      for (place, damage) in places + (value == -.infinity ? [] : [("expand", expand)]) {
        var model = undamaged
        if precision == .automatic {
          for layer in model.layers.indices {
            for part in [\DistilBERT.Layer.query, \.key, \.value, \.attentionOutput, \.expand, \.contract] {
              let weights = model.layers[layer][keyPath: part].weights
              model.layers[layer][keyPath: part].weights = weights.quantized(
                activation: .fixed(scale: 0.05, zeroPoint: 100, signed: false))
            }
          }
        }
        #expect(throws: Never.self) { try Encoder(model, precision: precision).forward(PackedBatch([[1, 2]])) }
        damage(&model)
        let encoder = try Encoder(model, precision: precision)
        #expect(throws: BatchError.notFinite(output: "the model's output"), "\(precision), \(place)") {
          try encoder.forward(PackedBatch([[1, 2]]))
        }
      }
    }
  }

  /// An int8 table is looked up as it is, and a float one becomes int8 with the layers.
  @Test func wordEmbeddingsStayIntegersInMemory() throws {
    let model = TinyModel(Self.shapes[0], seed: 21).model
    var quantized = model
    quantized.embeddings.words = model.embeddings.words.quantized()
    let tables = [(quantized, Precision.automatic), (quantized, .int8), (model, .int8)]
    for (model, precision) in tables {
      let prepared = try CPUBackend(threads: 1, precision: precision).prepare(model.embeddings, configuration: model.configuration)
      #expect(prepared.words.values.elementType == .int8)
      #expect(prepared.words.values.bytes.count == model.configuration.vocabulary * model.configuration.hidden)
    }
    let batch = PackedBatch(Self.sequences)
    #expect(
      try Encoder(model, precision: .int8).forward(batch).values == Encoder(quantized, precision: .int8).forward(batch).values)
  }

  /// Inputs times factors, and weights that are divided by them, are the layer as it was.
  @Test func inputFactorsAreMultipliedIn() throws {
    let exact = TinyModel(Self.shapes[0], seed: 20).model
    var model = exact
    for layer in model.layers.indices {
      for part in [\DistilBERT.Layer.query, \.key, \.value, \.attentionOutput, \.expand, \.contract] {
        let weights = exact.layers[layer][keyPath: part].weights
        // Powers of two, so that nothing is rounded.
        let factors = (0..<weights.inputs).map { Float(sign: .plus, exponent: $0 % 5 - 2, significand: 1) }
        model.layers[layer][keyPath: part].weights = weights.multiplyingInputs(by: factors.map { 1 / $0 })
        model.layers[layer][keyPath: part].weights.inputFactors = factors
        #expect(model.layers[layer][keyPath: part].weights.withFoldedFactors().floats() == weights.floats())
      }
    }
    let batch = PackedBatch(Self.sequences)
    let expected = try Encoder(exact, precision: .float32).forward(batch).values
    #expect(try Encoder(model, precision: .float32).forward(batch).values == expected)
    let rounded = try Encoder(model, precision: .int8).forward(batch).values
    let range = (expected.max() ?? 0) - (expected.min() ?? 0)
    #expect(zip(expected, rounded).allSatisfy { abs($0 - $1) < 0.1 * range } && rounded != expected)
  }

  @Test func halfPrecisionIsExact() {
    let exact: [(UInt16, Float)] = [
      (0x0000, 0), (0x3c00, 1), (0xc000, -2), (0x7bff, 65504), (0x0001, 0x1p-24), (0x03ff, 1023 * 0x1p-24),
      (0x0400, 0x1p-14), (0x7c00, .infinity), (0xfc00, -.infinity), (0x3555, 0.333251953125), (0x8000, -0.0),
    ]
    // One byte into the memory: a file's tensors stand at any address.
    let patterns: [UInt16] = exact.map { $0.0 } + [0x7e00]
    let bytes: [UInt8] = [0] + patterns.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
    let whole = ConstantBytes(bytes)
    let shifted = whole.withUnsafeBytes {
      ConstantBytes(unowned: UnsafeRawBufferPointer(rebasing: $0[1...]), owner: whole)
    }
    let floats = Parameter(shape: [exact.count + 1], elementType: .float16, bytes: shifted).floats()
    #expect(floats.dropLast().map(\.bitPattern) == exact.map { $0.1.bitPattern })
    #expect(floats.last?.isNaN == true)
  }
}
