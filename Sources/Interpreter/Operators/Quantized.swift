import ONNX

private let microsoft = OperatorRegistry.microsoft

/// Operators of ONNX Runtime on quantised values.
let quantizedOperators: [OperatorDefinition] = [
  OperatorDefinition("DynamicQuantizeMatMul", domain: microsoft) { call in
    let rows = try dynamicallyQuantized(try call.input(0))
    let product = try integerProduct(
      rows.value, try call.input(1), zeroPoints: (rows.zeroPoint, call.optional(3)),
      scales: (rows.scale, try call.input(2)))
    return [try call.optional(4).map { try addition(product, $0) } ?? product]
  },
  OperatorDefinition("MatMulIntegerToFloat", domain: microsoft) { call in
    let product = try integerProduct(
      try call.input(0), try call.input(1), zeroPoints: (call.optional(4), call.optional(5)),
      scales: (try call.input(2), try call.input(3)))
    return [try call.optional(6).map { try addition(product, $0) } ?? product]
  },
  OperatorDefinition("MatMulNBits", domain: microsoft, blockProduct),
  OperatorDefinition("MatMulBnb4", domain: microsoft, tableProduct),
  OperatorDefinition("QGemm", domain: microsoft, quantizedGemm),
  OperatorDefinition("QLinearAdd", domain: microsoft) { call in
    // Both sides in steps of the result: a sum that is half a step exactly is one here, and rounded to even.
    let sides = try [0, 3].map { index in
      try dequantized(
        try call.input(index), scale: try cast(try call.input(index + 1), to: .float).divided(by: try call.input(6)),
        zeroPoint: call.optional(index + 2), layout: .tensor)
    }
    return [try quantized(
      try addition(sides[0], sides[1]), scale: try Value(shape: [], floats: [1]), zeroPoint: call.optional(7),
      to: try call.input(0).elementType, layout: .tensor)]
  },
  pairwise("QLinearMul", multiplication),
  single("QLinearSigmoid") { call, value in try sigmoid(value) },
  single("QLinearLeakyRelu") { call, value in try leakyRelu(try call.node.float("alpha", default: 0.01))(value) },
  single("QLinearSoftmax") { call, value in
    let axis = try Shape.axis(try call.node.int("axis", default: -1), rank: value.shape.count)
    guard try call.node.int("opset") < 13 else { return try alongAxis(value, axis, exponentials) }
    // Everything from the axis on is one row.
    let flat = value.reshaped([Shape.product(value.shape[..<axis]), Shape.product(value.shape[axis...])])
    return try alongAxis(flat, 1, exponentials).reshaped(value.shape)
  },
  OperatorDefinition("QLinearWhere", domain: microsoft) { call in
    let result = try chosen(
      try call.input(0), try dequantizedInput(call, 1), try dequantizedInput(call, 4))
    return [try requantized(result, try call.input(7), call.optional(8))]
  },
  OperatorDefinition("QLinearConcat", domain: microsoft) { call in
    let parts = try stride(from: 2, to: call.inputs.count, by: 3).map { try dequantizedInput(call, $0) }
    guard !parts.isEmpty else { throw Failure("needs an input") }
    return [try requantized(
      try concatenate(parts, axis: try call.node.int("axis")), try call.input(0), try call.input(1))]
  },
]

/// The product of integers less their zero points, times both scales.
func integerProduct(
  _ first: Value, _ second: Value, zeroPoints: (Value?, Value?), scales: (Value, Value)
) throws -> Value {
  let product = try matrixProduct(
    try centred(first, zeroPoint: zeroPoints.0, rows: true), try centred(second, zeroPoint: zeroPoints.1, rows: false))
  let scale = try multiplication(
    try aligned(scales.0, with: first, rows: true), try aligned(scales.1, with: second, rows: false))
  return try multiplication(try cast(product, to: scale.elementType), scale)
}

