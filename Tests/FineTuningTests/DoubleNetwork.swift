import Foundation

@testable import FineTuning

/// The loss of a batch in double precision, written from the formulas, for differences.
struct DoubleNetwork {
  typealias Rows = [[Double]]

  let table: ParameterTable
  /// All parameters, at their places.
  var values: [Double]
  var loss = SpanLoss()
  /// Dropout as the network has it; its masks are taken from there.
  var dropout: DropoutPlan?

  init(_ parameters: Parameters) {
    table = parameters.table
    values = parameters.values.floats.map(Double.init)
  }

  func loss(_ batch: TrainingBatch) -> Double {
    let z = logits(batch)
    var total = 0.0
    for column in 0..<2 {
      var (sum, count) = (0.0, 0)
      var distilled = 0.0
      for window in 0..<batch.windowCount {
        let rows = batch.tokens.rows(ofSequence: window)
        let target = column == 0 ? batch.targets[window].start : batch.targets[window].end
        let student = rows.map { z[$0][column] }
        if target < rows.count {
          let smoothing = Double(loss.labelSmoothing)
          let logs = logSoftmax(student)
          sum -= (1 - smoothing) * logs[max(0, target)] + smoothing * logs.reduce(0, +) / Double(logs.count)
          count += 1
        }
        if let distillation = loss.distillation, !batch.teacherLogits.isEmpty {
          let t = Double(distillation.temperature)
          let teacher = logSoftmax(rows.map { Double(batch.teacherLogits[$0 * 2 + column]) / t })
          distilled += zip(teacher, logSoftmax(student.map { $0 / t })).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) } * t * t
        }
      }
      let hard = count > 0 ? sum / Double(count) : 0
      if let distillation = loss.distillation, !batch.teacherLogits.isEmpty {
        let weight = Double(distillation.weight)
        total += (1 - weight) * hard + weight * distilled / Double(batch.windowCount)
      } else {
        total += hard
      }
    }
    return total / 2
  }

  func logits(_ batch: TrainingBatch) -> Rows {
    let hidden = table.configuration.hidden
    var x: Rows = batch.tokens.tokenIDs.indices.map { row in
      let (word, position) = (Int(batch.tokens.tokenIDs[row]), Int(batch.tokens.positions[row]))
      return (0..<hidden).map { values[table.words + word * hidden + $0] + values[table.positions + position * hidden + $0] }
    }
    x = x.map { normalize($0, table.embeddingNorm) }
    drop(&x, dropout?.embeddings, batch)
    for (index, layer) in table.layers.enumerated() {
      let attended = apply(layer.attentionOutput, attention(apply(layer.attentionInput, x), index, batch))
      x = zip(x, attended).map { normalize(zip($0, $1).map(+), layer.attentionNorm) }
      let middle = apply(layer.expand, x).map { $0.map { $0 / 2 * (1 + erf($0 / 2.0.squareRoot())) } }
      var contracted = apply(layer.contract, middle)
      drop(&contracted, dropout?.feedForward(layer: index), batch)
      x = zip(x, contracted).map { normalize(zip($0, $1).map(+), layer.outputNorm) }
    }
    drop(&x, dropout?.head, batch)
    return apply(table.head, x)
  }

  private func attention(_ qkv: Rows, _ layer: Int, _ batch: TrainingBatch) -> Rows {
    let c = table.configuration
    var context = Rows(repeating: [Double](repeating: 0, count: c.hidden), count: qkv.count)
    for window in 0..<batch.windowCount {
      let rows = batch.tokens.rows(ofSequence: window)
      for head in 0..<c.heads {
        let columns = head * c.headSize..<(head + 1) * c.headSize
        var mask = [Float](repeating: 1, count: rows.count * rows.count)
        mask.withUnsafeMutableBufferPointer { mask in
          guard let start = mask.baseAddress else { return }
          dropout?.attention(layer: layer)?.apply(
            start, count: mask.count, sequence: batch.numbers[window], first: head * mask.count)
        }
        for query in rows {
          let scores = rows.map { key in
            columns.reduce(0.0) { $0 + qkv[query][$1] * qkv[key][c.hidden + $1] } / Double(c.headSize).squareRoot()
          }
          let weights = logSoftmax(scores).map { exp($0) }
          for column in columns {
            context[query][column] = rows.enumerated().reduce(0.0) { sum, key in
              let kept = Double(mask[(query - rows.lowerBound) * rows.count + key.offset])
              return sum + weights[key.offset] * kept * qkv[key.element][2 * c.hidden + column]
            }
          }
        }
      }
    }
    return context
  }

  private func drop(_ x: inout Rows, _ dropout: Dropout?, _ batch: TrainingBatch) {
    guard let dropout else { return }
    for row in x.indices {
      let sequence = batch.sequence(ofRow: row)
      var mask = [Float](repeating: 1, count: x[row].count)
      mask.withUnsafeMutableBufferPointer { mask in
        guard let start = mask.baseAddress else { return }
        dropout.apply(
          start, count: mask.count, sequence: batch.numbers[sequence],
          first: (row - batch.tokens.sequenceStarts[sequence]) * mask.count)
      }
      for i in mask.indices { x[row][i] *= Double(mask[i]) }
    }
  }

  private func normalize(_ x: [Double], _ place: ParameterTable.Norm) -> [Double] {
    let mean = x.reduce(0, +) / Double(x.count)
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
    return x.indices.map {
      (x[$0] - mean) / (variance + 1e-12).squareRoot() * values[place.scale + $0] + values[place.shift + $0]
    }
  }

  private func apply(_ place: ParameterTable.Linear, _ x: Rows) -> Rows {
    x.map { row in
      (0..<place.outputs).map { output in
        row.indices.reduce(values[place.bias + output]) { $0 + row[$1] * values[place.weight + output * place.inputs + $1] }
      }
    }
  }

  private func logSoftmax(_ z: [Double]) -> [Double] {
    let largest = z.max() ?? 0
    let total = log(z.reduce(0) { $0 + exp($1 - largest) })
    return z.map { $0 - largest - total }
  }
}
