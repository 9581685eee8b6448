import Encoder

extension DistilBERT {
  /// The same function with the feed-forward networks' outlying neurons in several copies that share what each gave (Zhao et al. 2019,
  /// "Improving Neural Network Quantization without Retraining using Outlier Channel Splitting").
  ///
  /// A few neurons give values many times larger than all others. Dividing them alone would make their weights as much larger; a copy gives
  /// its part of the value and keeps its weights. All layers get the same number of neurons, a multiple of 8, some of which give zeros.
  ///
  /// - Parameter excluded: layers that stay in float: their neurons stay as they are.
  /// - Throws: where nothing was seen of a layer's input.
  func splittingOutliers(
    by calibration: Calibration, excluded: (String) -> Bool
  ) throws(QuantizationError) -> (model: DistilBERT, neurons: [[Neuron]]) {
    let whole = (0..<configuration.feedForward).map { Neuron(source: $0, copies: 1) }
    guard layers.allSatisfy({ $0.expand.weights.quantization == nil && $0.contract.weights.quantization == nil }) else {
      return (self, layers.map { _ in whole })
    }
    var neurons: [[Neuron]] = []
    for layer in layers {
      if excluded(layer.expand.name) || excluded(layer.contract.name) {
        neurons.append(whole)
        continue
      }
      guard let input = calibration.input(of: layer.contract.name) else { throw .notCalibrated(layer: layer.contract.name) }
      neurons.append(Neuron.split(reach: input.channels.reach))
    }
    let widest = neurons.map(\.count).max() ?? 0
    guard widest > configuration.feedForward else { return (self, neurons) }
    let width = (widest + 7) / 8 * 8
    var model = self
    model.configuration.feedForward = width
    for index in model.layers.indices {
      neurons[index] += Array(repeating: Neuron(source: nil, copies: 1), count: width - neurons[index].count)
      let sources = neurons[index].map(\.source)
      model.layers[index].expand.weights = layers[index].expand.weights.picking(sources, asInputs: false)
      model.layers[index].expand.bias = sources.map { $0.map { layers[index].expand.bias[$0] } ?? 0 }
      model.layers[index].contract.weights = layers[index].contract.weights.picking(sources, asInputs: true)
      let factors = neurons[index].map { neuron in
        let before = neuron.source.flatMap { layers[index].contract.weights.inputFactors?[$0] } ?? 1
        return before / Float(neuron.copies)
      }
      model.layers[index].contract.weights.inputFactors = factors.allSatisfy { $0 == 1 } ? nil : factors
    }
    return (model, neurons)
  }

  /// A neuron of a feed-forward network whose outlying ones were split.
  struct Neuron {
    /// Which one it was; `nil` for one that gives zeros.
    let source: Int?
    /// How many share the value.
    let copies: Int

    /// Neurons that reach further than nearly all others, by a quarter at least, in as many copies as it takes.
    static func split(reach: [Float]) -> [Neuron] {
      let bound = reach.sorted()[Int(0.99 * Double(reach.count - 1))]
      return reach.enumerated().flatMap { source, value in
        let copies = value > 1.25 * bound ? Int((value / bound).rounded(.up)) : 1
        return Array(repeating: Neuron(source: source, copies: min(copies, 16)), count: min(copies, 16))
      }
    }
  }
}

extension DistilBERT.Weights {
  /// Float weights with the inputs (or outputs) that are named, in that order; zeros for `nil`.
  fileprivate func picking(_ sources: [Int?], asInputs: Bool) -> DistilBERT.Weights {
    let (rows, columns, values) = (values.shape[0], values.shape[1], values.floats())
    let shape: [Int]
    var result: [Float]
    if asInputs == (layout == .inputsByOutputs) {
      shape = [sources.count, columns]
      result = sources.flatMap { $0.map { Array(values[$0 * columns..<($0 + 1) * columns]) } ?? Array(repeating: 0, count: columns) }
    } else {
      shape = [rows, sources.count]
      result = []
      result.reserveCapacity(rows * sources.count)
      for row in 0..<rows { for source in sources { result.append(source.map { values[row * columns + $0] } ?? 0) } }
    }
    return DistilBERT.Weights(values: Parameter(result, shape: shape), layout: layout, inputFactors: asInputs ? nil : inputFactors)
  }
}
