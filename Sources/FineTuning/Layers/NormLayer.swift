/// LayerNorm of each row (Ba et al. 2016): x̂ = (x − mean) / √(variance + ε), y = x̂ · γ + β.
///
/// The backward pass needs x̂ and 1 / √(variance + ε); y is made anew from x̂ where it is needed again.
struct NormLayer {
  let place: ParameterTable.Norm
  let computer: Computer

  /// Normalises the rows of `x` in place, which become x̂, and writes `factors` `[rows]`: 1 / √(variance + ε).
  func normalize(_ x: Matrix, factors: UnsafeMutablePointer<Float>, parameters: Parameters) {
    let width = x.columns
    let epsilon = parameters.epsilon
    computer.forEachRow(x.rows, cost: width) { row in
      let values = x[row]
      let mean = sum(count: width, lanes: { values.lanes($0) }, one: { values[$0] }) / Float(width)
      let squares = sum(
        count: width, lanes: { let d = values.lanes($0) - mean; return d * d }, one: { let d = values[$0] - mean; return d * d })
      let factor = 1 / (squares / Float(width) + epsilon).squareRoot()
      for i in 0..<width { values[i] = (values[i] - mean) * factor }
      factors[row] = factor
    }
  }

  /// y = x̂ · γ + β
  func scale(_ normalized: Matrix, into y: Matrix, parameters: Parameters) {
    let (scale, shift) = (parameters.pointer(place.scale), parameters.pointer(place.shift))
    computer.forEachRow(y.rows, cost: y.columns) { row in
      let (x, y) = (normalized[row], y[row])
      for i in 0..<place.count { y[i] = x[i] * scale[i] + shift[i] }
    }
  }

  /// From dy = ∂loss/∂y, in place:
  ///
  ///     dγ += Σ over rows of dy · x̂
  ///     dβ += Σ over rows of dy
  ///     dx̂  = dy · γ
  ///     dx  = (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)) / √(variance + ε)
  func backward(
    _ dy: Matrix, normalized: Matrix, factors: UnsafePointer<Float>, parameters: Parameters, gradients: Gradients
  ) {
    let width = dy.columns
    if let dShift = gradients.pointer(place.shift) { computer.addColumnSums(of: dy, to: dShift) }
    if let dScale = gradients.pointer(place.scale) { addColumnSums(of: dy, times: normalized, to: dScale) }
    let scale = parameters.pointer(place.scale)
    computer.forEachRow(dy.rows, cost: width) { row in
      let (d, x) = (dy[row], normalized[row])
      for i in 0..<width { d[i] *= scale[i] }
      let mean = sum(count: width, lanes: { d.lanes($0) }, one: { d[$0] }) / Float(width)
      let share = sum(count: width, lanes: { d.lanes($0) * x.lanes($0) }, one: { d[$0] * x[$0] }) / Float(width)
      let factor = factors[row]
      for i in 0..<width { d[i] = (d[i] - mean - x[i] * share) * factor }
    }
  }

  private func addColumnSums(of a: Matrix, times b: Matrix, to sums: UnsafeMutablePointer<Float>) {
    let width = 64
    computer.forEachRow((a.columns + width - 1) / width, cost: a.rows * width) { task in
      let first = task * width
      let count = min(width, a.columns - first)
      for row in 0..<a.rows {
        let (a, b) = (a[row] + first, b[row] + first)
        for i in 0..<count { sums[first + i] += a[i] * b[i] }
      }
    }
  }
}
