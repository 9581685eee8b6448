import Encoder
import ONNX

/// Finds the constant matrix that a value is, looking through transposes, casts and dequantisation.
struct WeightResolver {
  let matcher: Matcher

  init(_ matcher: Matcher) { self.matcher = matcher }

  /// The weights `[inputs, outputs]` that the value is; nil if it is no constant matrix.
  func weights(_ name: String) throws(Mismatch) -> DistilBERT.Weights? {
    guard let (values, transposed, quantization) = try matrix(name) else { return nil }
    let weights = DistilBERT.Weights(values: values, layout: .inputsByOutputs, quantization: quantization)
    return transposed ? weights.transposed() : weights
  }

  /// The table `[rows, width]` that the value is; nil if it is no constant matrix.
  func table(_ name: String) throws(Mismatch) -> DistilBERT.EmbeddingTable? {
    guard let (values, transposed, quantization) = try matrix(name) else { return nil }
    guard !transposed else { throw Mismatch("an embedding table that is not transposed") }
    if let quantization, quantization.scales.count > 1 { throw Mismatch("one scale for an embedding table") }
    return DistilBERT.EmbeddingTable(values: values, quantization: quantization)
  }

  /// The integer table `[rows, width]` that the value is, with one scale and zero point for all; nil if it is none.
  func integerTable(
    _ name: String, scale: String, zeroPoint: String?
  ) throws(Mismatch) -> DistilBERT.EmbeddingTable? {
    guard let tensor = matcher.graph.constants[name], tensor.shape.count == 2,
      tensor.elementType == .int8 || tensor.elementType == .uint8, let values = Parameter(tensor)
    else { return nil }
    let quantization = try quantization(scale: scale, zeroPoint: zeroPoint, type: tensor.elementType, channels: 1)
    return DistilBERT.EmbeddingTable(values: values, quantization: quantization)
  }

  private func matrix(
    _ name: String
  ) throws(Mismatch) -> (values: Parameter, transposed: Bool, quantization: DistilBERT.Quantization?)? {
    var name = name
    var transposed = false
    while true {
      if let tensor = matcher.graph.constants[name] {
        guard tensor.shape.count == 2, tensor.elementType.isFloatingPoint, let values = Parameter(tensor) else {
          return nil
        }
        return (values, transposed, nil)
      }
      guard let node = matcher.producer(of: name), let source = node.input(0) else { return nil }
      if case .transpose(let order) = node.operation, order == [1, 0] {
        transposed.toggle()
        name = source
      } else if node.onnx("Cast") != nil, matcher.graph.fact(source).type?.isFloatingPoint == true,
        matcher.graph.fact(name).type?.isFloatingPoint == true
      {
        name = source
      } else if let onnx = node.onnx("DequantizeLinear") {
        guard let tensor = matcher.graph.constants[source], tensor.shape.count == 2,
          tensor.elementType == .int8 || tensor.elementType == .uint8, let values = Parameter(tensor),
          let scale = node.input(1)
        else { return nil }
        let axis = (try? onnx.int("axis", default: 1)).flatMap { FactEvaluator.axis($0, rank: 2) }
        guard (try? onnx.int("block_size", default: 0)) == 0 else { throw Mismatch("weights quantised without blocks") }
        // Scales run along the weights' outputs: columns as stored, rows where the matrix is transposed later.
        let channelAxis = transposed ? 0 : 1
        let quantization = try quantization(
          scale: scale, zeroPoint: node.input(2), type: tensor.elementType, channels: values.shape[channelAxis])
        guard quantization.scales.count == 1 || axis == channelAxis else {
          throw Mismatch("weight scales that run along the outputs")
        }
        return (values, transposed, quantization)
      } else {
        return nil
      }
    }
  }

  /// Constant scales and zero points: one, or one a channel.
  func quantization(
    scale: String, zeroPoint: String?, type: ElementType, channels: Int
  ) throws(Mismatch) -> DistilBERT.Quantization {
    guard matcher.isConstant(scale), let scales = matcher.graph.floats(scale), scales.count == 1 || scales.count == channels,
      scales.allSatisfy({ $0.isFinite && $0 > 0 })
    else { throw Mismatch("constant positive scales: one, or one for each of \(channels) channels") }
    var zeros: [Int32] = [0]
    if let zeroPoint {
      guard let tensor = matcher.graph.constants[zeroPoint], tensor.elementType == type, let values = try? tensor.ints(),
        values.count == 1 || values.count == channels
      else { throw Mismatch("constant zero points of the weights' type: one, or one for each of \(channels) channels") }
      zeros = values.compactMap { Int32(exactly: $0) }
    }
    let count = max(scales.count, zeros.count)
    func spread<Element>(_ list: [Element]) -> [Element] { list.count == count ? list : Array(repeating: list[0], count: count) }
    return DistilBERT.Quantization(scales: spread(scales), zeroPoints: spread(zeros))
  }
}
