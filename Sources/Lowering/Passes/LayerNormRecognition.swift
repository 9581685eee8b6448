import Encoder
import ONNX

/// Recognises layer normalisation over the last axis: the single node, and its decomposition.
enum LayerNormRecognition: Pass {
  static let name = "layer norm"
  static let summary = "mean, variance, scale and bias over the last axis become one operation"

  static func run(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    let matcher = Matcher(graph)
    for index in graph.nodes.indices {
      let node = graph.nodes[index]
      guard let onnx = node.onnx, onnx.domain.isEmpty, let output = node.outputs.first else { continue }
      do throws(Mismatch) {
        let found: (input: String, form: NormForm)?
        switch onnx.operatorType {
        case "LayerNormalization": found = try single(node, onnx, matcher)
        case "Add": found = try decomposed(node, matcher)
        default: continue
        }
        guard let found else { continue }
        graph.nodes[index] = node.becoming(.layerNormalization(found.form), inputs: [found.input])
        counts[onnx.operatorType == "Add" ? "decomposed" : "LayerNormalization", default: 0] += 1
      } catch {
        graph.remarks[output] = error.expected
      }
    }
  }

  private static func single(
    _ node: WorkNode, _ onnx: Node, _ matcher: Matcher
  ) throws(Mismatch) -> (String, NormForm) {
    guard let x = node.input(0), let shape = matcher.graph.fact(x).shape, let width = matcher.width(x) else {
      throw Mismatch("an input whose last axis has a known size")
    }
    guard let axis = try? onnx.int("axis", default: -1), FactEvaluator.axis(axis, rank: shape.count) == shape.count - 1
    else { throw Mismatch("normalisation over the last axis alone") }
    guard let epsilon = try? onnx.float("epsilon", default: 1e-5), epsilon >= 0 else {
      throw Mismatch("a float epsilon that is not negative")
    }
    guard let scale = matcher.vector(node.input(1), count: width) else {
      throw Mismatch("a constant scale of \(width) elements")
    }
    var bias = [Float](repeating: 0, count: width)
    if let name = node.input(2) {
      guard let values = matcher.vector(name, count: width) else {
        throw Mismatch("a constant bias of \(width) elements")
      }
      bias = values
    }
    return (x, NormForm(norm: DistilBERT.LayerNorm(scale: scale, bias: bias, epsilon: epsilon)))
  }

  /// (x − mean) / √(variance + ε) · scale + bias, from its last addition backwards, each value quantised or not.
  private static func decomposed(
    _ node: WorkNode, _ matcher: Matcher
  ) throws(Mismatch) -> (String, NormForm)? {
    var roundings = DistilBERT.Roundings.Norm()
    for (scaled, biasName) in matcher.pairs(node) where matcher.isConstant(biasName) {
      guard let product = try matcher.node(scaled, "Mul", passed: &roundings.scaled) else { continue }
      for (normalized, scaleName) in matcher.pairs(product) where matcher.isConstant(scaleName) {
        guard let (x, epsilon) = try normalization(normalized, matcher, &roundings) else { continue }
        guard let width = matcher.width(x), let scale = matcher.vector(scaleName, count: width),
          let bias = matcher.vector(biasName, count: width)
        else { throw Mismatch("a layer norm's scale and bias as constants of the last axis' size") }
        let norm = DistilBERT.LayerNorm(scale: scale, bias: bias, epsilon: epsilon)
        return (x, NormForm(norm: norm, roundings: roundings))
      }
    }
    return nil
  }

  /// (x − mean(x)) / √(mean((x − mean(x))²) + ε)
  private static func normalization(
    _ name: String, _ matcher: Matcher, _ roundings: inout DistilBERT.Roundings.Norm
  ) throws(Mismatch) -> (x: String, epsilon: Float)? {
    guard let quotient = try matcher.node(name, "Div", passed: &roundings.normalized), quotient.inputs.count == 2,
      let root = try matcher.node(quotient.inputs[1], "Sqrt", passed: &roundings.deviation), let radicand = root.input(0),
      let sum = try matcher.node(radicand, "Add", passed: &roundings.sum),
      let difference = try matcher.node(quotient.inputs[0], "Sub", passed: &roundings.difference), difference.inputs.count == 2
    else { return nil }
    let x = difference.inputs[0]
    guard try meanOfLastAxis(difference.inputs[1], matcher, &roundings.mean) == x else {
      throw Mismatch("a layer norm that subtracts the mean of the same value")
    }
    for (variance, epsilonName) in matcher.pairs(sum) {
      guard let epsilon = matcher.scalar(epsilonName),
        let square = try meanOfLastAxis(variance, matcher, &roundings.variance)
      else { continue }
      guard epsilon >= 0, try isSquare(square, of: quotient.inputs[0], matcher, &roundings.square) else {
        throw Mismatch("a layer norm that divides by the deviation of the same value")
      }
      return (x, Float(epsilon))
    }
    throw Mismatch("a layer norm's variance plus a constant epsilon")
  }

  private static func isSquare(
    _ name: String, of base: String, _ matcher: Matcher, _ passed: inout [Rounding]
  ) throws(Mismatch) -> Bool {
    if let power = try matcher.node(name, "Pow", passed: &passed), power.inputs.count == 2 {
      return power.inputs[0] == base && matcher.scalar(power.inputs[1]) == 2
    }
    return try matcher.node(name, "Mul", passed: &passed)?.inputs == [base, base]
  }

  /// What is averaged over the last axis, that axis kept.
  private static func meanOfLastAxis(
    _ name: String, _ matcher: Matcher, _ passed: inout [Rounding]
  ) throws(Mismatch) -> String? {
    guard let node = try matcher.node(name, "ReduceMean", passed: &passed), let onnx = node.onnx, let source = node.input(0),
      let rank = matcher.graph.fact(source).shape?.count
    else { return nil }
    let axes = node.input(1).map { matcher.graph.fact($0).ints } ?? (try? onnx.optionalInts("axes"))
    guard let axes, axes.map({ FactEvaluator.axis($0, rank: rank) }) == [rank - 1],
      (try? onnx.int("keepdims", default: 1)) == 1
    else { throw Mismatch("a layer norm's mean over the last axis, with that axis kept") }
    return source
  }
}

/// Why a group of nodes that looked like an operation is not one.
struct Mismatch: Error {
  let expected: String
  init(_ expected: String) { self.expected = expected }
}
