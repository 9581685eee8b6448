import ONNX

// Weights in few bits, with a scale for each block of them: dequantised here to float32.
extension Expansion {
  /// 4 or 8 bits in blocks along the inputs: (q − zero) · scale.
  mutating func blockQuantizedProduct() throws {
    let x = try input(0, "the input")
    try requireAbsent(4..<5, "order of groups")
    let (inputs, outputs) = (try fused.int("K"), try fused.int("N"))
    let (block, bits) = (try fused.int("block_size"), try fused.int("bits", default: 4))
    guard bits == 4 || bits == 8, (1...1 << 20).contains(inputs), (1...1 << 20).contains(outputs),
      (16...4096).contains(block), block % 2 == 0
    else { throw Mismatch("weights of 4 or 8 bits, in blocks of 16 to 4,096") }
    let blocks = (inputs + block - 1) / block
    let bytes = try tensor(1, "the packed weights").bits()
    let scales = try tensor(2, "the scales").floats()
    let blockBytes = block * bits / 8
    guard bytes.count == outputs * blocks * blockBytes, scales.count == outputs * blocks else {
      throw Mismatch("packed weights and scales for \(outputs) rows of \(blocks) blocks")
    }
    let zeros = try blockZeros(outputs: outputs, blocks: blocks, bits: bits)
    var values = [Float](repeating: 0, count: outputs * inputs)
    for row in 0..<outputs {
      for column in 0..<inputs {
        let (index, offset) = column.quotientAndRemainder(dividingBy: block)
        let start = (row * blocks + index) * blockBytes
        let code = bits == 8 ? bytes[start + offset] : nibble(bytes[start + offset / 2], isHigh: offset % 2 == 1)
        let number = row * blocks + index
        values[row * inputs + column] = (Float(code) - (zeros?[number] ?? Float(1 << (bits - 1)))) * scales[number]
      }
    }
    try product(x, values, inputs: inputs, outputs: outputs, bias: fused.input(5))
  }

  /// Zero points: packed as the weights are, each row on whole bytes, or floats.
  private func blockZeros(outputs: Int, blocks: Int, bits: Int) throws -> [Float]? {
    guard fused.input(3) != nil else { return nil }
    let zeros = try tensor(3, "the zero points")
    if zeros.elementType.isFloatingPoint {
      let values = try zeros.floats()
      guard values.count == outputs * blocks else { throw Mismatch("a zero point for each block") }
      return values
    }
    let bytes = try zeros.bits()
    let stride = (blocks * bits + 7) / 8
    guard bytes.count == outputs * stride else { throw Mismatch("a zero point for each block") }
    return (0..<outputs * blocks).map { number in
      let (row, index) = number.quotientAndRemainder(dividingBy: blocks)
      return Float(
        bits == 8 ? bytes[row * stride + index] : nibble(bytes[row * stride + index / 2], isHigh: index % 2 == 1))
    }
  }

  private func nibble(_ byte: UInt8, isHigh: Bool) -> UInt8 { isHigh ? byte >> 4 : byte & 0x0F }

  /// 4 bits that pick from a table of 16 (bitsandbytes): table[q] · largest magnitude of the block.
  mutating func tableQuantizedProduct() throws {
    let x = try input(0, "the input")
    let (inputs, outputs) = (try fused.int("K"), try fused.int("N"))
    let block = try fused.int("block_size")
    try requireInt("transB", default: 1, is: 1)
    guard (1...1 << 20).contains(inputs), (1...1 << 20).contains(outputs), (16...65_536).contains(block) else {
      throw Mismatch("blocks of 16 to 65,536 weights")
    }
    let table: [Float]
    switch try fused.int("quant_type") {
    case 0: table = Self.float4
    case 1: table = Self.normalFloat4
    default: throw Mismatch("`quant_type` 0 (FP4) or 1 (NF4)")
    }
    let count = inputs * outputs
    let bytes = try tensor(1, "the packed weights").bits()
    let scales = try tensor(2, "the blocks' largest magnitudes").floats()
    guard bytes.count == (count + 1) / 2, scales.count == (count + block - 1) / block else {
      throw Mismatch("packed weights and magnitudes for \(count) weights")
    }
    // Rows of outputs, the first weight of two in the high bits.
    let values = (0..<count).map { index in
      table[Int(nibble(bytes[index / 2], isHigh: index % 2 == 0))] * scales[index / block]
    }
    try product(x, values, inputs: inputs, outputs: outputs, bias: nil)
  }

  /// A sign, two bits of exponent and one of fraction, divided by their largest magnitude (bitsandbytes' FP4).
  private static let float4: [Float] = {
    let magnitudes: [Float] = [0, 0.0625 / 12, 8.0 / 12, 12.0 / 12, 4.0 / 12, 6.0 / 12, 2.0 / 12, 3.0 / 12]
    return magnitudes + magnitudes.map { -$0 }
  }()

  /// Quantiles of a normal distribution (Dettmers et al. 2023, "QLoRA", appendix E).
  private static let normalFloat4: [Float] = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
  ]

  /// x · Wᵀ (+ bias), the weights as rows of outputs.
  private mutating func product(
    _ x: String, _ values: [Float], inputs: Int, outputs: Int, bias: String?
  ) throws {
    let weights = constant(try Tensor(shape: [outputs, inputs], elements: values))
    let transposed = add("Transpose", [weights], ["perm": .ints([1, 0])])
    guard let bias else {
      add("MatMul", [x, transposed], output: try output())
      return
    }
    add("Add", [add("MatMul", [x, transposed]), bias], output: try output())
  }
}

extension Tensor {
  /// The bytes of packed weights.
  fileprivate func bits() throws -> [UInt8] {
    guard elementType == .uint8 else { throw Mismatch("packed weights as uint8") }
    return try elements(as: UInt8.self)
  }
}
