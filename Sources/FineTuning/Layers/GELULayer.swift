import Kernels

/// The activation, element by element (Hendrycks & Gimpel 2016): gelu(u) = u · Φ(u), with Φ the normal distribution function.
struct GELULayer {
  let computer: Computer

  /// y = u · Φ(u)
  func forward(_ u: Matrix, into y: Matrix, zeros: UnsafePointer<Float>) {
    computer.forEachRow(u.rows, cost: u.columns * 4) { row in
      y[row].update(from: u[row], count: u.columns)
      computer.kernels.finish(y[row], bias: zeros, count: u.columns, epilogue: .biasGELU)
    }
  }

  /// From dy = ∂loss/∂y, both in place:
  ///
  ///     dy becomes du = dy · (Φ(u) + u · φ(u)),  φ(u) = exp(−u² / 2) / √(2π)
  ///     u becomes  y  = u · Φ(u), which the layer above needs once more
  func backward(_ dy: Matrix, u: Matrix) {
    computer.forEachRow(u.rows, cost: u.columns * 8) { row in computer.kernels.geluGradient(dy[row], u[row], count: u.columns) }
  }
}
