import SeededRandom
import Testing

@testable import Kernels

/// The int8 kernels of every set against the Swift reference, and the reference against exact integers.
struct Int8KernelTests {
  static let sets = KernelAgreementTests.sets
  static let reference = KernelAgreementTests.reference

  static let activations: [PackedInt8Matrix.ActivationQuantization] = [
    .dynamic, .fixed(scale: 0.02, zeroPoint: 113, isSigned: false), .fixed(scale: 0.03, zeroPoint: -7, isSigned: true),
  ]

  struct Quantized: Equatable {
    var bytes: [UInt8]
    var scaleBits: UInt32
    var sum: Int32
  }

  static func quantize(
    _ row: [Float], _ quantization: PackedInt8Matrix.ActivationQuantization, with set: KernelSet
  ) -> Quantized {
    quantize([row], quantization, with: set)[0]
  }

  /// Rows of one length.
  static func quantize(
    _ rows: [[Float]], _ quantization: PackedInt8Matrix.ActivationQuantization, with set: KernelSet
  ) -> [Quantized] {
    let (count, stride) = (rows[0].count, (rows[0].count + 63) / 64 * 64)
    let padded = (count + 3) / 4 * 4
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * rows.count + rows.count * stride / 4) { room in
      let target = QuantizedRows(rows: rows.count, stride: stride, in: room.baseAddress!)
      target.bytes.update(repeating: 1, count: rows.count * stride)
      // A number more than a row has, to see that it does not count.
      set.quantize(
        rows.flatMap { $0 + [.infinity] }, stride: count + 1, rows: rows.count, count: count, paddedCount: padded, as: quantization,
        to: target, from: 0)
      return rows.indices.map { row in
        Quantized(
          bytes: (0..<padded).map { target.bytes[row * stride + $0] }, scaleBits: target.scales[row].bitPattern, sum: target.sums[row])
      }
    }
  }

  @Test(arguments: sets)
  func quantizedRows(_ name: KernelSet.Name) throws {
    let set = try KernelSet(name)
    var random = SplitMix64(seed: 21)
    for length in KernelAgreementTests.lengths {
      for spread: Float in [1, 1e-3, 1e30, 0x1p-130, 0, 300] {
        let row = random.floats(length, in: -spread...spread)
        for quantization in Self.activations {
          #expect(Self.quantize(row, quantization, with: set) == Self.quantize(row, quantization, with: Self.reference))
        }
      }
      for bad in [Float.nan, .infinity, -.infinity] {
        var row = random.floats(length, in: -1...1)
        row[length / 2] = bad
        for quantization in Self.activations {
          let quantized = Self.quantize(row, quantization, with: set)
          #expect(Float(bitPattern: quantized.scaleBits).isNaN, "\(bad) must not become a number")
        }
      }
    }
  }

  /// Rows that are quantised together, one of them with what is not finite, are what each is alone.
  @Test(arguments: sets, activations)
  func quantizedTogether(_ name: KernelSet.Name, _ activation: PackedInt8Matrix.ActivationQuantization) throws {
    let set = try KernelSet(name)
    var random = SplitMix64(seed: 24)
    for count in 1...9 {
      for length in [1, 16, 63, 130] {
        var rows = (0..<count).map { row in random.floats(length, in: -Float(row + 1)...Float(row + 1)) }
        rows[count / 2][length - 1] = .infinity
        #expect(Self.quantize(rows, activation, with: set) == rows.map { Self.quantize($0, activation, with: Self.reference) })
      }
    }
  }

  @Test func theReferenceRoundsAsDefined() {
    let row: [Float] = [127, -127, 0.5, 1.5, -0.5, 2.5, 0, 63.4]
    let quantized = Self.quantize(row, .dynamic, with: Self.reference)
    #expect(quantized.bytes == [255, 1, 128, 130, 128, 130, 128, 191])
    #expect(quantized.sum == 2 + 2 + 63 && Float(bitPattern: quantized.scaleBits) == 1)
    let fixed = Self.quantize([0, 1, -100, 100], .fixed(scale: 0.5, zeroPoint: 10, isSigned: false), with: Self.reference)
    #expect(fixed.bytes == [10, 12, 0, 210] && fixed.sum == 0 + 2 - 10 + 200)
    let zeros = Self.quantize([0, 0, 0], .dynamic, with: Self.reference)
    #expect(zeros.bytes == [128, 128, 128, 128] && zeros.scaleBits == 0 && zeros.sum == 0)
  }

  @Test(arguments: sets, activations)
  func products(_ name: KernelSet.Name, _ activation: PackedInt8Matrix.ActivationQuantization) throws {
    let set = try KernelSet(name)
    var random = SplitMix64(seed: 22)
    for m in 1...13 {
      for (k, n) in [(1, 1), (3, 5), (4, 16), (17, 63), (64, 64), (30, 65), (100, 130)] {
        try compare(m, k, n, activation, set, weight: { _, _ in Int8.random(in: -128...127, using: &random) })
      }
    }
    // Sums as large as they get.
    for extreme in [Int8.min, .max] {
      try compare(7, 512, 70, activation, set, input: { $0.isMultiple(of: 2) ? 1e9 : -1e9 }, weight: { _, _ in extreme })
      try compare(7, 512, 70, activation, set, input: { _ in 1e9 }, weight: { _, _ in extreme })
      try compare(7, 512, 70, activation, set, input: { _ in 0 }, weight: { _, _ in extreme })
    }
  }

  private func compare(
    _ m: Int, _ k: Int, _ n: Int, _ activation: PackedInt8Matrix.ActivationQuantization, _ set: KernelSet,
    input value: ((Int) -> Float)? = nil, weight: (Int, Int) -> Int8
  ) throws {
    var random = SplitMix64(seed: UInt64(m * 1000 + k * 10 + n))
    let input: [Float] = if let value { (0..<m * k).map(value) } else { random.floats(m * k, in: -2...2) }
    let bias = random.floats(n, in: -1...1)
    let scales = random.floats(n, in: 0.001...0.01)
    let zeroPoints: [Int32] = (0..<n).map { $0 % 3 == 0 ? 0 : Int32($0 % 11) - 5 }
    var weights = [Int8](repeating: 0, count: k * n)
    for row in 0..<k { for column in 0..<n { weights[row * n + column] = weight(row, column) } }
    // In two parts, stored in the two ways that files use.
    let split = n / 2
    let left = (0..<k).flatMap { row in weights[row * n..<row * n + split] }
    let right = (split..<n).flatMap { column in (0..<k).map { weights[$0 * n + column] } }
    let matrix = PackedInt8Matrix(
      k: k,
      parts: [
        .init(count: split, isTransposed: false, isUnsigned: false, withBytes: { left.withUnsafeBytes($0) }),
        .init(
          count: n - split, isTransposed: true, isUnsigned: true,
          withBytes: { body in right.map { UInt8(bitPattern: $0) ^ 0x80 }.withUnsafeBytes(body) }),
      ], scales: scales, zeroPoints: zeroPoints, activation: activation, threads: 2)

    func run(_ set: KernelSet, _ epilogue: KernelSet.Epilogue) -> [Float] {
      var result = [Float](repeating: 0, count: m * n)
      var room = [Float](repeating: 0, count: PackedInt8Matrix.quantizedFloatCount(rows: m, k: k))
      room.withUnsafeMutableBufferPointer { room in
        result.withUnsafeMutableBufferPointer {
          matrix.multiply(
            rows: m, input, bias: bias, epilogue: epilogue, result: $0.baseAddress!, room: room.baseAddress!,
            kernels: set, threads: 2)
        }
      }
      return result
    }
    for epilogue in [KernelSet.Epilogue.bias, .biasGELU, .biasGELUTanh] {
      expectSameBits(run(set, epilogue), run(Self.reference, epilogue), "[\(m), \(k)] · [\(k), \(n)], \(epilogue)")
    }

    // The definition, in whole numbers: Σ (u − Z)(w − z).
    let result = run(set, .bias)
    for row in 0..<m {
      let quantized = Self.quantize(Array(input[row * k..<(row + 1) * k]), activation, with: Self.reference)
      for column in 0..<n {
        var exact = 0
        for depth in 0..<k {
          let left = Int(quantized.bytes[depth]) - Int(activation.storedZero)
          exact += left * (Int(weights[depth * n + column]) - Int(zeroPoints[column]))
        }
        let expected = bias[column].addingProduct(Float(exact), scales[column] * Float(bitPattern: quantized.scaleBits))
        if result[row * n + column].bitPattern != expected.bitPattern {
          Issue.record("element (\(row), \(column)) is \(result[row * n + column]), not \(expected)")
          return
        }
      }
    }
  }
}