/// `MatMulNBits`: times a matrix `[columns, depth]` whose rows are quantised in blocks of 4 (or 2, or 8) bits.
@Sendable private func blockProduct(_ call: Call) throws -> [Value] {
  let node = call.node
  let (depth, columns) = (try node.int("K"), try node.int("N"))
  let (bits, blockSize) = (try node.int("bits", default: 4), try node.int("block_size"))
  guard [2, 4, 8].contains(bits), (16...Shape.largestCount).contains(blockSize), depth > 0, columns > 0 else {
    throw Failure("blocks of \(blockSize) elements of \(bits) bits are not supported")
  }
  try Shape.check([columns, depth])
  guard call.optional(4) == nil else { throw Failure("reordered columns (g_idx) are not supported") }
  let (weights, scales) = (try call.input(1), try call.input(2))
  let blocks = (depth - 1) / blockSize + 1
  let perByte = 8 / bits
  let blockBytes = (blockSize - 1) / perByte + 1
  guard case .uint8(let bytes) = weights.storage, scales.count == columns * blocks,
    weights.shape == [columns, blocks, blockBytes]
  else { throw Failure("weights \(weights.shape) and scales \(scales.shape) do not fit [\(columns), \(depth)]") }
  /// The number at `index` of bytes that hold several, the first in the lowest bits.
  func unpacked(_ bytes: ArraySlice<UInt8>, _ index: Int) -> UInt8 {
    bytes[bytes.startIndex + index / perByte] >> UInt8(index % perByte * bits) & UInt8(truncatingIfNeeded: 1 << bits - 1)
  }
  let factors = try scales.floats()
  var zeroPoints = [Float](repeating: Float(1 << (bits - 1)), count: columns * blocks)
  if let packed = call.optional(3) {
    if packed.elementType == scales.elementType, packed.count == zeroPoints.count {
      zeroPoints = try packed.floats()
    } else {
      let rowBytes = (blocks - 1) / perByte + 1
      guard case .uint8(let bytes) = packed.storage, bytes.count == columns * rowBytes else {
        throw Failure("zero points of shape \(packed.shape) do not fit")
      }
      for place in zeroPoints.indices {
        let row = place / blocks
        zeroPoints[place] = Float(unpacked(bytes[row * rowBytes..<(row + 1) * rowBytes], place % blocks))
      }
    }
  }
  var matrix = [Float](repeating: 0, count: depth * columns)
  for column in 0..<columns {
    for step in 0..<depth {
      let block = column * blocks + step / blockSize
      let number = unpacked(bytes[block * blockBytes..<(block + 1) * blockBytes], step % blockSize)
      matrix[step * columns + column] = (Float(number) - zeroPoints[block]) * factors[block]
    }
  }
  let value = try call.input(0)
  let product = try matrixProduct(value, try Value(value.elementType, [depth, columns], .floats(matrix)))
  return [try call.optional(5).map { try addition(product, $0) } ?? product]
}

/// `MatMulBnb4`: times a matrix whose elements are places in a table of 16, scaled in blocks (bitsandbytes).
@Sendable private func tableProduct(_ call: Call) throws -> [Value] {
  let node = call.node
  let (depth, columns) = (try node.int("K"), try node.int("N"))
  let blockSize = try node.int("block_size")
  guard depth >= 0, columns >= 0, blockSize > 0 else { throw Failure("needs positive sizes") }
  let count = try Shape.check([columns, depth])
  guard try node.int("transB", default: 1) == 1 else { throw Failure("weights as rows of inputs are not supported") }
  let kind = try node.int("quant_type")
  guard weightTables.indices.contains(kind) else { throw Failure("the quantisation type \(kind) is not supported") }
  let table = weightTables[kind]
  let (weights, scales) = (try call.input(1), try call.input(2).floats())
  let blocks = count / blockSize + (count % blockSize == 0 ? 0 : 1)
  guard case .uint8(let bytes) = weights.storage, bytes.count == (count + 1) / 2, scales.count == blocks else {
    throw Failure("weights \(weights.shape) and \(scales.count) scales do not fit [\(columns), \(depth)]")
  }
  var matrix = [Float](repeating: 0, count: count)
  for place in 0..<count {
    // The first of two lies in the high bits.
    let number = place % 2 == 0 ? bytes[place / 2] >> 4 : bytes[place / 2] & 0xF
    let (column, step) = place.quotientAndRemainder(dividingBy: depth)
    matrix[step * columns + column] = table[Int(number)] * scales[place / blockSize]
  }
  let value = try call.input(0)
  return [try matrixProduct(value, try Value(value.elementType, [depth, columns], .floats(matrix)))]
}

