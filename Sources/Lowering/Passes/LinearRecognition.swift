import Encoder
import ONNX

/// Recognises linear layers: a product with constant weights, stored either way, float or quantised, and the bias added
/// to it.
enum LinearRecognition: Pass {
  static let name = "linear"
  static let summary = "products with constant weights, with their bias, become one operation"

  static func run(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    let matcher = Matcher(graph)
    for index in graph.nodes.indices {
      let node = graph.nodes[index]
      guard let onnx = node.onnx, let output = node.outputs.first else { continue }
      do throws(Mismatch) {
        let found: (input: String, linear: DistilBERT.Linear, hasBias: Bool)?
        switch (onnx.domain, onnx.operatorType) {
        case ("", "MatMul"): found = try product(node, matcher)
        case ("", "Gemm"): found = try gemm(node, onnx, matcher)
        case ("", "Mul"): found = try dynamicallyQuantized(node, matcher)
        default: continue
        }
        guard let found else { continue }
        graph.nodes[index] = node.becoming(
          .linear(LinearForm(linear: found.linear, hasBias: found.hasBias)), inputs: [found.input])
        counts[onnx.operatorType == "Mul" ? "MatMulInteger" : onnx.operatorType, default: 0] += 1
      } catch {
        graph.remarks[output] = error.expected
      }
    }
    addBiases(&graph, &counts)
  }

  private static func addBiases(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    let matcher = Matcher(graph)
    for index in graph.nodes.indices {
      let node = graph.nodes[index]
      guard node.onnx("Add") != nil else { continue }
      for (source, biasName) in matcher.pairs(node) {
        var product: [ValueQuantization] = []
        guard let producer = matcher.producer(of: matcher.unquantized(source, &product)),
          case .linear(var form) = producer.operation, !form.hasBias,
          let bias = matcher.vector(biasName, count: form.linear.bias.count),
          graph.fact(source).shape == node.outputs.first.flatMap({ graph.fact($0).shape })
        else { continue }
        form.linear.bias = bias
        form.hasBias = true
        form.product = product
        graph.nodes[index] = node.becoming(.linear(form), inputs: producer.inputs)
        counts["bias", default: 0] += 1
        break
      }
    }
  }

  private static func layer(_ weights: DistilBERT.Weights, bias: [Float]? = nil) -> DistilBERT.Linear {
    DistilBERT.Linear(name: "", weights: weights, bias: bias ?? Array(repeating: 0, count: weights.outputs))
  }

  // MARK: Float

  private static func product(
    _ node: WorkNode, _ matcher: Matcher
  ) throws(Mismatch) -> (String, DistilBERT.Linear, Bool)? {
    guard let x = node.input(0), let name = node.input(1), let weights = try WeightResolver(matcher).weights(name)
    else { return nil }
    guard let width = matcher.width(x), width == weights.inputs else {
      throw Mismatch("an input of \(weights.inputs) columns, as the weights have rows")
    }
    return (x, layer(weights), false)
  }

  private static func gemm(
    _ node: WorkNode, _ onnx: Node, _ matcher: Matcher
  ) throws(Mismatch) -> (String, DistilBERT.Linear, Bool)? {
    guard let x = node.input(0), let name = node.input(1), var weights = try WeightResolver(matcher).weights(name)
    else { return nil }
    guard (try? onnx.float("alpha", default: 1)) == 1, (try? onnx.int("transA", default: 0)) == 0 else {
      throw Mismatch("a Gemm of the input as it is, with alpha 1")
    }
    if (try? onnx.int("transB", default: 0)) != 0 { weights = weights.transposed() }
    guard let width = matcher.width(x), width == weights.inputs else {
      throw Mismatch("an input of \(weights.inputs) columns, as the weights have rows")
    }
    guard let biasName = node.input(2) else { return (x, layer(weights), false) }
    guard (try? onnx.float("beta", default: 1)) == 1, let bias = matcher.vector(biasName, count: weights.outputs) else {
      throw Mismatch("a Gemm's third input as a constant bias of \(weights.outputs) elements, with beta 1")
    }
    return (x, layer(weights, bias: bias), true)
  }

  // MARK: Dynamic quantisation

  /// Cast(MatMulInteger(quantised x, W)) · (scale of x · scale of W), as ONNX Runtime writes it.
  private static func dynamicallyQuantized(
    _ node: WorkNode, _ matcher: Matcher
  ) throws(Mismatch) -> (String, DistilBERT.Linear, Bool)? {
    for (castName, scales) in scaledIntegers(node, matcher) {
      guard let cast = matcher.node(castName, "Cast"), let product = matcher.node(cast.input(0), "MatMulInteger") else {
        continue
      }
      guard let input = DynamicInput(product, matcher) else {
        throw Mismatch("a product of an input that DynamicQuantizeLinear quantised, with its zero point, or row by row to ±127")
      }
      let x = input.x
      guard matcher.graph.fact(castName).type == .float else { throw Mismatch("a cast of the product to float") }
      guard let name = product.input(1), let tensor = matcher.graph.constants[name],
        tensor.elementType == .int8 || tensor.elementType == .uint8, tensor.shape.count == 2,
        let values = Parameter(tensor)
      else { throw Mismatch("constant int8 or uint8 weights [inputs, outputs]") }
      guard matcher.width(x) == values.shape[0] else {
        throw Mismatch("an input of \(values.shape[0]) columns, as the weights have rows")
      }
      guard let weightScale = scales.first(where: { $0.0 == input.scale })?.1 else {
        throw Mismatch("the product's scale: the input's times the weights'")
      }
      let quantization = try WeightResolver(matcher).quantization(
        scale: weightScale, zeroPoint: product.input(3), type: tensor.elementType, channels: values.shape[1])
      let weights = DistilBERT.Weights(
        values: values, layout: .inputsByOutputs, quantization: quantization, activation: .dynamic)
      return (x, layer(weights), false)
    }
    return nil
  }
}

extension LinearRecognition {
  /// value · (a · b) or (value · a) · b, taken apart in every way: the value, and the two scales in both orders.
  private static func scaledIntegers(_ node: WorkNode, _ matcher: Matcher) -> [(String, [(String, String)])] {
    matcher.pairs(node).flatMap { left, right -> [(String, [(String, String)])] in
      if let scales = matcher.node(right, "Mul"), matcher.node(left, "Cast") != nil { return [(left, matcher.pairs(scales))] }
      guard let inner = matcher.node(left, "Mul") else { return [] }
      return matcher.pairs(inner).map { value, scale in (value, [(scale, right)]) }
    }
  }
}

extension DistilBERT.Weights {
  /// Wᵀ, as a view.
  func transposed() -> DistilBERT.Weights {
    var weights = self
    weights.layout = layout == .inputsByOutputs ? .outputsByInputs : .inputsByOutputs
    return weights
  }
}

extension Parameter {
  /// A view of a tensor's bytes, or a copy as float32 of an element type that parameters do not have.
  init?(_ tensor: Tensor) {
    let type: ElementType
    switch tensor.elementType {
    case .float: type = .float32
    case .float16: type = .float16
    case .bfloat16: type = .bfloat16
    case .int8: type = .int8
    case .uint8: type = .uint8
    case .double:
      guard let values = try? tensor.floats() else { return nil }
      self.init(values, shape: tensor.shape)
      return
    default: return nil
    }
    self.init(
      shape: tensor.shape, elementType: type,
      bytes: ConstantBytes(
        unowned: tensor.bytes.unmanagedBuffer, owner: tensor.bytes.owner, release: { [bytes = tensor.bytes] in bytes.releasePages() }))
  }
}
