import Encoder
import ONNX

/// Recognises GELU: exact with erf, its tanh approximation, and the single nodes.
enum GELURecognition: Pass {
  static let name = "gelu"
  static let summary = "x · Φ(x), exact or by tanh, becomes one operation"

  static func run(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    let matcher = Matcher(graph)
    for index in graph.nodes.indices {
      let node = graph.nodes[index]
      guard let onnx = node.onnx, let output = node.outputs.first else { continue }
      do throws(Mismatch) {
        let found: (input: String, gelu: GELUForm, form: String)?
        switch (onnx.domain, onnx.operatorType) {
        case ("", "Gelu"): found = try single(node, onnx)
        case ("com.microsoft", "Gelu"): found = node.input(0).map { ($0, GELUForm(activation: .gelu), "Gelu") }
        case ("", "Mul"), ("", "Div"):
          if let plain = try decomposed(output, matcher) {
            found = (plain.0, GELUForm(activation: plain.1), plain.2)
          } else {
            found = try rounded(output, matcher).map { ($0.x, GELUForm(activation: .gelu, roundings: $0.roundings), "erf, rounded inside") }
          }
        default: continue
        }
        guard let found else { continue }
        graph.nodes[index] = node.becoming(.gelu(found.gelu), inputs: [found.input])
        counts[found.form, default: 0] += 1
      } catch {
        graph.remarks[output] = error.expected
      }
    }
  }

  private static func single(
    _ node: WorkNode, _ onnx: Node
  ) throws(Mismatch) -> (String, GELUForm, String)? {
    guard let x = node.input(0) else { return nil }
    switch try? onnx.string("approximate", default: "none") {
    case "none": return (x, GELUForm(activation: .gelu), "Gelu")
    case "tanh": return (x, GELUForm(activation: .geluTanh), "Gelu")
    default: throw Mismatch("GELU's `approximate` as none or tanh")
    }
  }

  /// 0.5 · x · (1 + erf(x / √2)), or 0.5 · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))), multiplied in any order.
  private static func decomposed(
    _ output: String, _ matcher: Matcher
  ) throws(Mismatch) -> (String, DistilBERT.Activation, String)? {
    let product = matcher.factors(output)
    guard product.values.count == 2 else { return nil }
    for (x, sumName) in [(product.values[0], product.values[1]), (product.values[1], product.values[0])] {
      guard let sum = matcher.node(sumName, "Add"),
        let (inner, one) = matcher.pairs(sum).first(where: { matcher.scalar($0.1) != nil })
      else { continue }
      let isError = matcher.node(inner, "Erf")
      guard let function = isError ?? matcher.node(inner, "Tanh"), let argument = function.input(0) else { continue }
      guard matcher.isScalar(one, 1) else { throw Mismatch("a GELU that adds 1") }
      let type: ElementType? = product.isHalf ? .float16 : nil
      guard matcher.isClose(product.constant, 0.5, type: type) else { throw Mismatch("a GELU that multiplies by 0.5") }
      if isError != nil {
        let parts = matcher.factors(argument)
        guard parts.values == [x] else { throw Mismatch("a GELU of one value") }
        guard matcher.isClose(parts.constant, 0.5.squareRoot(), type: parts.isHalf ? .float16 : nil) else {
          throw Mismatch("a GELU that divides by √2 inside erf")
        }
        return (x, .gelu, "erf")
      }
      guard isTanhArgument(argument, x, matcher) else {
        throw Mismatch("a GELU with √(2/π) · (x + 0.044715 · x³) inside tanh")
      }
      return (x, .geluTanh, "tanh")
    }
    return nil
  }

