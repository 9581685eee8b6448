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

  /// The size of the blocks of a product's result.
  ///
  /// Each task packs its parts of a and b anew, which only a large block repays; of the ways to cut, the one with the least to pack.
  private static func blocks(rows: Int, columns: Int, depth: Int) -> (rows: Int, columns: Int) {
    let tasks = min(16, rows * columns * depth / worthATask / 2 * 2)
    guard tasks > 1 else { return (max(1, rows), max(1, columns)) }
    let cuts = (1...tasks).filter { tasks % $0 == 0 }
    let rowCuts = cuts.min { columns * $0 + rows * (tasks / $0) < columns * $1 + rows * (tasks / $1) } ?? 1
    // Multiples of 48 fit the tiles of OpenBLAS's kernels.
    func share(_ count: Int, _ parts: Int) -> Int { parts == 1 ? count : ((count + parts - 1) / parts + 47) / 48 * 48 }
    return (share(rows, rowCuts), share(columns, tasks / rowCuts))
  }

  /// About a millisecond's.
  private static let worthATask = 128_000_000

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
    let width = 128
    ThreadPool.shared.run(tasks: (x.columns + width - 1) / width, threads: threads) { task in
      let first = task * width
      let count = min(width, x.columns - first)
      let sums = sums + first
      var row = 0
      // Four rows at a time: the sums are loaded and stored a quarter as often.
      while row + 4 <= x.rows {
        let (a, b, c, d) = (x[row] + first, x[row + 1] + first, x[row + 2] + first, x[row + 3] + first)
        for i in 0..<count { sums[i] = sums[i] + a[i] + b[i] + c[i] + d[i] }
        row += 4
      }
      while row < x.rows {
        let values = x[row] + first
        for i in 0..<count { sums[i] += values[i] }
        row += 1
      }
    }
  }
}
