/// In which numbers linear layers compute.
public enum Precision: String, Sendable, CaseIterable {
  /// As the file has them: int8 layers in int8, float layers in float32.
  case automatic = "auto"
  /// Float32 throughout; integer weights become the real numbers that they stand for.
  case float32
  /// int8 throughout; float weights are quantised when the model is loaded (`DistilBERT.Weights.quantized()`).
  case int8
}

extension DistilBERT.Weights {
  /// The same weights in int8: symmetric, one scale an output, the largest magnitude of an output being 127. Activations are quantised
  /// row by row as they come. Integer weights stay as they are.
  public func quantized() -> DistilBERT.Weights {
    guard quantization == nil else { return self }
    let floats = values.floats()
    let (rows, columns) = (values.shape[0], values.shape[1])
    func output(_ index: Int) -> Int { layout == .inputsByOutputs ? index % columns : index / columns }
    var largest = [Float](repeating: 0, count: layout == .inputsByOutputs ? columns : rows)
    for (index, value) in floats.enumerated() {
      largest[output(index)] = max(largest[output(index)], value.magnitude)
    }
    let scales = largest.map { $0 / 127 }
    let integers = floats.enumerated().map { index, value -> Int8 in
      let scale = scales[output(index)]
      return scale > 0 && value.isFinite ? Int8(clamping: Int((value / scale).rounded(.toNearestOrEven))) : 0
    }
    return DistilBERT.Weights(
      values: Parameter(integers, shape: values.shape), layout: layout,
      quantization: DistilBERT.Quantization(
        // A scale of zero stands for a column that is not finite or all zero; not-a-number scales show at the model's door.
        scales: scales, zeroPoints: [Int32](repeating: 0, count: scales.count)),
      activation: .dynamic)
  }
}
