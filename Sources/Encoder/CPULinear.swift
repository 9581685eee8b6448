import Kernels

/// Linear layers that share their input, packed side by side.
public struct CPULinear: Sendable {
  /// The names of the layers, in the order of their outputs.
  let names: [String]
  let matrix: Matrix
  /// `[outputs]`
  let bias: [Float]

  enum Matrix: Sendable {
    case float32(FloatMatrix)
    case int8(PackedInt8Matrix)
  }

  var inputs: Int {
    switch matrix {
    case .float32(let matrix): matrix.k
    case .int8(let matrix): matrix.k
    }
  }

  var outputs: Int { bias.count }

  init(_ layers: [DistilBERT.Linear], precision: Precision, gemm: FloatGEMM) {
    names = layers.map(\.name)
    bias = layers.flatMap(\.bias)
    let weights = layers.map { precision == .int8 ? $0.weights.quantized() : $0.weights }
    if precision != .float32, let matrix = PackedInt8Matrix(weights) {
      self.matrix = .int8(matrix)
    } else {
      matrix = .float32(FloatMatrix(weights, gemm: gemm))
    }
  }
}

extension FloatMatrix {
  /// The real values of several matrices with the same inputs, their outputs side by side.
  fileprivate init(_ weights: [DistilBERT.Weights], gemm: FloatGEMM) {
    let inputs = weights.first?.inputs ?? 0
    let outputs = weights.reduce(0) { $0 + $1.outputs }
    let columns = AlignedBuffer<Float>(count: inputs * outputs) { destination in
      var first = 0
      for weights in weights {
        weights.copyFloats(to: destination + first, rowStride: outputs)
        first += weights.outputs
      }
    }
    self.init(columns, k: inputs, n: outputs, gemm: gemm)
  }
}

extension PackedInt8Matrix {
  /// The integers of several matrices with the same inputs, their outputs side by side; `nil` where they are not all quantised, with
  /// activations quantised in the same way.
  fileprivate init?(_ weights: [DistilBERT.Weights]) {
    let parts = weights.compactMap(\.integerColumns)
    guard let first = weights.first, let activation = first.activation, first.inputs <= Self.largestK,
      weights.allSatisfy({ $0.activation == activation }), parts.count == weights.count
    else { return nil }
    let channels = weights.flatMap { weights in (0..<weights.outputs).map(weights.channel) }
    self.init(
      k: first.inputs, parts: parts, scales: channels.map(\.scale), zeroPoints: channels.map(\.zeroPoint),
      activation: ActivationQuantization(activation))
  }
}

extension PackedInt8Matrix.ActivationQuantization {
  fileprivate init(_ activation: DistilBERT.ActivationQuantization) {
    self =
      switch activation {
      case .dynamic: .dynamic
      case .fixed(let scale, let zeroPoint, let signed): .fixed(scale: scale, zeroPoint: zeroPoint, isSigned: signed)
      }
  }
}

extension DistilBERT.Weights {
  /// The stored integers; `nil` for float weights.
  fileprivate var integerColumns: PackedInt8Matrix.Columns? {
    guard quantization != nil, values.elementType == .int8 || values.elementType == .uint8 else { return nil }
    return PackedInt8Matrix.Columns(
      count: outputs, isTransposed: layout == .outputsByInputs, isUnsigned: values.elementType == .uint8,
      withBytes: { [bytes = values.bytes] body in bytes.withUnsafeBytes(body) })
  }

  /// An output's scale, and its zero point for signed integers.
  fileprivate func channel(of output: Int) -> (scale: Float, zeroPoint: Int32) {
    guard let quantization else { return (1, 0) }
    let channel = quantization.scales.count == 1 ? 0 : output
    let shift: Int32 = values.elementType == .uint8 ? 128 : 0
    return (quantization.scales[channel], quantization.zeroPoints[channel] - shift)
  }

  /// Writes the real values as `[inputs, outputs]`, with `rowStride` floats from row to row.
  fileprivate func copyFloats(to destination: UnsafeMutablePointer<Float>, rowStride: Int) {
    let (rows, columns) = (values.shape[0], values.shape[1])
    withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { row in
      for r in 0..<rows {
        values.copyFloats(r * columns..<(r + 1) * columns, to: row)
        switch layout {
        case .inputsByOutputs:
          for c in 0..<columns { destination[r * rowStride + c] = real(row[c], output: c) }
        case .outputsByInputs:
          for c in 0..<columns { destination[c * rowStride + r] = real(row[c], output: r) }
        }
      }
    }
  }

  private func real(_ value: Float, output: Int) -> Float {
    guard let quantization else { return value }
    let channel = quantization.scales.count == 1 ? 0 : output
    return (value - Float(quantization.zeroPoints[channel])) * quantization.scales[channel]
  }
}
