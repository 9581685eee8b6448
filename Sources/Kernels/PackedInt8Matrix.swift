import CKernels

/// An int8 matrix `[k, n]` in the panels that `u8s8f32_gemm` reads, with what turns the int32 sums into real numbers.
///
/// Products are exact integers: Σ (u − Z)(w − z) is taken apart into Σ u·w, which the kernel sums, and corrections that are known
/// beforehand, so any 8-bit weights and activations, signed or not, with or without zero points, run in the same kernel.
public struct PackedInt8Matrix: Sendable {
  static let panelWidth = Int(SQ_S8_PANEL)

  /// The longest sum that cannot overflow an int32: 255 · 128 a product, and the corrections as much again.
  public static let largestK = 32_768

  /// How the left factor is quantised, row by row.
  public enum ActivationQuantization: Sendable, Equatable {
    /// Symmetric, by the row's largest magnitude: a row's result depends on no other row.
    case dynamic
    /// By a scale and zero point that calibration fixed (ONNX QuantizeLinear-13).
    case fixed(scale: Float, zeroPoint: Int32, isSigned: Bool)

    /// The stored byte that stands for zero.
    var storedZero: Int32 {
      switch self {
      case .dynamic: 128
      case .fixed(_, let zeroPoint, let isSigned): zeroPoint + (isSigned ? 128 : 0)
      }
    }
  }

  public let k: Int
  public let n: Int
  public let activation: ActivationQuantization
  /// What the inputs are multiplied by before they are quantised, `[k]`.
  public let inputFactors: [Float]?
  /// k rounded up to what the kernels take at a time.
  let paddedK: Int
  let panels: AlignedBuffer<Int8>
  let scales: AlignedBuffer<Float>
  /// Of each column, over k.
  let sums: AlignedBuffer<Int32>
  let zeroPoints: AlignedBuffer<Int32>?

  /// The memory that the packed weights take, with their scales and sums.
  public var byteCount: Int {
    panels.count + scales.count * MemoryLayout<Float>.size
      + (sums.count + (zeroPoints?.count ?? 0)) * MemoryLayout<Int32>.size
  }

  /// Integers of some of a matrix's columns, as a file holds them.
  public struct Columns: Sendable {
    public let count: Int
    /// Whether the bytes are `[count, k]` instead of `[k, count]`.
    public let isTransposed: Bool
    /// Whether they are unsigned; 128 is then taken from each, and is to be taken from the zero points too.
    public let isUnsigned: Bool
    let withBytes: @Sendable ((UnsafeRawBufferPointer) -> Void) -> Void

    public init(
      count: Int, isTransposed: Bool, isUnsigned: Bool,
      withBytes: @escaping @Sendable ((UnsafeRawBufferPointer) -> Void) -> Void
    ) {
      self.count = count
      self.isTransposed = isTransposed
      self.isUnsigned = isUnsigned
      self.withBytes = withBytes
    }

    /// Writes some of the columns, four rows' bytes of a column after each other, with `stride` bytes from four rows to the next; rows up
    /// to `paddedK` are zero. Gives the sum of each column.
    fileprivate func copy(
      _ columns: Range<Int>, k: Int, paddedK: Int, to destination: UnsafeMutableRawPointer, stride: Int,
      sums: UnsafeMutablePointer<Int32>
    ) {
      withBytes { bytes in
        guard let base = bytes.baseAddress else { return }
        let (rowStep, columnStep) = isTransposed ? (1, k) : (count, 1)
        let first = base.assumingMemoryBound(to: UInt8.self) + columns.lowerBound * columnStep
        for group in 0..<paddedK / 4 {
          let (row, target) = (group * 4, destination + group * stride)
          let source = first + row * rowStep
          // With the steps known, the compiler makes vectors of columns.
          switch (row + 4 <= k, isTransposed) {
          case (true, false): copyFour(columns.count, source, rowStep: count, columnStep: 1, to: target, sums)
          case (true, true): copyFour(columns.count, source, rowStep: 1, columnStep: k, to: target, sums)
          case (false, _):
            target.initializeMemory(as: UInt32.self, repeating: 0, count: columns.count)
            for place in 0..<max(0, k - row) {
              for column in 0..<columns.count {
                let byte = source[place * rowStep + column * columnStep] ^ (isUnsigned ? 0x80 : 0)
                target.storeBytes(of: byte, toByteOffset: column * 4 + place, as: UInt8.self)
                sums[column] += Int32(Int8(bitPattern: byte))
              }
            }
          }
        }
      }
    }

