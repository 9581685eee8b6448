import Kernels

// The one place where float weights become integers: for models that are quantised when they are loaded, and for those that are
// written to files.

extension DistilBERT.Weights {
  /// The same weights in int8: symmetric, with one scale an output (or one for all), whose largest magnitude becomes 127. Integer
  /// weights stay as they are.
  ///
  /// A scale that is not finite stands for weights that are not; what is computed from it shows at the model's door.
  public func quantized(
    perChannel: Bool = true, activation: DistilBERT.ActivationQuantization = .dynamic
  ) -> DistilBERT.Weights {
    guard quantization == nil else { return self }
    let channels: SymmetricQuantizer.Channels = !perChannel ? .one : layout == .inputsByOutputs ? .columns : .rows
    let (integers, quantization) = SymmetricQuantizer(channels).quantize(values)
    return DistilBERT.Weights(
      values: integers, layout: layout, quantization: quantization, activation: activation, inputFactors: inputFactors)
  }

  /// Float weights that take the inputs as they are: their own rows hold the inputs' factors. Integer weights stay as they are.
  public func withFoldedFactors() -> DistilBERT.Weights {
    guard let inputFactors, quantization == nil else { return self }
    var result = multiplyingInputs(by: inputFactors)
    result.inputFactors = nil
    return result
  }

  /// Float weights W[i, o] · factors[i]; what the inputs are multiplied by stays.
  public func multiplyingInputs(by factors: [Float]) -> DistilBERT.Weights {
    let columns = values.shape[1]
    var result = values.floats()
    for index in result.indices { result[index] *= factors[layout == .inputsByOutputs ? index / columns : index % columns] }
    return DistilBERT.Weights(values: Parameter(result, shape: values.shape), layout: layout, inputFactors: inputFactors)
  }

  /// The real values, stored the way the matrix is; what the inputs are multiplied by stays outside.
  public func floats() -> [Float] {
    var result = values.floats()
    guard let quantization else { return result }
    let columns = values.shape[1]
    for index in result.indices {
      let output = layout == .inputsByOutputs ? index % columns : index / columns
      let channel = quantization.scales.count == 1 ? 0 : output
      result[index] = (result[index] - Float(quantization.zeroPoints[channel])) * quantization.scales[channel]
    }
    return result
  }
}

extension DistilBERT.EmbeddingTable {
  /// The same table in int8, symmetric, with one scale a row. Integer tables stay as they are.
  public func quantized() -> DistilBERT.EmbeddingTable {
    guard quantization == nil else { return self }
    let (integers, quantization) = SymmetricQuantizer(.rows).quantize(values)
    return DistilBERT.EmbeddingTable(values: integers, quantization: quantization)
  }

  /// `[rows, hidden]` as real numbers.
  public func floats() -> [Float] { CPUEmbeddingTable(self).allRows() }
}

/// integer = round(real / scale), ties to even, within ±127.
private struct SymmetricQuantizer {
  enum Channels { case one, rows, columns }
  let channels: Channels

  init(_ channels: Channels) { self.channels = channels }

  func quantize(_ parameter: Parameter) -> (integers: Parameter, DistilBERT.Quantization) {
    let (rows, columns) = (parameter.shape[0], parameter.shape[1])
    let largest = self.largest(parameter)
    // A channel of zeros (or of numbers too small to be scaled) has any scale; other readers refuse 0.
    let scales = largest.map { $0 < 127 * Float.leastNormalMagnitude ? 1 : $0 / 127 }
    let integers = [Int8](unsafeUninitializedCapacity: rows * columns) { result, count in
      var divisors = [Float](repeating: scales.first ?? 1, count: columns)
      if channels == .columns { divisors = scales }
      forEachRow(of: parameter) { row, values in
        if channels == .rows { divisors.withUnsafeMutableBufferPointer { $0.update(repeating: scales[row]) } }
        let target = UnsafeMutableBufferPointer(rebasing: result[row * columns..<(row + 1) * columns])
        divisors.withUnsafeBufferPointer { Self.quantize(values, by: $0, to: target) }
      }
      count = rows * columns
    }
    return (
      Parameter(integers, shape: parameter.shape),
      DistilBERT.Quantization(scales: scales, zeroPoints: [Int32](repeating: 0, count: scales.count))
    )
  }

  /// The largest magnitude of each channel; infinite where one of its numbers is not finite.
  private func largest(_ parameter: Parameter) -> [Float] {
    let (rows, columns) = (parameter.shape[0], parameter.shape[1])
    var perRow = [Float](repeating: 0, count: rows)
    var perColumn = [Float](repeating: 0, count: columns)
    forEachRow(of: parameter) { row, values in
      perColumn.withUnsafeMutableBufferPointer { perColumn in
        var most: Float = 0
        for column in 0..<columns {
          let magnitude = values[column].magnitude
          let known = magnitude <= .greatestFiniteMagnitude ? magnitude : .infinity
          if channels == .columns {
            perColumn[column] = known > perColumn[column] ? known : perColumn[column]
          } else {
            most = known > most ? known : most
          }
        }
        perRow[row] = most
      }
    }
    switch channels {
    case .one: return [perRow.max() ?? 0]
    case .rows: return perRow
    case .columns: return perColumn
    }
  }

  /// 1.5 · 2²³: added to a float below 2²² it leaves the nearest whole number, ties to even.
  private static let rounder: Float = 0x1.8p23

  private static func quantize(
    _ values: UnsafeBufferPointer<Float>, by divisors: UnsafeBufferPointer<Float>, to result: UnsafeMutableBufferPointer<Int8>
  ) {
    // Plain steps over plain pointers, which the compiler turns into vectors.
    guard let values = values.baseAddress, let divisors = divisors.baseAddress, let integers = result.baseAddress else { return }
    for index in 0..<result.count {
      let quotient = values[index] / divisors[index]
      let above = quotient < -127 ? -127 : quotient
      let clamped = above > 127 ? 127 : above
      integers[index] = Int8(truncatingIfNeeded: (clamped + rounder).bitPattern &- rounder.bitPattern)
    }
  }

  /// Calls `body` with each row as float32.
  private func forEachRow(of parameter: Parameter, _ body: (Int, UnsafeBufferPointer<Float>) -> Void) {
    let columns = parameter.shape[1]
    withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { row in
      for index in 0..<parameter.shape[0] {
        parameter.copyFloats(index * columns..<(index + 1) * columns, to: row)
        body(index, UnsafeBufferPointer(row))
      }
    }
  }
}
