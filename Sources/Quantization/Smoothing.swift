import Encoder

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension DistilBERT {
  /// The same function with large channels of the linear layers' inputs made small and their weights large (Xiao et al. 2022,
  /// "SmoothQuant"), as far as that lessens the noise of quantising both.
  ///
  /// Factors before attention's output layer disappear into the value projection; all others become the layers' input factors. Outlying
  /// neurons of the feed-forward networks are split first (see `splittingOutliers`).
  ///
  /// - Parameter excluded: layers that stay in float: nothing is done for them.
  /// - Throws: where nothing was seen of a layer's input. Cost: some passes over the weights.
  public func smoothed(
    by calibration: Calibration, perChannel: Bool = true, excluded: (String) -> Bool = { _ in false }
  ) throws(QuantizationError) -> DistilBERT {
    let (split, neurons) = try splittingOutliers(by: calibration, excluded: excluded)
    var model = split
    for index in model.layers.indices {
      func factors(_ parts: [Linear]) throws(QuantizationError) -> [Float]? {
        // Layers that share an input share its factors.
        guard let first = parts.first, !parts.contains(where: { excluded($0.name) || $0.weights.quantization != nil }) else {
          return nil
        }
        guard let input = calibration.input(of: first.name) else { throw .notCalibrated(layer: first.name) }
        let isSplit = first.name == split.layers[index].contract.name
        let channels = isSplit ? input.channels.splitting(neurons[index]) : input.channels
        return Smoothing(channels, parts.map(\.weights), perChannel: perChannel).factors()
      }
      let layer = model.layers[index]
      if let found = try factors([layer.query, layer.key, layer.value]) {
        for part in [\Layer.query, \.key, \.value] { model.layers[index][keyPath: part].weights.divideInputs(by: found) }
      }
      if let found = try factors([layer.attentionOutput]) {
        model.layers[index].attentionOutput.weights = layer.attentionOutput.weights.multiplyingInputs(by: found)
        model.layers[index].value.divideOutputs(by: found)
      }
      if let found = try factors([layer.expand]) { model.layers[index].expand.weights.divideInputs(by: found) }
      if let found = try factors([layer.contract]) { model.layers[index].contract.weights.divideInputs(by: found) }
    }
    return model
  }
}

extension DistilBERT.Weights {
  fileprivate mutating func divideInputs(by divisors: [Float]) {
    self = multiplyingInputs(by: divisors)
    inputFactors = divisors.indices.map { (inputFactors?[$0] ?? 1) / divisors[$0] }
  }
}

extension DistilBERT.Linear {
  /// Divides each output.
  fileprivate mutating func divideOutputs(by divisors: [Float]) {
    let columns = weights.values.shape[1]
    var values = weights.values.floats()
    for index in values.indices { values[index] /= divisors[weights.layout == .inputsByOutputs ? index % columns : index / columns] }
    weights.values = Parameter(values, shape: weights.values.shape)
    bias = zip(bias, divisors).map { $0 / $1 }
  }
}

/// Chooses what a layer's inputs are divided by, and its weights multiplied with, before both are quantised.
///
/// For divisors d the noise that is to be expected in the result, with steps evenly distributed errors of 1/12 of their square, is
///
///     step(x / d)² / 12 · Σₖ dₖ² · Σⱼ Wₖⱼ²   from the inputs, all of one step, and
///     Σⱼ step(dW, j)² / 12 · Σₖ mean(xₖ²) / dₖ²   from the weights, with a step an output.
///
/// Of some families of divisors the one with the least sum is taken, the first part counted four times: see `inputWeight`. The estimate
/// was within 0.2 dB of the noise measured in the layers of spanqa-mini, but for sparse inputs after GELU, of which it expects some decibels
/// too much.
struct Smoothing {
  /// Engines round inputs apart, where their sums differ in a last bit, but share the weights. Counted four times, inputs' noise left
  /// the logits of spanqa-mini both nearer to float32 (0.108 instead of 0.114, root mean square) and nearer to another engine's (0.037
  /// instead of 0.047) than counted once.
  private static let inputWeight = 4.0

