import Encoder

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A model in int8, and what that cost.
public struct QuantizedModel: Sendable {
  public let model: DistilBERT
  public let layers: [LayerReport]
  /// Decibels of the word embeddings' integers; `nil` where they stay as they are.
  public let embeddingDecibels: Double?

  /// What became of a linear layer. Signal-to-noise ratios are in decibels.
  public struct LayerReport: Sendable {
    public let name: String
    public let inputs: Int
    public let outputs: Int
    /// `nil` where the layer stays as it is.
    public let weightDecibels: Double?
    /// `nil` where the layer stays as it is, or no calibration data showed its input.
    public let activationDecibels: Double?
    /// What calibration chose.
    public let activation: DistilBERT.ActivationQuantization?

    /// The ratio in the layer's result, as far as it is known: the relative errors of two factors add up.
    public var decibels: Double? {
      let parts = [weightDecibels, activationDecibels].compactMap(\.self)
      return parts.isEmpty ? nil : -10 * log10(parts.reduce(0) { $0 + pow(10, -$1 / 10) })
    }
  }

  /// The layers that lose most, the worst first.
  public func worstLayers(_ count: Int = 5) -> [LayerReport] {
    let known = layers.compactMap { layer in layer.decibels.map { (layer, $0) } }
    return known.sorted { $0.1 < $1.1 }.prefix(count).map(\.0)
  }

  /// Quantises a float model. The head and the position embeddings, a hundredth of the model, stay in float32.
  ///
  /// - Parameter calibration: what was seen of the layers' inputs; needed for fixed activations, and for their ratios in the report.
  /// - Throws: `QuantizationError`. Cost: one pass over the weights.
  public init(
    _ model: DistilBERT, options: QuantizationOptions = QuantizationOptions(), calibration: Calibration? = nil
  ) throws(QuantizationError) {
    var converter = Converter(options: options, calibration: calibration)
    try converter.check(model)
    var model = model
    for index in model.layers.indices {
      try converter.convert(&model.layers[index], [\.query, \.key, \.value])
      try converter.convert(&model.layers[index], [\.attentionOutput])
      try converter.convert(&model.layers[index], [\.expand])
      try converter.convert(&model.layers[index], [\.contract])
    }
    if !options.keepsEmbeddings {
      let words = model.embeddings.words.quantized()
      guard words.quantization?.scales.allSatisfy(\.isFinite) ?? true else { throw .notFinite(layer: "embeddings.words") }
      embeddingDecibels = model.embeddings.words.quantization == nil ? ratio(model.embeddings.words.floats(), words.floats()) : nil
      model.embeddings.words = words
    } else {
      embeddingDecibels = nil
    }
    self.model = model
    layers = converter.reports
  }
}

private struct Converter {
  let options: QuantizationOptions
  let calibration: Calibration?
  private(set) var reports: [QuantizedModel.LayerReport] = []

  init(options: QuantizationOptions, calibration: Calibration?) {
    self.options = options
    self.calibration = calibration
  }

  /// Every name to be excluded has to be some layer's: a misspelt one would quantise what was to be kept.
  func check(_ model: DistilBERT) throws(QuantizationError) {
    guard model.roundings == nil else { throw .alreadyQuantized(layer: "a value between the layers") }
    let names = model.layers.flatMap { layer in
      [layer.query, layer.key, layer.value, layer.attentionOutput, layer.expand, layer.contract].map(\.name)
    }
    for pattern in options.excluded where !names.contains(where: { QuantizationOptions.matches($0, pattern) }) {
      throw .unknownLayer(pattern, known: names)
    }
  }

  /// Converts layers that share their input.
  mutating func convert(
    _ layer: inout DistilBERT.Layer, _ parts: [WritableKeyPath<DistilBERT.Layer, DistilBERT.Linear>]
  ) throws(QuantizationError) {
    guard let first = parts.first else { return }
    let input = calibration?.input(of: layer[keyPath: first].name)
    var activation = DistilBERT.ActivationQuantization.dynamic
    var activationRatio = input?.rowwiseDecibels
    if case .fixed(let method) = options.activations, let input {
      let chosen = input.histogram.quantization(by: method)
      activation = .fixed(scale: chosen.scale, zeroPoint: chosen.zeroPoint, signed: false)
      activationRatio = input.decibels(chosen)
    }
    for part in parts {
      let linear = layer[keyPath: part]
      if options.excludes(linear.name) {
        report(linear, weights: nil, activation: nil, of: nil)
        continue
      }
      guard linear.weights.quantization == nil else { throw .alreadyQuantized(layer: linear.name) }
      if case .fixed = options.activations, input == nil { throw .notCalibrated(layer: linear.name) }
      let quantized = linear.weights.quantized(perChannel: options.perChannel, activation: activation)
      guard quantized.quantization?.scales.allSatisfy(\.isFinite) ?? true else { throw .notFinite(layer: linear.name) }
      report(linear, weights: quantized, activation: activation, of: activationRatio)
      layer[keyPath: part].weights = quantized
    }
  }

  private mutating func report(
    _ linear: DistilBERT.Linear, weights: DistilBERT.Weights?, activation: DistilBERT.ActivationQuantization?,
    of activationRatio: Double?
  ) {
    reports.append(
      QuantizedModel.LayerReport(
        name: linear.name, inputs: linear.weights.inputs, outputs: linear.weights.outputs,
        weightDecibels: weights.map { ratio(linear.weights.floats(), $0.floats()) }, activationDecibels: activationRatio,
        activation: activation))
  }
}

/// Decibels of what was meant over what got lost.
private func ratio(_ exact: [Float], _ rounded: [Float]) -> Double {
  var signal = 0.0, noise = 0.0
  for (x, y) in zip(exact, rounded) {
    signal += Double(x * x)
    noise += Double((x - y) * (x - y))
  }
  return decibelRatio(signal: signal, noise: noise)
}
