import Kernels

/// Linear layers that share their input, packed side by side.
public struct CPULinear: Sendable {
  let matrix: FloatMatrix
  /// `[outputs]`
  let bias: [Float]

  var outputs: Int { bias.count }

  init(_ layers: [DistilBERT.Linear], gemm: FloatGEMM) {
    let inputs = layers.first?.weights.inputs ?? 0
    let outputs = layers.reduce(0) { $0 + $1.weights.outputs }
    bias = layers.flatMap(\.bias)
    // [inputs, outputs], the layers' columns side by side.
    let columns = AlignedBuffer<Float>(count: inputs * outputs) { destination in
      var first = 0
      for layer in layers {
        layer.weights.copyFloats(to: destination + first, rowStride: outputs)
        first += layer.weights.outputs
      }
    }
    matrix = FloatMatrix(columns, k: inputs, n: outputs, gemm: gemm)
  }
}

extension DistilBERT.Weights {
  /// Writes the real values as `[inputs, outputs]`, with `rowStride` floats from row to row.
  func copyFloats(to destination: UnsafeMutablePointer<Float>, rowStride: Int) {
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
