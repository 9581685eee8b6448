import Encoder
import Export
import Kernels
import Lowering
import ONNX
import Quantization
import SpanQADefaultModel
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

@Suite struct QuantizedModelTests {
  private static func logits(_ model: DistilBERT, _ batch: PackedBatch, precision: Precision = .automatic) throws -> [Float] {
    try Encoder(model, backend: CPUBackend(threads: 1, precision: precision)).forward(batch).values
  }

  /// What the model is after a journey through a file.
  private static func readBack(_ model: DistilBERT, _ form: DynamicForm = .tensor) throws -> LoweredModel {
    let file = FileManager.default.temporaryDirectory.appending(path: "spanqa-\(UUID().uuidString).onnx")
    defer { try? FileManager.default.removeItem(at: file) }
    try Model(model, dynamicForm: form, metadata: ["made": "by a test"]).write(to: file)
    let read = try Model(contentsOf: file)
    #expect(read.metadata == ["made": "by a test"])
    return try LoweredModel(read)
  }

  private static func calibrated(_ model: DistilBERT) throws -> Calibration {
    let calibration = Calibration()
    let backend = try CPUBackend(threads: 1, precision: .float32, observer: calibration.observer)
    _ = try Encoder(model, backend: backend).forward(model.batch([32, 9, 17, 24, 31], seed: 11))
    return calibration
  }

  static let variants: [QuantizationOptions] = [
    QuantizationOptions(), QuantizationOptions(perChannel: false), QuantizationOptions(keepsEmbeddings: true),
    QuantizationOptions(excluded: ["layer.0.*", "layer.1.attention.output"]),
    QuantizationOptions(activations: .fixed(.minmax)), QuantizationOptions(activations: .fixed(.mse), perChannel: false),
    QuantizationOptions(activations: .fixed(.percentile(99.9)), excluded: ["*.contract"]),
  ]

  @Test(arguments: variants.indices) func writtenAndReadBackItComputesTheSameBits(variant: Int) throws {
    for (types, activation, layout) in [
      (0, DistilBERT.Activation.gelu, DistilBERT.Weights.Layout.inputsByOutputs), (2, .geluTanh, .outputsByInputs),
    ] {
      let model = DistilBERT.random(tokenTypes: types, activation: activation, layout: layout)
      let quantized = try QuantizedModel(model, options: Self.variants[variant], calibration: Self.calibrated(model))
      let batch = model.batch([1, 32, 7, 16])
      let expected = try Self.logits(quantized.model, batch)
      for form in DynamicForm.allCases {
        let read = try Self.readBack(quantized.model, form)
        #expect(try Self.logits(read.model, batch) == expected, "\(form)")
        #expect(read.outputs == .spans(start: "start_logits", end: "end_logits"))
      }
      #expect(try Self.readBack(model).model.configuration == model.configuration)
    }
  }

  @Test func floatModelsSurviveTheJourneyToo() throws {
    let model = DistilBERT.random(layout: .outputsByInputs)
    let batch = model.batch([3, 30])
    #expect(try Self.logits(Self.readBack(model).model, batch) == Self.logits(model, batch))
  }

  @Test func loadedAsInt8ItComputesWhatTheFileComputes() throws {
    let model = DistilBERT.random()
    let batch = model.batch([5, 32, 20])
    let file = try Self.readBack(QuantizedModel(model).model).model
    #expect(try Self.logits(model, batch, precision: .int8) == Self.logits(file, batch))
    #expect(try Self.logits(model, batch, precision: .int8) != Self.logits(model, batch))
  }

  @Test func excludedLayersStayFloat() throws {
    let model = DistilBERT.random()
    let quantized = try QuantizedModel(model, options: QuantizationOptions(excluded: ["layer.1.expand"]))
    let reports = try CPUBackend(threads: 1).linearReports(of: quantized.model)
    #expect(reports.filter { $0.computedType == .float32 }.map(\.name) == ["layer.1.expand", "head"])
    #expect(reports.filter { $0.kernel.contains("u8s8f32") }.count == 11)
    #expect(throws: QuantizationError.self) { try QuantizedModel(model, options: QuantizationOptions(excluded: ["expand"])) }
  }

  /// A model some of whose channels are far larger than the others, as those of trained models are.
  private static func withOutliers() -> DistilBERT {
    var model = DistilBERT.random()
    model.embeddings.norm.scale[5] = 20
    for index in model.layers.indices {
      model.layers[index].attentionNorm.scale[3] = 30
      model.layers[index].outputNorm.scale[7] = 25
      model.layers[index].expand.bias[11] = 20
      model.layers[index].value.bias[2] = 15
    }
    return model
  }