  private let channels: ChannelStatistics
  /// By input: the largest magnitude of the weights, and the sum of their squares.
  private let largestWeights: [Float]
  private let weightSquares: [Double]
  /// By input: the largest magnitude that was seen, above 0.
  private let reach: [Float]
  /// `[inputs, outputs]` magnitudes of all layers that share the input, one after the other.
  private let magnitudes: [[Float]]
  private let outputs: [Int]
  private let perChannel: Bool

  init(_ channels: ChannelStatistics, _ weights: [DistilBERT.Weights], perChannel: Bool) {
    self.channels = channels
    self.perChannel = perChannel
    let inputs = channels.least.count
    outputs = weights.map(\.outputs)
    magnitudes = weights.map { weights in
      let values = weights.values.floats()
      guard weights.layout == .outputsByInputs else { return values.map(\.magnitude) }
      return (0..<values.count).map { index in
        let (input, output) = index.quotientAndRemainder(dividingBy: weights.outputs)
        return values[output * inputs + input].magnitude
      }
    }
    var largest = [Float](repeating: 0, count: inputs)
    var squares = [Double](repeating: 0, count: inputs)
    for (part, count) in zip(magnitudes, outputs) {
      for (index, value) in part.enumerated() {
        largest[index / count] = max(largest[index / count], value)
        squares[index / count] += Double(value * value)
      }
    }
    // Channels of zeros take part like very small ones.
    largestWeights = largest.map { max($0, 1e-5) }
    weightSquares = squares
    reach = channels.reach.map { max($0, 1e-5) }
  }

  /// The best divisors; `nil` where none are better than no division.
  func factors() -> [Float]? {
    var (best, lowest): ([Float]?, Double) = (nil, noise([Float](repeating: 1, count: reach.count)))
    for candidate in candidates() {
      let expected = noise(candidate)
      if expected < lowest { (best, lowest) = (candidate, expected) }
    }
    return best
  }

  /// Inputs' share against weights' (SmoothQuant's α); channels beyond a share of the others drawn in; and both.
  private func candidates() -> [[Float]] {
    let shares: [Float] = [0.5, 0.6, 0.7, 0.8, 0.9]
    let balanced = shares.map { share in
      let divisors = zip(reach, largestWeights).map { pow($0, share) / pow($1, 1 - share) }
      let middle = quantile(divisors, 0.5)
      return divisors.map { $0 / middle }
    }
    let quantiles: [Double] = [0.2, 0.5, 0.8, 0.9, 0.97, 0.99, 0.999]
    let drawnIn = quantiles.map { share in
      let bound = quantile(reach, share)
      return reach.map { max(1, $0 / bound) }
    }
    let both = [balanced[0], balanced[2]].flatMap { divisors in
      [0.5, 0.9, 0.99].map { share in
        let bound = quantile(zip(reach, divisors).map { $0 / $1 }, share)
        return zip(reach, divisors).map { max($1, $0 / bound) }
      }
    }
    return balanced + drawnIn + both
  }

  private func quantile(_ values: [Float], _ share: Double) -> Float {
    values.sorted()[Int(share * Double(values.count - 1))]
  }

  private func noise(_ divisors: [Float]) -> Double {
    var (low, high): (Float, Float) = (0, 0)
    var (fromInputs, inputPower) = (0.0, 0.0)
    for (channel, divisor) in divisors.enumerated() {
      low = min(low, channels.least[channel] / divisor)
      high = max(high, channels.greatest[channel] / divisor)
      let square = Double(divisor * divisor)
      fromInputs += square * weightSquares[channel]
      inputPower += channels.meanSquare(channel) / square
    }
    let step = Double(high - low) / 255
    var weightSteps = 0.0
    for (part, count) in zip(magnitudes, outputs) {
      var largest = [Float](repeating: 0, count: count)
      for (channel, divisor) in divisors.enumerated() {
        for output in 0..<count { largest[output] = max(largest[output], divisor * part[channel * count + output]) }
      }
      if !perChannel { largest = [Float](repeating: largest.max() ?? 0, count: count) }
      weightSteps += largest.reduce(0) { $0 + Double($1 / 127) * Double($1 / 127) }
    }
    return (Self.inputWeight * step * step * fromInputs + weightSteps * inputPower) / 12
  }
}
