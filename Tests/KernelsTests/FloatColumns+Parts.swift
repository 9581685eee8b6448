@testable import Kernels

/// A row-major `[k, n]` matrix as two matrices that stand side by side.
func parts(of matrix: [Float], k: Int, n: Int) -> [FloatColumns] {
  let split = n / 3
  return [0..<split, split..<n].map { range in
    let columns = AlignedBuffer<Float>(count: k * range.count) { destination in
      for row in 0..<k {
        for (place, column) in range.enumerated() { destination[row * range.count + place] = matrix[row * n + column] }
      }
    }
    return FloatColumns(columns, k: k, count: range.count)
  }
}