    @inline(__always)
    private func copyFour(
      _ columns: Int, _ source: UnsafePointer<UInt8>, rowStep: Int, columnStep: Int, to target: UnsafeMutableRawPointer,
      _ sums: UnsafeMutablePointer<Int32>
    ) {
      let flip: UInt32 = isUnsigned ? 0x8080_8080 : 0
      for column in 0..<columns {
        let four = source + column * columnStep
        let low = UInt32(four[0]) | UInt32(four[rowStep]) << 8
        let word = (low | UInt32(four[2 * rowStep]) << 16 | UInt32(four[3 * rowStep]) << 24) ^ flip
        target.storeBytes(of: word, toByteOffset: column * 4, as: UInt32.self)
        let signed = Int32(bitPattern: word)
        sums[column] &+= ((signed << 24) >> 24) &+ ((signed << 16) >> 24) &+ ((signed << 8) >> 24) &+ (signed >> 24)
      }
    }
  }

  /// Packs a `[k, n]` matrix from parts that stand side by side, on at most `threads` threads.
  ///
  /// - Parameters:
  ///   - scales, zeroPoints: one a column.
  ///   - inputFactors: what the left factor's columns are multiplied by before they are quantised.
  public init(
    k: Int, parts: [Columns], scales: [Float], zeroPoints: [Int32], activation: ActivationQuantization,
    inputFactors: [Float]? = nil, threads: Int
  ) {
    let n = parts.reduce(0) { $0 + $1.count }
    precondition(k <= Self.largestK && scales.count == n && zeroPoints.count == n && inputFactors?.count ?? k == k)
    self.inputFactors = inputFactors
    self.k = k
    self.n = n
    self.activation = activation
    let paddedK = Self.padded(k)
    self.paddedK = paddedK
    let width = Self.panelWidth
    let panelBytes = (n + width - 1) / width * width * paddedK
    var columnSums = [Int32](repeating: 0, count: n)
    panels = columnSums.withUnsafeMutableBufferPointer { sums in
      AlignedBuffer(count: panelBytes) { destination in
        parts.forEachPanel(width: width, threads: threads) { panel, part, columns, place in
          let target = UnsafeMutableRawPointer(destination) + (panel * width * paddedK + place * 4)
          guard let sums = sums.baseAddress else { return }
          part.copy(columns, k: k, paddedK: paddedK, to: target, stride: width * 4, sums: sums + panel * width + place)
        } end: { panel, used in
          for group in 0..<paddedK / 4 where used < width {
            (destination + ((panel * paddedK / 4 + group) * width + used) * 4).update(repeating: 0, count: (width - used) * 4)
          }
        }
      }
    }
    sums = AlignedBuffer(count: n) { $0.update(from: columnSums, count: n) }
    self.scales = AlignedBuffer(count: n) { $0.update(from: scales, count: n) }
    self.zeroPoints =
      zeroPoints.allSatisfy { $0 == 0 } ? nil : AlignedBuffer(count: n) { $0.update(from: zeroPoints, count: n) }
  }

  private static func padded(_ k: Int) -> Int { sq_padded(k, Int(SQ_S8_DEPTH)) }

  /// The bytes from one quantised row to the next.
  private static func rowStride(_ k: Int) -> Int { AlignedMemory.rowStride(byteCount: padded(k)) }