/// The tables of bitsandbytes by their number: FP4 (a sign, two bits of exponent and one of fraction, over the largest
/// magnitude) and NF4 (quantiles of a normal distribution; Dettmers et al. 2023, "QLoRA", appendix E).
private let weightTables: [[Float]] = {
  let magnitudes: [Float] = [0, 0.0625, 8, 12, 4, 6, 2, 3].map { $0 / 12 }
  let quantiles: [Float] = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
  ]
  return [magnitudes + magnitudes.map { -$0 }, quantiles]
}()

/// `QGemm`: alpha · A B + C of quantised matrices; quantised again if the node has an output scale, a float if not.
@Sendable private func quantizedGemm(_ call: Call) throws -> [Value] {
  let (first, second) = (try call.input(0), try call.input(3))
  let transposesFirst = try call.node.int("transA", default: 0) != 0
  let transposesSecond = try call.node.int("transB", default: 0) != 0
  let product = try scaled(
    try integerProduct(
      transposesFirst ? try first.transposed([1, 0]) : first,
      transposesSecond ? try second.transposed([1, 0]) : second,
      zeroPoints: (try call.input(2), try call.input(5)), scales: (try call.input(1), try call.input(4))),
    by: try call.node.float("alpha", default: 1))
  var result = product
  if let bias = call.optional(6) {
    // The bias counts in units of the product's scale.
    let unit = try multiplication(try call.input(1), try call.input(4))
    let floats = try multiplication(try cast(bias, to: .float), unit)
    result = try addition(product, try scaled(floats, by: try call.node.float("alpha", default: 1)))
  }
  guard let scale = call.optional(7) else { return [result] }
  return [try requantized(result, scale, call.optional(8))]
}

/// The floats that a quantised input stands for; its scale and zero point are the next inputs.
private func dequantizedInput(_ call: Call, _ index: Int) throws -> Value {
  try dequantized(
    try call.input(index), scale: try call.input(index + 1), zeroPoint: call.optional(index + 2), layout: .tensor)
}

private func requantized(_ value: Value, _ scale: Value, _ zeroPoint: Value?) throws -> Value {
  try quantized(value, scale: scale, zeroPoint: zeroPoint, to: zeroPoint?.elementType ?? .uint8, layout: .tensor)
}

/// A function of two quantised values.
private func pairwise(_ name: String, _ function: BinaryFunction) -> OperatorDefinition {
  OperatorDefinition(name, domain: microsoft) { call in
    let result = try function(try dequantizedInput(call, 0), try dequantizedInput(call, 3))
    return [try quantized(
      result, scale: try call.input(6), zeroPoint: call.optional(7), to: try call.input(0).elementType,
      layout: .tensor)]
  }
}

/// A function of one quantised value.
private func single(
  _ name: String, _ function: @escaping @Sendable (Call, Value) throws -> Value
) -> OperatorDefinition {
  OperatorDefinition(name, domain: microsoft) { call in
    let result = try function(call, try dequantizedInput(call, 0))
    return [try quantized(
      result, scale: try call.input(3), zeroPoint: call.optional(4), to: try call.input(0).elementType,
      layout: .tensor)]
  }
}
