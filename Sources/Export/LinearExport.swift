import Encoder
import ONNX

/// Writes linear layers, float and quantised; layers with the same input share what is computed from the input alone.
struct LinearExport {
  let dynamicForm: DynamicForm
  private var quantizedInputs: [QuantizedInput: (values: String, scale: String, zeroPoint: String)] = [:]
  private var multipliedInputs: [MultipliedInput: String] = [:]

  private struct MultipliedInput: Hashable {
    let input: String
    let factors: [Float]
  }

  private enum QuantizedInput: Hashable {
    case dynamic(String)
    case fixed(String)
  }

  init(dynamicForm: DynamicForm) { self.dynamicForm = dynamicForm }

  /// Adds the layer and returns its result, `[batch, sequence, outputs]`.
  mutating func add(_ linear: DistilBERT.Linear, to input: String, in graph: inout GraphBuilder) throws -> String {
    let (name, weights) = (linear.name, linear.weights)
    let input = try weights.inputFactors.map { try multiplied(input, by: $0, for: name, in: &graph) } ?? input
    let product: String
    switch (weights.quantization, weights.activation) {
    case (nil, _):
      let matrix = try graph.constant(weights.inputsByOutputs(), as: name + ".weight")
      product = graph.add("MatMul", [input, matrix], as: name + "/product")
    case (let quantization?, nil):
      let matrix = try dequantized(weights, quantization, name, in: &graph)
      product = graph.add("MatMul", [input, matrix], as: name + "/product")
    case (let quantization?, .fixed(let scale, let zeroPoint, let signed)?):
      let rounded = try fixed(input, scale: scale, zeroPoint: zeroPoint, signed: signed, in: &graph)
      let matrix = try dequantized(weights, quantization, name, in: &graph)
      product = graph.add("MatMul", [rounded, matrix], as: name + "/product")
    case (let quantization?, .dynamic?):
      product = try integerProduct(weights, quantization, name, input, in: &graph)
    }
    let bias = try graph.constant(linear.bias, as: name + ".bias")
    return graph.add("Add", [product, bias], as: name)
  }

  /// The input times its factors, once for all layers that share both.
  private mutating func multiplied(
    _ input: String, by factors: [Float], for layer: String, in graph: inout GraphBuilder
  ) throws -> String {
    let key = MultipliedInput(input: input, factors: factors)
    if let known = multipliedInputs[key] { return known }
    let constant = try graph.constant(factors, as: layer + ".input_factors")
    let product = graph.add("Mul", [input, constant], as: layer + "/smoothed")
    multipliedInputs[key] = product
    return product
  }

  /// The weights as real numbers again (DequantizeLinear-13).
  private func dequantized(
    _ weights: DistilBERT.Weights, _ quantization: DistilBERT.Quantization, _ name: String, in graph: inout GraphBuilder
  ) throws -> String {
    let parameters = try self.parameters(weights, quantization, name, in: &graph)
    return graph.add(
      "DequantizeLinear", [parameters.matrix, parameters.scale, parameters.zeroPoint], as: name + "/weight",
      ["axis": .int(1)])
  }

