import Kernels

/// Linear layers that share their input, packed side by side.
public struct CPULinear: Sendable {
  /// The names of the layers, in the order of their outputs.
  let names: [String]
  /// Which outputs are whose, in the same order.
  let columns: [Range<Int>]
  let matrix: Matrix
  /// `[outputs]`
  let bias: [Float]
  /// What the input is multiplied by, in the matrix's own pass.
  let inputFactors: [Float]?

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

  public var outputs: Int { bias.count }

  /// With fewer rows, threads share the columns of a product.
  var leastRows: Int {
    switch matrix {
    case .float32: FloatMatrix.leastRows
    case .int8(let matrix): matrix.leastRows
    }
  }

  /// With fewer rows, a part of a batch would read the weights too often: bytes are multiplied four times as fast as real numbers, and so are
  /// wanted four times as fast.
  var leastPartRows: Int {
    switch matrix {
    case .float32: 96
    case .int8: 256
    }
  }

  /// Packs the layers' weights, whose own memory can then be had back where it is a file's.
  init(_ layers: [DistilBERT.Linear], precision: Precision, gemm: FloatGEMM, threads: Int) {
    names = layers.map(\.name)
    var end = 0
    columns = layers.map { layer in
      end += layer.bias.count
      return end - layer.bias.count..<end
    }
    bias = layers.flatMap(\.bias)
    inputFactors = layers.first?.weights.inputFactors
    let weights = layers.map { precision == .int8 ? $0.weights.quantized() : $0.weights }
    if precision != .float32, let matrix = PackedInt8Matrix(weights, threads: threads) {
      self.matrix = .int8(matrix)
    } else {
      let inputs = weights.first?.inputs ?? 0
      matrix = .float32(FloatMatrix(k: inputs, parts: weights.map(\.columns), gemm: gemm, threads: threads))
    }
    for layer in layers { layer.weights.values.bytes.releasePages() }
  }
}

extension PackedInt8Matrix {
  /// The integers of several matrices with the same inputs, their outputs side by side; `nil` where they are not all quantised, with
  /// activations quantised in the same way.
  fileprivate init?(_ weights: [DistilBERT.Weights], threads: Int) {
    let parts = weights.compactMap(\.integerColumns)
    guard let first = weights.first, let activation = first.activation, first.inputs <= Self.largestK,
      weights.allSatisfy({ $0.activation == activation && $0.inputFactors == first.inputFactors }), parts.count == weights.count
    else { return nil }
    let channels = weights.flatMap { weights in (0..<weights.outputs).map(weights.channel) }
    self.init(
      k: first.inputs, parts: parts, scales: channels.map(\.scale), zeroPoints: channels.map(\.zeroPoint),
      activation: ActivationQuantization(activation), inputFactors: first.inputFactors, threads: threads)
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

  /// The real values, times the inputs' factors, column by column.
  fileprivate var columns: FloatColumns {
    FloatColumns(count: outputs) { columns, destination, stride in
      // The values of one input, or of one output, lie next to each other.
      let isByInput = layout == .inputsByOutputs
      let (lines, rest) = isByInput ? (0..<inputs, columns) : (columns, 0..<inputs)
      withUnsafeTemporaryAllocation(of: Float.self, capacity: rest.count) { values in
        for line in lines {
          let first = line * (isByInput ? outputs : inputs) + rest.lowerBound
          if isByInput && quantization == nil && inputFactors == nil {
            let row = UnsafeMutableBufferPointer(start: destination + line * stride, count: rest.count)
            self.values.copyFloats(first..<first + rest.count, to: row)
            continue
          }
          self.values.copyFloats(first..<first + rest.count, to: values)
          for (place, value) in values.enumerated() {
            let (input, output) = isByInput ? (line, place) : (place, line - columns.lowerBound)
            destination[input * stride + output] = (inputFactors?[input] ?? 1) * real(value, output: columns.lowerBound + output)
          }
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
