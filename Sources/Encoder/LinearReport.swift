import Kernels

/// How a processor's backend runs one linear layer: the proof that int8 is what really computes.
public struct LinearReport: Sendable, Equatable {
  public let name: String
  public let inputs: Int
  public let outputs: Int
  /// The weights' element type in the file, and the one that is multiplied.
  public let storedType: Parameter.ElementType
  public let computedType: Parameter.ElementType
  /// How many scales the weights have: 0 (float), 1 (one for all) or one an output.
  public let scaleCount: Int
  /// How the layer's input is quantised; `nil` where it is not.
  public let activation: DistilBERT.ActivationQuantization?
  /// Whether the input is multiplied by factors of its channels first.
  public let isSmoothed: Bool
  /// The symbol of the product's kernel, or the library's function.
  public let kernel: String
  /// The memory that the packed weights take, with their scales.
  public let byteCount: Int
}

extension CPUBackend {
  /// What `prepare` makes of a model's linear layers, in the order in which they run. Cost: that of preparing them.
  public func linearReports(of model: DistilBERT) -> [LinearReport] {
    var reports: [LinearReport] = []
    for layer in model.layers {
      for group in [[layer.query, layer.key, layer.value], [layer.attentionOutput], [layer.expand], [layer.contract]] {
        reports += self.reports(of: group, as: prepare(group))
      }
    }
    if let head = model.head { reports += self.reports(of: [head], as: prepareHead(head)) }
    return reports
  }

  private func reports(of layers: [DistilBERT.Linear], as prepared: CPULinear) -> [LinearReport] {
    layers.map { layer in
      let weights = precision == .int8 && prepared.isInt8 ? layer.weights.quantized() : layer.weights
      return LinearReport(
        name: layer.name, inputs: layer.weights.inputs, outputs: layer.weights.outputs,
        storedType: layer.weights.values.elementType,
        computedType: prepared.isInt8 ? weights.values.elementType : .float32,
        scaleCount: weights.quantization?.scales.count ?? 0, activation: prepared.isInt8 ? weights.activation : nil,
        isSmoothed: weights.inputFactors != nil,
        kernel: kernelName(prepared),
        // Layers packed side by side share their memory by their outputs.
        byteCount: prepared.byteCount / max(1, prepared.outputs) * layer.weights.outputs)
    }
  }

  private func kernelName(_ linear: CPULinear) -> String {
    if !linear.isInt8, gemm == .openBLAS { return "cblas_sgemm" }
    let kernel = linear.isInt8 ? "u8s8f32_gemm" : "f32_gemm"
    let set = kernels.origins.first { $0.kernel == kernel }?.set ?? kernels.name
    return "sq_\(kernel)_\(set.symbolSuffix)"
  }
}

extension CPULinear {
  fileprivate var isInt8: Bool { if case .int8 = matrix { true } else { false } }

  fileprivate var byteCount: Int {
    switch matrix {
    case .int8(let matrix): matrix.byteCount
    case .float32(let matrix): matrix.byteCount
    }
  }
}
