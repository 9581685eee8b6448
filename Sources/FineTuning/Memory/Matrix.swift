/// A view of a row-major matrix in memory that somebody else owns, or of its transpose.
struct Matrix {
  let start: UnsafeMutablePointer<Float>
  let rows: Int
  let columns: Int
  /// Floats from one stored row to the next.
  let stride: Int
  /// Whether the stored rows are this matrix's columns.
  let isTransposed: Bool

  init(
    _ start: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int? = nil, isTransposed: Bool = false
  ) {
    self.start = start
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
    self.isTransposed = isTransposed
  }

  /// The same memory read the other way.
  var transposed: Matrix {
    Matrix(start, rows: columns, columns: rows, stride: stride, isTransposed: !isTransposed)
  }

  /// A row of a matrix that is not transposed.
  subscript(row: Int) -> UnsafeMutablePointer<Float> { start + row * stride }

  /// Some rows and columns of the matrix.
  func block(rows: Range<Int>, columns: Range<Int>) -> Matrix {
    let (storedRow, storedColumn) =
      isTransposed ? (columns.lowerBound, rows.lowerBound) : (rows.lowerBound, columns.lowerBound)
    return Matrix(
      start + storedRow * stride + storedColumn, rows: rows.count, columns: columns.count, stride: stride,
      isTransposed: isTransposed)
  }

  func rows(_ range: Range<Int>) -> Matrix { block(rows: range, columns: 0..<columns) }
  func columns(_ range: Range<Int>) -> Matrix { block(rows: 0..<rows, columns: range) }
}
