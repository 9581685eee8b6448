import Kernels
import Observation

/// What a linear layer multiplies in int8, as its kernel has it, for those who look. A pass that nobody watches never makes one.
///
/// The layer's result is Σ (input − input_zero_point) · input_scale · (weight − weight_zero_point) · weight_scale + bias, where `input` is
/// the layer's input times `input_factors`, quantised. What a layer does without (zero points, factors) is not among its parts.
public struct Int8Operands: Sendable {
  /// The raw values are the ends of the names.
  public enum Part: String, Sendable, CaseIterable {
    /// `[tokens, inputs]`: int8; uint8 where the file quantises the layer's input so.
    case input
    /// `[tokens]`
    case inputScale = "input_scale"
    /// `[1]`: where the file fixes it.
    case inputZeroPoint = "input_zero_point"
    /// `[inputs]`: what the input's columns are multiplied by before they are quantised.
    case inputFactors = "input_factors"
    /// `[outputs, inputs]`: int8; the kernels have unsigned weights less 128.
    case weight
    /// `[outputs]`
    case weightScale = "weight_scale"
    /// `[outputs]`
    case weightZeroPoint = "weight_zero_point"
  }

  private let matrix: PackedInt8Matrix
  /// The layer's: a product may hold others beside it.
  private let columns: Range<Int>
  private let kernels: KernelSet

  init(_ matrix: PackedInt8Matrix, columns: Range<Int>, kernels: KernelSet) {
    self.matrix = matrix
    self.columns = columns
    self.kernels = kernels
  }

  /// Those that there are.
  public var parts: [Part] {
    Part.allCases.filter { part in
      switch part {
      case .input, .inputScale, .weight, .weightScale: true
      case .inputZeroPoint: matrix.activation != .dynamic
      case .inputFactors: matrix.inputFactors != nil
      case .weightZeroPoint: matrix.hasZeroPoints
      }
    }
  }

  /// Hands an observer what it asks for.
  ///
  /// - Parameters:
  ///   - result: the name of the layer's result.
  ///   - input: the layer's input `[tokens, inputs]`, in float32; called once at most.
  func give<Failure>(
    to observer: Observer, ofResult result: String, input: () throws(Failure) -> [Float]
  ) throws(Failure) {
    let wanted = parts.filter { observer.wants($0.name(ofResult: result)) }
    if wanted.isEmpty { return }
    let needsInput = wanted.contains(.input) || wanted.contains(.inputScale)
    let rows = needsInput ? matrix.quantized(try input(), kernels: kernels) : nil
    for part in wanted {
      guard let (shape, elements) = tensor(part, rows) else { continue }
      observer.observe(ObservedTensor(name: part.name(ofResult: result), shape: shape, elements: elements))
    }
  }

  private func tensor(
    _ part: Part, _ rows: (bytes: [UInt8], scales: [Float])?
  ) -> (shape: [Int], elements: ObservedTensor.Elements)? {
    let (inputs, outputs) = (matrix.k, columns.count)
    switch part {
    case .input:
      guard let rows else { return nil }
      let shape = [rows.scales.count, inputs]
      if case .fixed(_, _, isSigned: false) = matrix.activation { return (shape, .uint8(rows.bytes)) }
      // The kernels have signed integers plus 128.
      return (shape, .int8(rows.bytes.map { Int8(bitPattern: $0 ^ 0x80) }))
    case .inputScale: return rows.map { ([$0.scales.count], .float32($0.scales)) }
    case .inputZeroPoint:
      guard case .fixed(_, let zeroPoint, _) = matrix.activation else { return nil }
      return ([1], .int32([zeroPoint]))
    case .inputFactors: return matrix.inputFactors.map { ([inputs], .float32($0)) }
    case .weight: return ([outputs, inputs], .int8(matrix.integers(of: columns)))
    case .weightScale: return ([outputs], .float32(matrix.scales(of: columns)))
    case .weightZeroPoint: return matrix.zeroPoints(of: columns).map { ([outputs], .int32($0)) }
    }
  }
}

extension CPUBackend {
  public func int8Operands(of layer: CPULinear) -> [Int8Operands] {
    guard case .int8(let matrix) = layer.matrix else { return [] }
    return layer.columns.map { Int8Operands(matrix, columns: $0, kernels: kernels) }
  }
}
