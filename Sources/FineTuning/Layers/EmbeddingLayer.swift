/// x = word[id] + position[p]
struct EmbeddingLayer {
  let table: ParameterTable
  let computer: Computer

  private var width: Int { table.configuration.hidden }

  func forward(_ batch: TrainingBatch, into x: Matrix, parameters: Parameters) {
    let (words, positions) = (parameters.pointer(table.words), parameters.pointer(table.positions))
    computer.forEachRow(x.rows, cost: width) { row in
      let word = words + Int(batch.tokens.tokenIDs[row]) * width
      let position = positions + Int(batch.tokens.positions[row]) * width
      let sum = x[row]
      for i in 0..<width { sum[i] = word[i] + position[i] }
    }
  }

  /// From dx: dword[id] += dx, dposition[p] += dx, row by row.
  func backward(_ dx: Matrix, batch: TrainingBatch, gradients: Gradients) {
    if let positions = gradients.pointer(table.positions) {
      for row in 0..<dx.rows {
        let (d, target) = (dx[row], positions + Int(batch.tokens.positions[row]) * width)
        for i in 0..<width { target[i] += d[i] }
      }
    }
    if gradients.trainsWords {
      for row in 0..<dx.rows { gradients.words.add(dx[row], to: batch.tokens.tokenIDs[row]) }
    }
  }
}
