import ONNX

// ONNX Runtime's fused operators on floating-point tensors.
extension Expansion {
  mutating func biasGELU() throws {
    let sum = add("Add", [try input(0, "the input"), try input(1, "the bias")])
    add("Gelu", [sum], output: try output())
  }

  /// The tanh approximation; the bias may be left out.
  mutating func fastGELU() throws {
    var x = try input(0, "the input")
    if let bias = fused.input(1) { x = add("Add", [x, bias]) }
    add("Gelu", [x], ["approximate": .string("tanh")], output: try output())
  }

  /// Normalises input + skip (+ bias); a fourth output is that sum.
  mutating func skipLayerNorm() throws {
    let (x, skip, scale) = (try input(0, "the input"), try input(1, "the skip input"), try input(2, "the scale"))
    guard fused.output(1) == nil, fused.output(2) == nil else {
      throw Mismatch("layer normalisation without its mean and deviation as outputs")
    }
    // The bias belongs to the linear layer, the input that is not the residual; the sum is the same.
    var (left, right) = isProduct(x) ? (x, skip) : (skip, x)
    if let bias = fused.input(4) {
      (left, right) = (add("Add", [left, bias]), right)
    }
    let sum = add("Add", [left, right], output: fused.output(3))
    let epsilon = try fused.float("epsilon", default: 1e-12)
    let inputs = [sum, scale] + (fused.input(3).map { [$0] } ?? [])
    add(
      "LayerNormalization", inputs, ["epsilon": .float(epsilon), "axis": .int(-1)], output: try output())
  }

  /// Whether a value comes from a matrix product, if need be by way of its dequantisation.
  private func isProduct(_ name: String) -> Bool {
    var name = name
    for _ in 0..<8 {
      guard let node = producers[name] else { return false }
      if node.operatorType.contains("MatMul") || node.operatorType.contains("Gemm") { return true }
      guard ["Cast", "QuantizeLinear", "DequantizeLinear", "Mul", "Reshape"].contains(node.operatorType),
        let source = node.input(0)
      else { return false }
      name = source
    }
    return false
  }

  /// The sum of word, position and token-type rows, normalised; the second output counts the mask's ones.
  mutating func embedLayerNorm() throws {
    let positions = try fused.input(8).map { name throws(Mismatch) in
      guard fact(name).shape != nil else { throw Mismatch("positions of a known shape") }
      return name
    }
    let types = fused.input(1) == nil ? nil : try input(4, "the token-type table")
    try embed(
      words: try input(2, "the word table"), positions: try input(3, "the position table"), types: types,
      scale: try input(5, "the norm's scale"), bias: try input(6, "the norm's bias"), at: positions)
    if let name = fused.output(2) { add("Identity", [embeddingSum], output: name) }
  }

  /// As ``embedLayerNorm()``, tables and norm stored as integers.
  mutating func quantizedEmbedLayerNorm() throws {
    let meanings = [
      "the word table", "the position table", "the token-type table", "the norm's scale", "the norm's bias",
    ]
    var parts: [String?] = []
    for (index, meaning) in meanings.enumerated() {
      if index == 2, fused.input(1) == nil {
        parts.append(nil)
      } else {
        parts.append(
          dequantized(
            try input(2 + index, meaning), scale: try input(8 + index, "\(meaning)'s scale"),
            zero: try input(13 + index, "\(meaning)'s zero point"), axis: 0))
      }
    }
    guard let words = parts[0], let positions = parts[1], let scale = parts[3], let bias = parts[4] else { return }
    try embed(words: words, positions: positions, types: parts[2], scale: scale, bias: bias, at: nil)
  }

  private mutating func embed(
    words: String, positions: String, types: String?, scale: String, bias: String, at given: String?
  ) throws {
    let ids = try input(0, "token ids")
    guard let shape = fact(ids).shape, shape.count == 2 else { throw Mismatch("token ids of shape [batch, sequence]") }
    embeddingSum = add("Gather", [words, ids], ["axis": .int(0)])
    let rows: String
    if let given {
      rows = add("Gather", [positions, given], ["axis": .int(0)])
    } else {
      let length = add("Shape", [ids], ["start": .int(1), "end": .int(2)])
      rows = add("Slice", [positions, try constant([0]), length, try constant([0])])
    }
    embeddingSum = add("Add", [embeddingSum, rows])
    if let types {
      let rows = add("Gather", [types, try input(1, "token types")], ["axis": .int(0)])
      embeddingSum = add("Add", [embeddingSum, rows])
    }
    let epsilon = try fused.float("epsilon", default: 1e-12)
    add(
      "LayerNormalization", [embeddingSum, scale, bias], ["epsilon": .float(epsilon), "axis": .int(-1)],
      output: try output())
    if let lengths = fused.output(1), let mask = fused.input(7) {
      add("ReduceSum", [mask], ["axes": .ints([1]), "keepdims": .int(0)], output: lengths)
    }
  }

  /// alpha · a · b, the last two axes of either transposed before.
  mutating func fusedProduct() throws {
    try requireInt("transBatchA")
    try requireInt("transBatchB")
    var sides = [try input(0, "the left matrix"), try input(1, "the right matrix")]
    for (index, attribute) in ["transA", "transB"].enumerated() {
      guard try fused.int(attribute, default: 0) != 0 else { continue }
      guard let rank = fact(sides[index]).shape?.count, rank >= 2 else { throw Mismatch("matrices of a known rank") }
      var order = Array(0..<rank)
      order.swapAt(rank - 2, rank - 1)
      sides[index] = add("Transpose", [sides[index]], ["perm": .ints(order.map { Int64($0) })])
    }
    let alpha = try fused.float("alpha", default: 1)
    if alpha == 1 {
      add("MatMul", sides, output: try output())
    } else {
      add("Mul", [add("MatMul", sides), try constant(alpha)], output: try output())
    }
  }
}
