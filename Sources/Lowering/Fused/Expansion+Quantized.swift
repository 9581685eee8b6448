import ONNX

// Operators on quantised tensors: as the same operator between dequantised inputs and a quantised output, which is how
// their documents define them.
extension Expansion {
  mutating func dequantized(_ name: String, scale: String, zero: String?, axis: Int64 = 1) -> String {
    add("DequantizeLinear", [name, scale] + (zero.map { [$0] } ?? []), ["axis": .int(axis)])
  }

  /// Three inputs in a row: a quantised tensor, its scale, and its zero point if there is one.
  private mutating func dequantized(at index: Int, _ meaning: String) throws -> String {
    dequantized(
      try input(index, meaning), scale: try input(index + 1, "\(meaning)'s scale"), zero: fused.input(index + 2))
  }

  /// Quantises to the first output by the scale at `index` and the zero point after it.
  private mutating func quantize(_ name: String, by index: Int) throws {
    add(
      "QuantizeLinear", [name, try input(index, "the output's scale")] + (fused.input(index + 1).map { [$0] } ?? []),
      output: try output())
  }

  /// The default domain's operators allow what these do (16 bits) since operator set 21.
  mutating func standardQuantization() throws {
    let inputs = (0..<3).compactMap { fused.input($0) }
    let attributes = fused.attributes.filter { $0.key == "axis" }
    add(fused.operatorType, inputs, attributes, output: try output())
  }

  mutating func dynamicallyQuantizedProduct() throws {
    let quantized = add("DynamicQuantizeLinear", [try input(0, "the input")], outputs: 3)
    let x = dequantized(quantized[0], scale: quantized[1], zero: quantized[2])
    let weights = dequantized(
      try input(1, "the weights"), scale: try input(2, "the weights' scale"), zero: fused.input(3))
    try product(x, weights, bias: fused.input(4))
  }

  mutating func integerProductToFloat() throws {
    let x = dequantized(
      try input(0, "the input"), scale: try input(2, "the input's scale"), zero: fused.input(4))
    let weights = dequantized(
      try input(1, "the weights"), scale: try input(3, "the weights' scale"), zero: fused.input(5))
    try product(x, weights, bias: fused.input(6))
  }

  private mutating func product(_ x: String, _ weights: String, bias: String?) throws {
    guard let bias else {
      add("MatMul", [x, weights], output: try output())
      return
    }
    add("Add", [add("MatMul", [x, weights]), bias], output: try output())
  }

  mutating func quantizedProduct() throws {
    let sides = [try dequantized(at: 0, "the left matrix"), try dequantized(at: 3, "the right matrix")]
    try quantize(add("MatMul", sides), by: 6)
  }

  /// The bias has 32 bits, and the product of the inputs' scales as its scale.
  mutating func quantizedGemm() throws {
    let a = try dequantized(at: 0, "the left matrix")
    let isTransposed = try fused.int("transB", default: 0) != 0
    let b = dequantized(
      try input(3, "the right matrix"), scale: try input(4, "the right matrix' scale"), zero: fused.input(5),
      axis: isTransposed ? 0 : 1)
    var inputs = [a, b]
    if fused.input(6) != nil {
      let bias = try tensor(6, "the bias").ints()
      let left = try tensor(1, "the left matrix' scale").floats()
      let right = try tensor(4, "the right matrix' scale").floats()
      guard left.count == 1, right.count == 1 || right.count == bias.count else {
        throw Mismatch("a bias with a scale for each of its elements, or one for all")
      }
      let values = bias.indices.map { Float(bias[$0]) * left[0] * right[right.count == 1 ? 0 : $0] }
      inputs.append(constant(try Tensor(shape: [values.count], elements: values)))
    }
    let attributes = fused.attributes.filter { ["alpha", "transA", "transB"].contains($0.key) }
    if fused.input(7) == nil {
      add("Gemm", inputs, attributes, output: try output())
    } else {
      try quantize(add("Gemm", inputs, attributes), by: 7)
    }
  }

  mutating func quantizedBinary(_ type: String) throws {
    let sides = [try dequantized(at: 0, "the left side"), try dequantized(at: 3, "the right side")]
    try quantize(add(type, sides), by: 6)
  }

  mutating func quantizedSoftmax() throws {
    let x = try dequantized(at: 0, "the input")
    let opset = try fused.int("opset", default: 13)
    guard let rank = fact(try input(0, "the input")).shape?.count else { throw Mismatch("an input of a known rank") }
    let axis = try fused.int("axis", default: opset < 13 ? 1 : -1)
    // Before operator set 13, all axes from this one on were normalised together.
    guard FactEvaluator.axis(axis, rank: rank) == rank - 1 else { throw Mismatch("a softmax over the last axis") }
    try quantize(add("Softmax", [x], ["axis": .int(-1)]), by: 3)
  }

  mutating func quantizedWhere() throws {
    let sides = [try dequantized(at: 1, "the first choice"), try dequantized(at: 4, "the second choice")]
    try quantize(add("Where", [try input(0, "the condition")] + sides), by: 7)
  }

  mutating func quantizedMean() throws {
    let x = try dequantized(at: 0, "the input")
    let attributes = fused.attributes.filter { ["axes", "keepdims"].contains($0.key) }
    try quantize(add("ReduceMean", [x], attributes), by: 3)
  }

  mutating func quantizedConcat() throws {
    guard fused.inputs.count > 2, fused.inputs.count % 3 == 2 else { throw Mismatch("inputs in groups of three") }
    var parts: [String] = []
    for index in stride(from: 2, to: fused.inputs.count, by: 3) { parts.append(try dequantized(at: index, "a part")) }
    try quantize(add("Concat", parts, ["axis": .int(Int64(try fused.int("axis")))]), by: 0)
  }
}