  private func parameters(
    _ weights: DistilBERT.Weights, _ quantization: DistilBERT.Quantization, _ name: String, in graph: inout GraphBuilder
  ) throws -> (matrix: String, scale: String, zeroPoint: String) {
    // Other readers refuse such scales too, or compute nonsense from them.
    guard quantization.scales.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw ExportError.weights(layer: name, reason: "weights that are not finite have no scale; repair or exclude the layer")
    }
    let shape = quantization.scales.count == 1 ? [] : [quantization.scales.count]
    return (
      try graph.constant(weights.inputsByOutputs(), as: name + ".weight_quantized"),
      try graph.constant(quantization.scales, shape: shape, as: name + ".weight_scale"),
      try graph.zeroPoints(
        quantization.zeroPoints, of: weights.values.elementType, shape: shape, as: name + ".weight_zero_point")
    )
  }

  /// The input rounded to what calibration fixed (QuantizeLinear-13 and back).
  private mutating func fixed(
    _ input: String, scale: Float, zeroPoint: Int32, signed: Bool, in graph: inout GraphBuilder
  ) throws -> String {
    // Layers with one input were calibrated on the same values; if they were not, each has its own pair.
    let key = QuantizedInput.fixed("\(input) \(scale) \(zeroPoint) \(signed)")
    if let known = quantizedInputs[key] { return known.values }
    let name = quantizedInputs.keys.contains(.fixed(input)) ? "\(input)/quantized.\(quantizedInputs.count)" : "\(input)/quantized"
    let scaleName = try graph.constant(scale, as: name + ".scale")
    let zero = try graph.zeroPoints([zeroPoint], of: signed ? .int8 : .uint8, shape: [], as: name + ".zero_point")
    let integers = graph.add("QuantizeLinear", [input, scaleName, zero], as: name)
    let values = graph.add("DequantizeLinear", [integers, scaleName, zero], as: name + "/values")
    quantizedInputs[key] = (values, scaleName, zero)
    quantizedInputs[.fixed(input)] = quantizedInputs[key]
    return values
  }

  // MARK: Dynamic

  /// Exact integer sums, times the input's scale and the weights'.
  private mutating func integerProduct(
    _ weights: DistilBERT.Weights, _ quantization: DistilBERT.Quantization, _ name: String, _ input: String,
    in graph: inout GraphBuilder
  ) throws -> String {
    let matrix = try parameters(weights, quantization, name, in: &graph)
    let key = QuantizedInput.dynamic(input)
    let quantized = try quantizedInputs[key] ?? dynamic(input, in: &graph)
    quantizedInputs[key] = quantized
    let operands = [quantized.values, matrix.matrix, quantized.zeroPoint, matrix.zeroPoint]
    let sums = graph.add("MatMulInteger", operands, as: name + "/sums")
    let real = graph.add("Cast", [sums], as: name + "/real", ["to": .int(Int64(ElementType.float.rawValue))])
    switch dynamicForm {
    case .tensor:
      let scale = graph.add("Mul", [quantized.scale, matrix.scale], as: name + "/scale")
      return graph.add("Mul", [real, scale], as: name + "/product")
    case .row:
      // One scale after the other: ONNX Runtime 1.32 takes the product of both scales for its own fused operator, which knows no
      // scales of tokens, and computes something else.
      let scaled = graph.add("Mul", [real, quantized.scale], as: name + "/scaled")
      return graph.add("Mul", [scaled, matrix.scale], as: name + "/product")
    }
  }

  private func dynamic(
    _ input: String, in graph: inout GraphBuilder
  ) throws -> (values: String, scale: String, zeroPoint: String) {
    let name = input + "/quantized"
    switch dynamicForm {
    case .tensor:
      graph.add("DynamicQuantizeLinear", [input], outputs: [name, name + ".scale", name + ".zero_point"])
      return (name, name + ".scale", name + ".zero_point")
    case .row:
      let largestInteger = try graph.constant(127, as: "largest_integer")
      // The least magnitude whose reciprocal, times 127, is in range.
      let least = try graph.constant(127 * 0x1p-126, as: "least_magnitude")
      let magnitudes = graph.add("Abs", [input], as: name + "/magnitudes")
      let largest = graph.add(
        "ReduceMax", [magnitudes], as: name + "/largest", ["axes": .ints([-1]), "keepdims": .int(1)])
      let bounded = graph.add("Max", [largest, least], as: name + "/bounded")
      let factor = graph.add("Div", [largestInteger, bounded], as: name + "/factor")
      let scaled = graph.add("Mul", [input, factor], as: name + "/scaled")
      let whole = graph.add("Round", [scaled], as: name + "/whole")
      // Unsigned, as other engines' fast products have it.
      let shifted = graph.add("Add", [whole, try graph.constant(128, as: "middle")], as: name + "/shifted")
      let integers = graph.add("Cast", [shifted], as: name, ["to": .int(Int64(ElementType.uint8.rawValue))])
      let scale = graph.add("Div", [bounded, largestInteger], as: name + "/scale")
      return (integers, scale, try graph.constant([UInt8(128)], shape: [], as: "middle_integer"))
    }
  }
}