  /// As the exact form, x multiplied by 1 + erf(x / √2) and by 1/2 one after the other, with values rounded on the way.
  private static func rounded(
    _ output: String, _ matcher: Matcher
  ) throws(Mismatch) -> (x: String, roundings: DistilBERT.Roundings.GELU)? {
    var roundings = DistilBERT.Roundings.GELU()
    /// From the result back to x.
    var product: [DistilBERT.Roundings.GELU.Factor] = []
    var constant = 1.0
    var x: String?
    var name = output
    // Two factors and what rounds them.
    while name != x, product.count < 8 {
      guard let node = matcher.producer(of: name) else { return nil }
      if case .quantization(let quantization) = node.operation, let source = node.input(0) {
        product += try matcher.roundings([quantization]).map { .round($0) }
        name = source
        continue
      }
      guard node.onnx("Mul") != nil || node.onnx("Div") != nil, node.inputs.count == 2 else { return nil }
      if let scale = matcher.scalar(node.inputs[1]), scale != 0 {
        let factor = node.onnx("Mul") != nil ? scale : 1 / scale
        constant *= factor
        product.append(.scale(Float(factor)))
        name = node.inputs[0]
      } else if node.onnx("Mul") != nil, let scale = matcher.scalar(node.inputs[0]) {
        constant *= scale
        product.append(.scale(Float(scale)))
        name = node.inputs[1]
      } else if x == nil, node.onnx("Mul") != nil, let (value, other) = try errorSum(node, matcher, &roundings) {
        product.append(.sum)
        (x, name) = (value, other)
      } else {
        return nil
      }
    }
    guard let x, name == x else { return nil }
    roundings.product = product.reversed()
    guard roundings.count > 0 else { return nil }
    guard matcher.isClose(constant, 0.5, type: nil) else { throw Mismatch("a GELU that multiplies by 0.5") }
    return (x, roundings)
  }

  /// The x of a product with 1 + erf(x / √2), and the other side of the product.
  private static func errorSum(
    _ product: WorkNode, _ matcher: Matcher, _ roundings: inout DistilBERT.Roundings.GELU
  ) throws(Mismatch) -> (x: String, other: String)? {
    for (other, sumName) in matcher.pairs(product) {
      guard let sum = try matcher.node(sumName, "Add", passed: &roundings.sum) else { continue }
      for (inner, one) in matcher.pairs(sum) where matcher.isScalar(one, 1) {
        guard let erf = try matcher.node(inner, "Erf", passed: &roundings.erf), let input = erf.input(0) else { continue }
        var passed: [ValueQuantization] = []
        let parts = matcher.factors(matcher.unquantized(input, &passed))
        guard parts.values.count == 1, matcher.isClose(parts.constant, 0.5.squareRoot(), type: nil) else {
          throw Mismatch("a GELU that divides by √2 inside erf")
        }
        roundings.argument = try matcher.roundings(passed)
        return (parts.values[0], other)
      }
    }
    return nil
  }

  private static func isTanhArgument(_ name: String, _ x: String, _ matcher: Matcher) -> Bool {
    let parts = matcher.factors(name)
    guard matcher.isClose(parts.constant, (2 / Double.pi).squareRoot(), type: parts.isHalf ? .float16 : nil) else {
      return false
    }
    // √(2/π) · (x + 0.044715 · x³)
    if parts.values.count == 1, let sum = matcher.node(parts.values[0], "Add") {
      return matcher.pairs(sum).contains { $0.0 == x && isPower($0.1, x, 3, 0.044715, matcher) }
    }
    // √(2/π) · x · (1 + 0.044715 · x²)
    if parts.values.count == 2, parts.values.contains(x), let other = parts.values.first(where: { $0 != x }),
      let sum = matcher.node(other, "Add")
    {
      return matcher.pairs(sum).contains { matcher.isScalar($0.0, 1) && isPower($0.1, x, 2, 0.044715, matcher) }
    }
    return false
  }

  /// Whether a value is constant · x to the power of `exponent`.
  private static func isPower(
    _ name: String, _ x: String, _ exponent: Int, _ constant: Double, _ matcher: Matcher
  ) -> Bool {
    let parts = matcher.factors(name)
    guard matcher.isClose(parts.constant, constant, type: parts.isHalf ? .float16 : nil) else { return false }
    var count = 0
    for value in parts.values {
      if value == x {
        count += 1
      } else if let power = matcher.node(value, "Pow"), power.inputs.count == 2, power.inputs[0] == x,
        let number = matcher.scalar(power.inputs[1]), let whole = Int(exactly: number)
      {
        count += whole
      } else {
        return false
      }
    }
    return count == exponent
  }
}
