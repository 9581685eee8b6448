@testable import Encoder
import SeededRandom

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A small random model, and its forward pass in double precision, written from the formula.
struct TinyModel {
  struct Shape: Sendable, CustomStringConvertible {
    var layers, hidden, heads, feedForward: Int
    var activation = DistilBERT.Activation.gelu
    var tokenTypes = 0
    var vocabulary: Int { 10 }
    var positions = 24
    var description: String { "\(layers)×\(hidden), \(heads) heads, \(feedForward)" }
  }

  let model: DistilBERT

  init(_ shape: Shape, seed: UInt64) {
    var random = SplitMix64(seed: seed)
    func linear(_ name: String, _ inputs: Int, _ outputs: Int) -> DistilBERT.Linear {
      let spread = 1.5 / Float(inputs).squareRoot()
      return DistilBERT.Linear(
        name: name,
        weights: DistilBERT.Weights(
          values: Parameter(random.floats(inputs * outputs, in: -spread...spread), shape: [inputs, outputs]),
          layout: .inputsByOutputs),
        bias: random.floats(outputs, in: -0.5...0.5))
    }
    func norm() -> DistilBERT.LayerNorm {
      DistilBERT.LayerNorm(
        scale: random.floats(shape.hidden, in: 0.5...1.5), bias: random.floats(shape.hidden, in: -0.5...0.5), epsilon: 1e-12)
    }
    func table(_ rows: Int) -> DistilBERT.EmbeddingTable {
      DistilBERT.EmbeddingTable(
        values: Parameter(random.floats(rows * shape.hidden, in: -1...1), shape: [rows, shape.hidden]))
    }
    model = DistilBERT(
      configuration: DistilBERT.Configuration(
        layers: shape.layers, hidden: shape.hidden, heads: shape.heads, feedForward: shape.feedForward,
        vocabulary: shape.vocabulary, positions: shape.positions, tokenTypes: shape.tokenTypes,
        activation: shape.activation),
      embeddings: DistilBERT.Embeddings(
        words: table(shape.vocabulary), positions: table(shape.positions),
        tokenTypes: shape.tokenTypes > 0 ? table(shape.tokenTypes) : nil, norm: norm()),
      layers: (0..<shape.layers).map { index in
        DistilBERT.Layer(
          query: linear("\(index).query", shape.hidden, shape.hidden), key: linear("\(index).key", shape.hidden, shape.hidden),
          value: linear("\(index).value", shape.hidden, shape.hidden),
          attentionOutput: linear("\(index).output", shape.hidden, shape.hidden), attentionNorm: norm(),
          expand: linear("\(index).expand", shape.hidden, shape.feedForward),
          contract: linear("\(index).contract", shape.feedForward, shape.hidden), outputNorm: norm())
      },
      head: linear("head", shape.hidden, 2))
  }

  // MARK: The formula

  private typealias Rows = [[Double]]

  /// `[tokens · 2]`
  func forward(_ ids: [Int32]) -> [Double] {
    let (c, e) = (model.configuration, model.embeddings)
    let (words, positions, types) = (rows(e.words), rows(e.positions), e.tokenTypes.map(rows))
    var x: Rows = ids.enumerated().map { position, id in
      c.hiddenIndices.map { words[Int(id)][$0] + positions[position][$0] + (types?[0][$0] ?? 0) }
    }
    x = x.map { normalize($0, e.norm) }
    for layer in model.layers {
      let attended = apply(layer.attentionOutput, attention(x, layer))
      x = zip(x, attended).map { normalize(zip($0, $1).map(+), layer.attentionNorm) }
      let middle = apply(layer.expand, x).map { $0.map(activate) }
      let contracted = apply(layer.contract, middle)
      x = zip(x, contracted).map { normalize(zip($0, $1).map(+), layer.outputNorm) }
    }
    return (model.head.map { apply($0, x) } ?? x).flatMap { $0 }
  }

  private func attention(_ x: Rows, _ layer: DistilBERT.Layer) -> Rows {
    let (q, k, v) = (apply(layer.query, x), apply(layer.key, x), apply(layer.value, x))
    let (heads, size) = (model.configuration.heads, model.configuration.headSize)
    return x.indices.map { query in
      (0..<heads).flatMap { head -> [Double] in
        let columns = head * size..<(head + 1) * size
        let scores = x.indices.map { key in
          columns.reduce(0.0) { $0 + q[query][$1] * k[key][$1] } / Double(size).squareRoot()
        }
        let weights = scores.map { exp($0 - (scores.max() ?? 0)) }
        let total = weights.reduce(0, +)
        return columns.map { column in x.indices.reduce(0.0) { $0 + weights[$1] * v[$1][column] } / total }
      }
    }
  }

  private func activate(_ x: Double) -> Double {
    switch model.configuration.activation {
    case .gelu: x / 2 * (1 + erf(x / 2.0.squareRoot()))
    case .geluTanh: x / 2 * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    }
  }

  private func normalize(_ x: [Double], _ norm: DistilBERT.LayerNorm) -> [Double] {
    let mean = x.reduce(0, +) / Double(x.count)
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
    return x.indices.map {
      (x[$0] - mean) / (variance + Double(norm.epsilon)).squareRoot() * Double(norm.scale[$0]) + Double(norm.bias[$0])
    }
  }

  private func apply(_ layer: DistilBERT.Linear, _ x: Rows) -> Rows {
    let weights = layer.weights.values.floats().map(Double.init)
    let outputs = layer.weights.outputs
    return x.map { row in
      (0..<outputs).map { output in
        row.indices.reduce(Double(layer.bias[output])) { $0 + row[$1] * weights[$1 * outputs + output] }
      }
    }
  }

  private func rows(_ table: DistilBERT.EmbeddingTable) -> Rows {
    let (values, width) = (table.values.floats(), table.values.shape[1])
    return (0..<table.values.shape[0]).map { row in (0..<width).map { Double(values[row * width + $0]) } }
  }
}

extension DistilBERT.Configuration {
  fileprivate var hiddenIndices: Range<Int> { 0..<hidden }
}

extension DistilBERT.Weights {
  /// The same matrix, stored the other way.
  func transposed() -> DistilBERT.Weights {
    let (floats, rows, columns) = (values.floats(), values.shape[0], values.shape[1])
    let turned = (0..<columns).flatMap { column in (0..<rows).map { floats[$0 * columns + column] } }
    return DistilBERT.Weights(
      values: Parameter(turned, shape: [columns, rows]),
      layout: layout == .inputsByOutputs ? .outputsByInputs : .inputsByOutputs)
  }
}