  @Test(arguments: [DistilBERT.Weights.Layout.inputsByOutputs, .outputsByInputs])
  func smoothingIsTheSameFunctionAndQuantisesBetter(layout: DistilBERT.Weights.Layout) throws {
    var model = Self.withOutliers()
    if layout == .outputsByInputs {
      for index in model.layers.indices {
        for part in [\DistilBERT.Layer.query, \.key, \.value, \.attentionOutput, \.expand, \.contract] {
          let weights = model.layers[index][keyPath: part].weights
          let (values, columns) = (weights.floats(), weights.outputs)
          let turned = (0..<values.count).map { values[$0 % weights.inputs * columns + $0 / weights.inputs] }
          model.layers[index][keyPath: part].weights = DistilBERT.Weights(
            values: Parameter(turned, shape: [columns, weights.inputs]), layout: layout)
        }
      }
    }
    let smoothed = try model.smoothed(by: Self.calibrated(model))
    for layer in smoothed.layers {
      for linear in [layer.query, layer.expand, layer.contract] { #expect(linear.weights.inputFactors != nil, "\(linear.name)") }
      #expect(layer.query.weights.inputFactors == layer.value.weights.inputFactors)
      #expect(layer.attentionOutput.weights.inputFactors == nil, "the value projection holds them")
    }
    let batch = model.batch([5, 32, 20, 11], seed: 23)
    let exact = try Self.logits(model, batch)
    let range = (exact.max() ?? 0) - (exact.min() ?? 0)
    let same = try Self.logits(smoothed, batch)
    #expect(zip(exact, same).allSatisfy { abs($0 - $1) < 1e-4 * range })

    func error(_ model: DistilBERT, _ options: QuantizationOptions) throws -> Float {
      let quantized = try QuantizedModel(model, options: options, calibration: Self.calibrated(model))
      #expect(try CPUBackend(threads: 1).linearReports(of: quantized.model).filter { $0.kernel.contains("u8s8f32") }.count == 12)
      let found = try Self.logits(quantized.model, batch)
      for form in DynamicForm.allCases {
        #expect(try Self.logits(Self.readBack(quantized.model, form).model, batch) == found, "\(form), read back")
      }
      return zip(exact, found).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
    }
    for activations in [QuantizationOptions.Activations.dynamic, .fixed(.minmax)] {
      let options = QuantizationOptions(activations: activations)
      let (before, after) = (try error(model, options), try error(smoothed, options))
      print("smoothing, \(activations): the logits' error was \(before), is \(after)")
      #expect(after < 0.8 * before)
    }
  }

  @Test func layersThatStayFloatAreNotSmoothed() throws {
    let model = Self.withOutliers()
    let calibration = try Self.calibrated(model)
    let options = QuantizationOptions(excluded: ["layer.0.expand", "layer.1.attention.key"])
    let smoothed = try model.smoothed(by: calibration, excluded: options.excludes)
    #expect(smoothed.layers[0].expand.weights.inputFactors == nil && smoothed.layers[1].expand.weights.inputFactors != nil)
    #expect(smoothed.layers[1].query.weights.inputFactors == nil, "it shares its input with one that stays")
    #expect(throws: QuantizationError.notCalibrated(layer: "layer.0.contract")) { try model.smoothed(by: Calibration()) }
  }

  @Test func theReportNamesTheWorstLayers() throws {
    var model = DistilBERT.random()
    // One large weight an output takes the resolution from all others.
    var values = model.layers[1].expand.weights.values.floats()
    for output in 0..<40 { values[output] = 30 }
    model.layers[1].expand.weights.values = Parameter(values, shape: [24, 40])
    let quantized = try QuantizedModel(model, calibration: Self.calibrated(model))
    #expect(quantized.layers.count == 12)
    #expect(quantized.layers.allSatisfy { $0.weightDecibels ?? 0 > 20 && $0.activationDecibels ?? 0 > 20 })
    #expect(quantized.worstLayers().count == 5)
    let fixed = try QuantizedModel(
      model, options: QuantizationOptions(activations: .fixed(.minmax)), calibration: Self.calibrated(model))
    for (row, whole) in zip(quantized.layers, fixed.layers) {
      #expect((row.activationDecibels ?? 0) + 6 > whole.activationDecibels ?? 0, "a scale a row is no worse than one for all")
    }
  }

  @Test func whatCannotBeQuantisedSaysSo() throws {
    let model = DistilBERT.random()
    #expect(throws: QuantizationError.notCalibrated(layer: "layer.0.attention.query")) {
      try QuantizedModel(model, options: QuantizationOptions(activations: .fixed(.minmax)))
    }
    let quantized = try QuantizedModel(model).model
    #expect(throws: QuantizationError.alreadyQuantized(layer: "layer.0.attention.query")) { try QuantizedModel(quantized) }
    var damaged = model
    damaged.layers[0].expand.weights.values = Parameter([Float](repeating: .nan, count: 24 * 40), shape: [24, 40])
    #expect(throws: QuantizationError.notFinite(layer: "layer.0.expand")) { try QuantizedModel(damaged) }
  }

  /// Every kernel set that this processor has, for one, two and four threads, each sequence alone and in a batch of 16. The readable
  /// reference takes part with the small model only: it is some thousand times slower.
  @Test(arguments: [true, false]) func theSameBitsEverywhere(isEmbedded: Bool) throws {
    let model = isEmbedded ? try LoweredModel(DefaultModel.onnx()).model : DistilBERT.random()
    let lengths = [1, 2, 3, 5, 8, 13, 16, 17, 21, 31, 32, 4, 6, 7, 9, 30]
    let batch = model.batch(lengths)
    var expected: [Float]?
    var compared = 0
    for set in KernelSet.available.reversed() where !(isEmbedded && set == .reference) {
      for threads in [1, 2, 4] {
        let encoder = try Encoder(
          model, backend: CPUBackend(threads: threads, kernels: KernelSet(set), precision: .int8))
        let values = try encoder.forward(batch).values
        let wanted = expected ?? values
        expected = wanted
        #expect(values == wanted, "\(set) on \(threads) threads")
        for index in 0..<batch.sequenceCount {
          let rows = batch.rows(ofSequence: index)
          let alone = try encoder.forward(PackedBatch([Array(batch.tokenIDs[rows])])).values
          #expect(alone == Array(wanted[rows.lowerBound * 2..<rows.upperBound * 2]), "\(set), sequence \(index) alone")
        }
        compared += 1 + batch.sequenceCount
      }
    }
    print("int8 logits of \(compared) passes compared")
    #expect(compared > 50)
  }
}
