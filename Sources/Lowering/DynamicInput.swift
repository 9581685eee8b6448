import ONNX

/// A linear layer's input that is quantised as it comes, and what its integers are multiplied by afterwards.
struct DynamicInput {
  let x: String
  /// The value that stands for one step of the integers: a scalar, or one a token.
  let scale: String

  /// What a MatMulInteger multiplies; nil if it is neither of the two forms.
  init?(_ product: WorkNode, _ matcher: Matcher) {
    if let quantizer = matcher.node(product.input(0), "DynamicQuantizeLinear"), let x = quantizer.input(0),
      product.inputs[0] == quantizer.outputs[0], product.input(2) == quantizer.outputs[2]
    {
      self.init(x: x, scale: quantizer.outputs[1])
    } else {
      self.init(ofRows: product, matcher)
    }
  }

  private init(x: String, scale: String) {
    self.x = x
    self.scale = scale
  }

  /// round(x · 127 / largest) + 128 as uint8, largest being each token's own largest magnitude (or next to nothing): a row's scale is
  /// largest / 127, as this engine quantises every dynamic input.
  private init?(ofRows product: WorkNode, _ matcher: Matcher) {
    let graph = matcher.graph
    guard let zero = product.input(2).flatMap({ graph.constants[$0] }), zero.elementType == .uint8,
      (try? zero.ints()) == [128], let integers = product.input(0), graph.fact(integers).type == .uint8,
      let cast = matcher.node(integers, "Cast"), let sum = matcher.node(cast.input(0), "Add"),
      let wholeName = matcher.pairs(sum).first(where: { matcher.isScalar($0.1, 128) })?.0,
      let round = matcher.node(wholeName, "Round"), let scaled = matcher.node(round.input(0), "Mul")
    else { return nil }
    for (x, factorName) in matcher.pairs(scaled) {
      guard let factor = matcher.node(factorName, "Div"), matcher.isScalar(factor.input(0), 127),
        let bounded = factor.input(1), Self.isLargestMagnitude(bounded, of: x, matcher),
        // Its one other reader: the scale.
        let scale = graph.nodes.first(where: { $0.onnx("Div") != nil && $0.input(0) == bounded }),
        matcher.isScalar(scale.input(1), 127), let scaleName = scale.outputs.first
      else { continue }
      self.init(x: x, scale: scaleName)
      return
    }
    return nil
  }

  private static func isLargestMagnitude(_ name: String, of x: String, _ matcher: Matcher) -> Bool {
    guard let bounded = matcher.node(name, "Max") else { return false }
    return matcher.pairs(bounded).contains { largest, least in
      guard let least = matcher.scalar(least), least > 0, least < 1e-30, let reduction = matcher.node(largest, "ReduceMax"),
        let magnitudes = matcher.node(reduction.input(0), "Abs"), magnitudes.input(0) == x,
        let shape = matcher.graph.fact(x).shape
      else { return false }
      // Over the last axis alone, which stays with a size of 1.
      return matcher.graph.fact(largest).shape == shape.dropLast() + [Size(1)]
    }
  }
}
