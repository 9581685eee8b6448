import Kernels

/// Who computes: matrix products and loops over rows, shared among threads.
///
/// How work is divided depends on its size alone, and every element is computed by one task in one order: the bits of a result
/// do not depend on the number of threads.
struct Computer {
  let kernels: KernelSet
  let threads: Int

  // MARK: Products

  /// c = a · b, or c += a · b. c is not transposed.
  func multiply(_ a: Matrix, _ b: Matrix, into c: Matrix, adding: Bool = false) {
    precondition(a.columns == b.rows && c.rows == a.rows && c.columns == b.columns && !c.isTransposed)
    let (rowBlock, columnBlock) = Self.blocks(rows: c.rows, columns: c.columns, depth: a.columns)
    let (rowBlocks, columnBlocks) = ((c.rows + rowBlock - 1) / rowBlock, (c.columns + columnBlock - 1) / columnBlock)
    ThreadPool.shared.run(tasks: rowBlocks * columnBlocks, threads: threads) { task in
      let row = task / columnBlocks * rowBlock
      let column = task % columnBlocks * columnBlock
      let rows = row..<min(row + rowBlock, c.rows)
      let columns = column..<min(column + columnBlock, c.columns)
      Self.multiplyHere(a.rows(rows), b.columns(columns), into: c.block(rows: rows, columns: columns), adding: adding)
    }
  }

  /// The same on the caller's thread, undivided.
  static func multiplyHere(_ a: Matrix, _ b: Matrix, into c: Matrix, adding: Bool = false) {
    OpenBLAS.multiply(
      m: c.rows, n: c.columns, k: a.columns, a: a.start, lda: a.stride, transposeA: a.isTransposed, b: b.start,
      ldb: b.stride, transposeB: b.isTransposed, adding: adding, c: c.start, ldc: c.stride)
  }

  /// The size of the blocks of a product's result. Each task packs its parts of a and b anew, which only a large block repays.
  private static func blocks(rows: Int, columns: Int, depth: Int) -> (rows: Int, columns: Int) {
    let products = rows * columns * max(1, depth)
    let tasks = min(16, products / worthATask / 2 * 2)
    guard tasks > 1 else { return (max(1, rows), max(1, columns)) }
    // Multiples of 48 and 16 fit the tiles of OpenBLAS's kernels.
    func share(_ count: Int) -> Int { ((count + tasks - 1) / tasks + 47) / 48 * 48 }
    return rows >= columns ? (share(rows), columns) : (rows, share(columns))
  }

  /// Half a millisecond's worth.
  private static let worthATask = 32_000_000

  // MARK: Rows

  /// Calls `body` with every row below `rows`; `cost` is about how many elements a row has.
  func forEachRow(_ rows: Int, cost: Int, _ body: (Int) -> Void) {
    let block = max(1, 16_384 / max(1, cost))
    ThreadPool.shared.run(tasks: (rows + block - 1) / block, threads: threads) { task in
      for row in task * block..<min(rows, (task + 1) * block) { body(row) }
    }
  }

  /// y += x
  func add(_ x: Matrix, to y: Matrix) {
    forEachRow(y.rows, cost: y.columns) { row in
      let (source, sum) = (x[row], y[row])
      for i in 0..<y.columns { sum[i] += source[i] }
    }
  }

  /// sums[column] += Σ over rows of x, in the order of the rows.
  func addColumnSums(of x: Matrix, to sums: UnsafeMutablePointer<Float>) {
    let width = 64
    ThreadPool.shared.run(tasks: (x.columns + width - 1) / width, threads: threads) { task in
      let first = task * width
      let count = min(width, x.columns - first)
      for row in 0..<x.rows {
        let values = x[row] + first
        for i in 0..<count { sums[first + i] += values[i] }
      }
    }
  }
}