  /// How many floats' room the quantised rows of an input take.
  public static func quantizedFloatCount(rows: Int, k: Int) -> Int {
    2 * rows + rows * rowStride(k) / MemoryLayout<Float>.size
  }

  /// result `[rows, n]` = epilogue(input `[rows, k]` · matrix + bias), on at most `threads` threads; `room` holds
  /// `quantizedFloatCount` floats.
  ///
  /// - Parameter stride, resultStride: floats from row to row, of the input and of the result; without them rows lie end to end.
  public func multiply(
    rows: Int, _ input: UnsafePointer<Float>, stride: Int? = nil, bias: UnsafePointer<Float>, epilogue: KernelSet.Epilogue,
    result: UnsafeMutablePointer<Float>, resultStride: Int? = nil, room: UnsafeMutablePointer<Float>, kernels: KernelSet, threads: Int
  ) {
    let (stride, resultStride) = (stride ?? k, resultStride ?? n)
    let threads = ThreadPool.worthwhile(threads, products: rows * k * n / 4)
    let quantized = QuantizedRows(rows: rows, stride: Self.rowStride(k), in: room)
    let share = (rows + threads - 1) / threads
    if threads == 1 || share >= leastRows {
      // A thread multiplies the rows that it has quantised: they are in its caches. As many tasks as threads, or a multiple.
      let most = threads == 1 ? 384 : 192
      let block = Self.blockRows(rows, blocks: threads * ((share + most - 1) / most))
      let blocks = (rows + block - 1) / block
      ThreadPool.shared.run(tasks: blocks, threads: threads) { task in
        let part = task * block..<min(rows, (task + 1) * block)
        quantize(part, of: input, stride: stride, to: quantized, kernels: kernels)
        kernels.multiply(
          rows: part, a: quantized, b: self, columns: 0..<n, next: task + threads < blocks ? 0 : nil, bias: bias, epilogue: epilogue,
          c: result, ldc: resultStride)
      }
      return
    }
    // Some thousands of elements take a microsecond.
    let quantizedAtOnce = max(1, 16_384 / k)
    ThreadPool.shared.run(tasks: (rows + quantizedAtOnce - 1) / quantizedAtOnce, threads: threads) { task in
      let part = task * quantizedAtOnce..<min(rows, (task + 1) * quantizedAtOnce)
      quantize(part, of: input, stride: stride, to: quantized, kernels: kernels)
    }
    // Blocks of rows whose bytes stay in the second-level cache beside a panel, and of columns enough for all threads.
    let most = max(96, 393_216 / paddedK)
    let rowBlock = Self.blockRows(rows, blocks: (rows + most - 1) / most)
    let columnBlock = Self.panelWidth * 2
    let (rowBlocks, columnBlocks) = ((rows + rowBlock - 1) / rowBlock, (n + columnBlock - 1) / columnBlock)
    ThreadPool.shared.run(tasks: rowBlocks * columnBlocks, threads: threads) { task in
      let (row, column) = (task / columnBlocks * rowBlock, task % columnBlocks * columnBlock)
      // Threads that keep pace take every so manieth task.
      let next = task + threads < rowBlocks * columnBlocks ? (task + threads) % columnBlocks * columnBlock : nil
      kernels.multiply(
        rows: row..<min(row + rowBlock, rows), a: quantized, b: self, columns: column..<min(column + columnBlock, n), next: next,
        bias: bias, epilogue: epilogue, c: result, ldc: resultStride)
    }
  }

  /// With fewer rows a thread, columns are shared out: all threads together read the weights once then, not each. That matters less where the
  /// weights stay in a second-level cache.
  public var leastRows: Int { panels.count <= 1 << 20 ? 64 : 128 }

  /// The rows of a block, all blocks but the last of one size, in whole tiles of 4 and of 6 rows.
  private static func blockRows(_ rows: Int, blocks: Int) -> Int {
    max(1, ((rows + blocks - 1) / blocks + 11) / 12 * 12)
  }
}

