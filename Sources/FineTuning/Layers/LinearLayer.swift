/// A linear layer over all rows: y = x · Wᵀ + b, with W `[outputs, inputs]`.
struct LinearLayer {
  let place: ParameterTable.Linear
  let computer: Computer

  /// y = x · Wᵀ + b
  func forward(_ x: Matrix, into y: Matrix, parameters: Parameters) {
    computer.multiply(x, parameters.weight(place).transposed, into: y)
    let bias = parameters.pointer(place.bias)
    computer.forEachRow(y.rows, cost: y.columns) { row in
      let values = y[row]
      for i in 0..<y.columns { values[i] += bias[i] }
    }
  }

  /// From dy = ∂loss/∂y:
  ///
  ///     dW += dyᵀ · x
  ///     db += Σ over rows of dy
  ///     dx  = dy · W        (or dx += dy · W, where another path leads to x)
  ///
  /// `dx` is left out where nothing below is trained.
  func backward(
    _ dy: Matrix, x: Matrix, into dx: Matrix?, adding: Bool = false, parameters: Parameters, gradients: Gradients
  ) {
    if let weight = gradients.pointer(place.weight) {
      let dW = Matrix(weight, rows: place.outputs, columns: place.inputs)
      computer.multiply(dy.transposed, x, into: dW, adding: true)
    }
    if let bias = gradients.pointer(place.bias) { computer.addColumnSums(of: dy, to: bias) }
    if let dx { computer.multiply(dy, parameters.weight(place), into: dx, adding: adding) }
  }
}
