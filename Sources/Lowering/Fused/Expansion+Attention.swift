import ONNX

// ONNX Runtime's attention operators: heads, scale, mask and softmax in one node.
extension Expansion {
  /// The projections are in the node: input [batch, sequence, hidden] times weights [hidden, queries | keys | values].
  mutating func attention() throws {
    try requireAbsent(4..<5, "earlier keys and values")
    try requireAbsent(6..<7, "earlier keys and values")
    try requireInt("do_rotary")
    let x = try input(0, "the input")
    let weights = try tensor(1, "weights [hidden, queries and keys and values]")
    let widths = try thirds(of: weights)
    let bias = try fused.input(2).map { name in
      guard let tensor = constants[name] else { throw Mismatch("a constant bias") }
      return tensor
    }
    var start = 0
    var parts: [String] = []
    for width in widths {
      let columns = start..<start + width
      var part = add("MatMul", [x, constant(try weights.columns(columns))])
      if let bias { part = add("Add", [part, constant(try bias.columns(columns))]) }
      parts.append(part)
      start += width
    }
    try attend(parts, widths: widths, mask: fused.input(3), added: fused.input(5))
  }

  /// Inputs [batch, sequence, hidden], with one bias for all three.
  mutating func multiHeadAttention() throws {
    try requireAbsent(6..<10, "earlier keys and values")
    var parts = [try input(0, "queries"), try input(1, "keys"), try input(2, "values")]
    let widths = try parts.map { name in
      guard let shape = fact(name).shape, shape.count == 3, let width = shape[2].constant, width > 0 else {
        throw Mismatch("queries, keys and values of shape [batch, sequence, width]")
      }
      return width
    }
    if fused.input(3) != nil {
      let bias = try tensor(3, "the bias")
      guard bias.shape == [widths.reduce(0, +)] else { throw Mismatch("a bias as wide as queries, keys and values") }
      var start = 0
      for index in parts.indices {
        let columns = start..<start + widths[index]
        parts[index] = add("Add", [parts[index], constant(try bias.columns(columns))])
        start += widths[index]
      }
    }
    try attend(parts, widths: widths, mask: fused.input(4), added: fused.input(5))
  }

  /// As ``attention()``, on integers: input and weights are dequantised first.
  mutating func quantizedAttention() throws {
    try requireAbsent(8..<9, "earlier keys and values")
    try requireInt("do_rotary")
    let weights = try tensor(1, "weights [hidden, queries and keys and values]")
    let bias = try tensor(2, "the bias")
    let scale = try tensor(4, "the weights' scale")
    let zero = fused.input(7) == nil ? nil : try tensor(7, "the weights' zero point")
    let widths = try thirds(of: weights)
    let x = dequantized(
      try input(0, "the input"), scale: try input(3, "the input's scale"), zero: fused.input(6))
    var start = 0
    var parts: [String] = []
    for width in widths {
      let columns = start..<start + width
      let part = try add(
        "MatMul",
        [
          x,
          dequantized(
            constant(weights.columns(columns)), scale: constant(scale.columns(columns)),
            zero: zero.map { constant(try $0.columns(columns)) }),
        ])
      parts.append(add("Add", [part, constant(try bias.columns(columns))]))
      start += width
    }
    try attend(parts, widths: widths, mask: fused.input(5), added: nil)
  }

  private func thirds(of weights: Tensor) throws -> [Int] {
    guard weights.shape.count == 2 else { throw Mismatch("weights [hidden, queries and keys and values]") }
    let whole = weights.shape[1]
    let sizes = try fused.ints("qkv_hidden_sizes", default: [whole / 3, whole / 3, whole / 3])
    guard sizes.count == 3, sizes.allSatisfy({ $0 > 0 && $0 <= whole }), sizes.reduce(0, +) == whole else {
      throw Mismatch("weights as wide as queries, keys and values together")
    }
    return sizes
  }

  /// softmax(q · kᵀ · scale + mask) · v, with heads split from the width and merged again.
  private mutating func attend(_ parts: [String], widths: [Int], mask: String?, added: String?) throws {
    try requireInt("unidirectional")
    let heads = try fused.int("num_heads")
    guard heads > 0, widths.allSatisfy({ $0 % heads == 0 }), widths[0] == widths[1] else {
      throw Mismatch("a width that \(heads) heads divide")
    }
    let orders: [[Int64]] = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]]
    var split: [String] = []
    for (index, part) in parts.enumerated() {
      let shape = try constant([0, 0, Int64(heads), Int64(widths[index] / heads)])
      split.append(add("Transpose", [add("Reshape", [part, shape])], ["perm": .ints(orders[index])]))
    }
    // A scale of 0, the default, stands for 1/√(head size).
    var scale = try fused.float("scale", default: 0)
    if scale == 0 { scale = Float(1 / Double(widths[0] / heads).squareRoot()) }
    var scores = add("Mul", [add("MatMul", [split[0], split[1]]), try constant(scale)])
    if let added { scores = add("Add", [scores, added]) }
    if let mask { scores = try masked(scores, by: mask) }
    let product = add("MatMul", [add("Softmax", [scores], ["axis": .int(-1)]), split[2]])
    let rows = add("Transpose", [product], ["perm": .ints([0, 2, 1, 3])])
    add("Reshape", [rows, try constant([0, 0, Int64(widths[2])])], output: try output())
  }

  /// Fills scores in where an integer mask is not above 0: a mask [batch, keys] or [batch, queries, keys], or lengths
  /// [batch].
  private mutating func masked(_ scores: String, by name: String) throws -> String {
    var mask = name
    if case .lengths = fact(name).content, fact(name).shape?.count == 1, let attentionMask {
      mask = attentionMask
      takesMaskAsLength = true
    }
    guard case .mask = fact(mask).content, let rank = fact(mask).shape?.count, rank == 2 || rank == 3,
      let type = fact(mask).type, type == .int32 || type == .int64
    else { throw Mismatch("an integer mask [batch, keys] made from attention_mask, or its lengths [batch]") }
    let zero = type == .int32
      ? constant(try Tensor(shape: [], elements: [Int32(0)])) : constant(try Tensor(shape: [], elements: [Int64(0)]))
    let keeps = add("Greater", [mask, zero])
    let aligned = add("Unsqueeze", [keeps], ["axes": .ints(rank == 2 ? [1, 2] : [1])])
    let fill = try constant(try fused.float("mask_filter_value", default: -10_000))
    return add("Where", [aligned, scores, fill])
  }
}

extension Tensor {
  /// A matrix's columns, or a vector's elements; a tensor of one element is the same for all columns.
  func columns(_ range: Range<Int>) throws -> Tensor {
    if count == 1 { return self }
    guard let width = shape.last, shape.count <= 2, range.lowerBound >= 0, range.upperBound <= width else {
      throw Mismatch("a matrix or vector of \(range.upperBound) columns")
    }
    let rows = shape.count == 2 ? shape[0] : 1
    let size = bytes.count / max(1, count)
    guard size * count == bytes.count else { throw Mismatch("elements of whole bytes") }
    var part: [UInt8] = []
    part.reserveCapacity(rows * range.count * size)
    bytes.withUnsafeBytes { source in
      for row in 0..<rows {
        let first = (row * width + range.lowerBound) * size
        part += source[first..<first + range.count * size]
      }
    }
    return try Tensor(
      elementType: elementType, shape: shape.dropLast() + [range.count], bytes: TensorBytes(part))
  }
}