extension PackedInt8Matrix {
  /// Quantises rows of `input`, times the factors where there are any.
  private func quantize(
    _ rows: Range<Int>, of input: UnsafePointer<Float>, stride: Int, to target: QuantizedRows, kernels: KernelSet
  ) {
    func quantize(_ values: UnsafePointer<Float>, _ rows: Range<Int>) {
      kernels.quantize(
        values, stride: stride, rows: rows.count, count: k, paddedCount: paddedK, as: activation, to: target, from: rows.lowerBound)
    }
    guard let inputFactors else { return quantize(input + rows.lowerBound * stride, rows) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: k) { product in
      guard let base = product.baseAddress else { return }
      inputFactors.withUnsafeBufferPointer { factors in
        for row in rows {
          let values = input + row * stride
          for i in 0..<k { product[i] = values[i] * factors[i] }
          quantize(base, row..<row + 1)
        }
      }
    }
  }
}

// For those who look: copies, in an order that a reader expects.
extension PackedInt8Matrix {
  /// The integers of some columns, `[columns, k]`, as signed bytes.
  public func integers(of columns: Range<Int>) -> [Int8] {
    precondition(columns.lowerBound >= 0 && columns.upperBound <= n)
    let width = Self.panelWidth
    return [Int8](unsafeUninitializedCapacity: columns.count * k) { result, count in
      for column in columns {
        let (panel, place) = column.quotientAndRemainder(dividingBy: width)
        let (source, first) = (panels.pointer + (panel * width * paddedK + place * 4), (column - columns.lowerBound) * k)
        for row in 0..<k { result[first + row] = source[row / 4 * 4 * width + row % 4] }
      }
      count = columns.count * k
    }
  }

  /// The scales of some columns.
  public func scales(of columns: Range<Int>) -> [Float] { columns.map { scales.pointer[$0] } }

  /// Whether weights have zero points.
  public var hasZeroPoints: Bool { zeroPoints != nil }

  /// The zero points of some columns; `nil` where the matrix has none.
  public func zeroPoints(of columns: Range<Int>) -> [Int32]? { zeroPoints.map { points in columns.map { points.pointer[$0] } } }

  /// Rows of an input `[rows, k]` as `multiply` quantises them: the bytes that the kernel reads, `[rows, k]`, and the scale of each row.
  public func quantized(_ input: [Float], kernels: KernelSet) -> (bytes: [UInt8], scales: [Float]) {
    let rows = input.count / k
    let size = Self.quantizedFloatCount(rows: rows, k: k) * MemoryLayout<Float>.stride
    return withUnsafeTemporaryAllocation(byteCount: size, alignment: 64) { room in
      guard let base = room.bindMemory(to: Float.self).baseAddress else { return ([], []) }
      let quantized = QuantizedRows(rows: rows, stride: Self.rowStride(k), in: base)
      input.withUnsafeBufferPointer { input in
        if let input = input.baseAddress { quantize(0..<rows, of: input, stride: k, to: quantized, kernels: kernels) }
      }
      let bytes = (0..<rows).flatMap { row in (0..<k).map { quantized.bytes[row * quantized.stride + $0] } }
      return (bytes, Array(UnsafeBufferPointer(start: quantized.scales, count: rows)))
    }
  }
}

/// Rows of activations as unsigned bytes, each with its scale and the sum of its integers.
struct QuantizedRows {
  let scales: UnsafeMutablePointer<Float>
  let sums: UnsafeMutablePointer<Int32>
  let bytes: UnsafeMutablePointer<UInt8>
  /// Bytes from one row to the next.
  let stride: Int

  /// Lays the parts out in `room`.
  init(rows: Int, stride: Int, in room: UnsafeMutablePointer<Float>) {
    let raw = UnsafeMutableRawPointer(room)
    self.stride = stride
    scales = room
    sums = (raw + rows * MemoryLayout<Float>.stride).bindMemory(to: Int32.self, capacity: rows)
    bytes = (raw + 2 * rows * MemoryLayout<Float>.stride).assumingMemoryBound(to: UInt8.self)
  }
}
