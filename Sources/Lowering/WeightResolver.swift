import Encoder
import ONNX

/// Finds the constant matrix that a value is, looking through transposes, casts and dequantisation.
struct WeightResolver {
  let matcher: Matcher

  init(_ matcher: Matcher) { self.matcher = matcher }

  /// The weights `[inputs, outputs]` that the value is; nil if it is no constant matrix.
  func weights(_ name: String) throws(Mismatch) -> DistilBERT.Weights? {
    guard let (values, transposed, quantization) = try matrix(name, channelAxis: 1) else { return nil }
    let weights = DistilBERT.Weights(values: values, layout: .inputsByOutputs, quantization: quantization)
    return transposed ? weights.transposed() : weights
  }

  /// The table `[rows, width]` that the value is, quantised as a whole or row by row; nil if it is no constant matrix.
  func table(_ name: String) throws(Mismatch) -> DistilBERT.EmbeddingTable? {
    guard let (values, transposed, quantization) = try matrix(name, channelAxis: 0) else { return nil }
    guard !transposed else { throw Mismatch("an embedding table that is not transposed") }
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

  /// - Parameter axis: The axis of the value along which scales may run.
  private func matrix(
    _ name: String, channelAxis axis: Int
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
      } else if node.onnx("Mul") != nil,
        let found = try scaledIntegers(node, channelAxis: transposed ? 1 - axis : axis)
      {
        return (found.values, transposed, found.quantization)
      } else if let onnx = node.onnx("DequantizeLinear") {
        guard let tensor = matcher.graph.constants[source], tensor.shape.count == 2, let scale = node.input(1) else {
          return nil
        }
        let scaleAxis = (try? onnx.int("axis", default: 1)).flatMap { FactEvaluator.axis($0, rank: 2) }
        let block = (try? onnx.int("block_size", default: 0)) ?? -1
        guard block == 0, tensor.elementType == .int8 || tensor.elementType == .uint8, let values = Parameter(tensor)
        else {
          return (try dequantized(tensor, node, axis: scaleAxis, block: block), transposed, nil)
        }
        let channelAxis = transposed ? 1 - axis : axis
        let quantization = try quantization(
          scale: scale, zeroPoint: node.input(2), type: tensor.elementType, channels: values.shape[channelAxis])
        guard quantization.scales.count == 1 || scaleAxis == channelAxis else {
          throw Mismatch("scales that run along a linear layer's outputs, or an embedding table's rows")
        }
        return (values, transposed, quantization)
      } else {
        return nil
      }
    }
  }

  /// The real values of integers of other sizes than 8 bits, or with a scale for each block (ONNX DequantizeLinear-21).
  private func dequantized(
    _ tensor: Tensor, _ node: WorkNode, axis: Int?, block: Int
  ) throws(Mismatch) -> Parameter {
    let (rows, columns) = (tensor.shape[0], tensor.shape[1])
    guard let integers = try? tensor.ints(), let axis, block >= 0,
      let scaleTensor = node.input(1).flatMap({ matcher.graph.constants[$0] }), let scales = try? scaleTensor.floats()
    else { throw Mismatch("constant integer weights with constant scales") }
    let step = max(1, block)
    var shape = axis == 0 ? [(rows + step - 1) / step, columns] : [rows, (columns + step - 1) / step]
    if block == 0 {
      guard scaleTensor.shape == [tensor.shape[axis]] || scales.count == 1 else {
        throw Mismatch("scales: one, or one for each row or column")
      }
      shape = scales.count == 1 ? [1, 1] : axis == 0 ? [rows, 1] : [1, columns]
    }
    guard scales.count == shape[0] * shape[1], block == 0 || scaleTensor.shape == shape else {
      throw Mismatch("scales of shape \(shape), one for each block of \(block)")
    }
    var zeros: [Int]?
    if let name = node.input(2) {
      guard let tensor = matcher.graph.constants[name], let values = try? tensor.ints(), values.count == scales.count
      else { throw Mismatch("a constant zero point for each scale") }
      zeros = values
    }
    var values = [Float](repeating: 0, count: integers.count)
    for row in 0..<rows {
      for column in 0..<columns {
        let blockRow = shape[0] == 1 ? 0 : block > 0 && axis == 0 ? row / step : row
        let blockColumn = shape[1] == 1 ? 0 : block > 0 && axis == 1 ? column / step : column
        let number = blockRow * shape[1] + blockColumn
        let index = row * columns + column
        values[index] = Float(integers[index] &- (zeros?[number] ?? 0)) * scales[number]
      }
    }
    return Parameter(values, shape: [rows, columns])
  }

  /// Integers cast to float, times one scale or one a channel: how some tools write symmetric weights.
  private func scaledIntegers(
    _ node: WorkNode, channelAxis: Int
  ) throws(Mismatch) -> (values: Parameter, quantization: DistilBERT.Quantization)? {
    for (castName, scaleName) in matcher.pairs(node) {
      guard let cast = matcher.node(castName, "Cast"), let source = cast.input(0),
        let tensor = matcher.graph.constants[source], tensor.shape.count == 2,
        tensor.elementType == .int8 || tensor.elementType == .uint8, let values = Parameter(tensor),
        matcher.graph.fact(castName).type?.isFloatingPoint == true
      else { continue }
      guard let scale = matcher.graph.constants[scaleName], let scales = matcher.graph.floats(scaleName),
        scales.count == 1 || scale.shape.suffix(2) == (0..<2).map({ $0 == channelAxis ? tensor.shape[$0] : 1 })[...]
          || scale.shape == [tensor.shape[channelAxis]] && channelAxis == 1,
        scale.shape.count <= 2, !scales.isEmpty, scales.allSatisfy({ $0.isFinite && $0 > 0 })
      else { throw Mismatch("integer weights times constant positive scales: one, or one for each channel") }
      return (
        values,
        DistilBERT.Quantization(scales: scales, zeroPoints: Array(repeating: 0, count: scales.count))
      )
    }
    return nil
  }

  /// Constant scales and zero points: one, or one a channel.
  func quantization(
    scale: String, zeroPoint: String?, type: ElementType, channels: Int
  ) throws(Mismatch) -> DistilBERT.Quantization {
    guard matcher.isConstant(scale), let scales = matcher.graph.floats(scale),
      !scales.isEmpty, scales.count == 1 || scales.count == channels, scales.allSatisfy({ $0.isFinite && $0 > 0 })
    else { throw Mismatch("constant positive scales: one, or one for each of \(channels) channels") }
    var zeros: [Int32] = [0]
    if let zeroPoint {
      guard let tensor = matcher.graph.constants[zeroPoint], tensor.elementType == type,
        let values = try? tensor.ints(), !values.isEmpty, values.count == 1 || values.count == channels
      else { throw Mismatch("constant zero points of the weights' type: one, or one for each of \(channels) channels") }
      zeros = values.compactMap { Int32(exactly: $0) }
    }
    let count = max(scales.count, zeros.count)
    func spread<Element>(_ list: [Element]) -> [Element] {
      list.count == count ? list : Array(repeating: list[0], count: count)
    }
    return DistilBERT.Quantization(scales: spread(scales), zeroPoints: spread(zeros))
  }
}
