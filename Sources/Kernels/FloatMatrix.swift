import CKernels

/// Who multiplies float32 matrices.
public enum FloatGEMM: String, Sendable, CaseIterable {
  /// The system's OpenBLAS: packs the weights anew at every call.
  case openBLAS = "openblas"
  /// Our own kernel over weights packed once: the same bits in every kernel set, batch and number of threads.
  case packed
}

/// A float32 matrix `[k, n]` prepared to be multiplied from the left, and the division of that work among threads.
public struct FloatMatrix: Sendable {
  public let k: Int
  public let n: Int
  private let storage: Storage

  private enum Storage: Sendable {
    case plain(AlignedBuffer<Float>)
    case packed(PackedFloatMatrix)
  }

  /// Prepares a `[k, n]` matrix of parts that stand side by side, on at most `threads` threads.
  public init(k: Int, parts: [FloatColumns], gemm: FloatGEMM, threads: Int) {
    self.k = k
    let n = parts.reduce(0) { $0 + $1.count }
    self.n = n
    storage =
      switch gemm {
      case .openBLAS:
        .plain(
          AlignedBuffer(count: k * n) { destination in
            var first = 0
            for part in parts {
              part.copy(0..<part.count, to: destination + first, stride: n)
              first += part.count
            }
          })
      case .packed: .packed(PackedFloatMatrix(k: k, parts: parts, threads: threads))
      }
  }

  /// The memory that the matrix takes.
  public var byteCount: Int {
    let elements =
      switch storage {
      case .plain(let matrix): matrix.count
      case .packed(let matrix): matrix.panels.count
      }
    return elements * MemoryLayout<Float>.size
  }

  /// With as many rows, a thread computes about as fast by itself as with others.
  public static let leastRows = 96

  /// result `[rows, n]` = epilogue(input `[rows, k]` · matrix), on at most `threads` threads.
  ///
  /// - Parameter stride, resultStride: floats from row to row, of the input and of the result; without them rows lie end to end.
  public func multiply(
    rows: Int, _ input: UnsafePointer<Float>, stride: Int? = nil, bias: UnsafePointer<Float>, epilogue: KernelSet.Epilogue,
    result: UnsafeMutablePointer<Float>, resultStride: Int? = nil, kernels: KernelSet, threads: Int
  ) {
    let (stride, resultStride) = (stride ?? k, resultStride ?? n)
    switch storage {
    case .packed(let matrix):
      // Blocks of rows that stay in the second-level cache beside a panel, and of columns enough for all threads.
      let rowBlock = min(rows, max(48, 147_456 / sq_f32_depths(k) / 48 * 48))
      let columnBlock = PackedFloatMatrix.panelWidth * 6
      let (rowBlocks, columnBlocks) = ((rows + rowBlock - 1) / rowBlock, (n + columnBlock - 1) / columnBlock)
      let threads = ThreadPool.worthwhile(threads, products: rows * k * n)
      ThreadPool.shared.run(tasks: rowBlocks * columnBlocks, threads: threads) { task in
        let (row, column) = (task / columnBlocks * rowBlock, task % columnBlocks * columnBlock)
        // Threads that keep pace take every so manieth task.
        let next = task + threads < rowBlocks * columnBlocks ? (task + threads) % columnBlocks * columnBlock : nil
        kernels.multiply(
          m: min(rowBlock, rows - row), a: input + row * stride, lda: stride, b: matrix,
          columns: column..<min(column + columnBlock, n), next: next, bias: bias, epilogue: epilogue,
          c: result + row * resultStride, ldc: resultStride)
      }

    case .plain(let matrix):
      // Columns are shared out, so that no thread packs what another packs. A multiple of 16: no cache line of the result is shared.
      let threads = ThreadPool.worthwhile(threads, products: rows * k * n)
      let share = (n / threads + 15) / 16 * 16
      ThreadPool.shared.run(tasks: (n + share - 1) / share, threads: threads) { task in
        let column = task * share
        OpenBLAS.multiply(
          m: rows, n: min(share, n - column), k: k, a: input, lda: stride, b: matrix.pointer + column, ldb: n,
          c: result + column, ldc: resultStride)
      }
      if epilogue != .none {
        ThreadPool.shared.run(tasks: rows, threads: threads) { row in
          kernels.finish(result + row * resultStride, bias: bias, count: n, epilogue: epilogue)
        }
      }
    }
  }
}
