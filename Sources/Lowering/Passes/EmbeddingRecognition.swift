import Encoder
import ONNX

/// Recognises the sum of word, position and token-type embeddings.
enum EmbeddingRecognition: Pass {
  static let name = "embeddings"
  static let summary = "the sum of looked-up word, position and token-type rows becomes one operation"

  static func run(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    let matcher = EmbeddingMatcher(Matcher(graph))
    for index in graph.nodes.indices {
      let node = graph.nodes[index]
      guard node.onnx("Add") != nil, let output = node.outputs.first else { continue }
      do throws(Mismatch) {
        guard let tables = try matcher.sum(output) else { continue }
        graph.nodes[index] = node.becoming(.embeddings(tables), inputs: [])
        counts[tables.tokenTypes == nil ? "words and positions" : "words, positions and token types", default: 0] += 1
      } catch {
        graph.remarks[output] = error.expected
      }
    }
  }
}

struct EmbeddingMatcher {
  let matcher: Matcher
  private let graph: WorkGraph

  init(_ matcher: Matcher) {
    self.matcher = matcher
    graph = matcher.graph
  }

  private enum Part {
    case words(DistilBERT.EmbeddingTable)
    case positions(DistilBERT.EmbeddingTable)
    case tokenTypes(DistilBERT.EmbeddingTable)
  }

  /// The tables whose rows are summed; nil if no words are among what is added.
  func sum(_ name: String) throws(Mismatch) -> EmbeddingTables? {
    var found = Found()
    guard let order = try parts(name, depth: 0, &found), let words = found.words, let positions = found.positions else {
      // Another sum, or a part of a longer one.
      return nil
    }
    let tokenTypes = found.tokenTypes
    let width = words.values.shape[1]
    guard positions.values.shape[1] == width, (tokenTypes?.values.shape[1] ?? width) == width,
      graph.fact(name).shape == [graph.batch, graph.sequence, Size(width)]
    else { throw Mismatch("embedding tables of the same width, summed to [batch, sequence, width]") }
    return EmbeddingTables(words: words, positions: positions, tokenTypes: tokenTypes, order: order)
  }

  private struct Found {
    var words, positions, tokenTypes: DistilBERT.EmbeddingTable?
  }

  /// The rows that are added, in their order; nil if something else is among them.
  private func parts(
    _ name: String, depth: Int, _ found: inout Found
  ) throws(Mismatch) -> DistilBERT.Roundings.EmbeddingSum? {
    var passed: [ValueQuantization] = []
    let source = matcher.unquantized(name, &passed)
    let sum: DistilBERT.Roundings.EmbeddingSum
    if let node = matcher.node(source, "Add"), node.inputs.count == 2 {
      guard depth <= 4, let left = try parts(node.inputs[0], depth: depth + 1, &found),
        let right = try parts(node.inputs[1], depth: depth + 1, &found)
      else { return nil }
      sum = .sum(left, right)
    } else {
      switch try part(source) {
      case .words(let table):
        guard found.words == nil else { throw Mismatch("one lookup of words") }
        (found.words, sum) = (table, .words)
      case .positions(let table):
        guard found.positions == nil else { throw Mismatch("one lookup of positions") }
        (found.positions, sum) = (table, .positions)
      case .tokenTypes(let table):
        guard found.tokenTypes == nil else { throw Mismatch("one lookup of token types") }
        (found.tokenTypes, sum) = (table, .tokenTypes)
      case nil: return nil
      }
    }
    return try matcher.roundings(passed).reduce(sum) { .rounded($0, $1) }
  }

  private func part(_ name: String) throws(Mismatch) -> Part? {
    let resolver = WeightResolver(matcher)
    // Rows looked up as integers, and dequantised afterwards.
    if let node = matcher.node(name, "DequantizeLinear"), let gather = matcher.node(node.input(0), "Gather"),
      let tableName = gather.input(0), let scale = node.input(1), let indices = gather.input(1),
      let table = try resolver.integerTable(tableName, scale: scale, zeroPoint: node.input(2))
    {
      guard let onnx = gather.onnx, (try? onnx.int("axis", default: 0)) == 0 else {
        throw Mismatch("rows looked up along axis 0")
      }
      return try lookup(table, indices)
    }
    if let (table, indices) = try scaledRows(name) { return try lookup(table, indices) }
    if let node = matcher.node(name, "Gather"), let onnx = node.onnx, let tableName = node.input(0),
      let indices = node.input(1), let table = try resolver.table(tableName)
    {
      guard (try? onnx.int("axis", default: 0)) == 0 else { throw Mismatch("rows looked up along axis 0") }
      return try lookup(table, indices)
    }
    // Rows 0 ..< sequence of the table.
    if let node = matcher.node(name, "Slice"), let onnx = node.onnx, let tableName = node.input(0),
      let table = try resolver.table(tableName)
    {
      return try firstRows(table, name, node, onnx)
    }
    guard let tensor = graph.constants[name], let shape = graph.fact(name).shape, shape.count >= 2, shape.count <= 3,
      shape.dropLast(2).allSatisfy({ $0 == Size(1) }), shape[shape.count - 2] == graph.sequence,
      let values = Parameter(tensor), let rows = shape[shape.count - 2].constant, let width = shape.last?.constant
    else { return nil }
    // Rows that were looked up when the file was made, for its one length.
    return .positions(
      DistilBERT.EmbeddingTable(
        values: Parameter(shape: [rows, width], elementType: values.elementType, bytes: values.bytes)))
  }

  /// Rows looked up as integers, times the scales of these rows, looked up likewise.
  private func scaledRows(
    _ name: String
  ) throws(Mismatch) -> (table: DistilBERT.EmbeddingTable, indices: String)? {
    guard let product = matcher.node(name, "Mul") else { return nil }
    for (rows, scales) in matcher.pairs(product) {
      guard let cast = matcher.node(rows, "Cast"), graph.fact(rows).type == .float,
        let gather = matcher.node(cast.input(0), "Gather"), let scaleGather = matcher.node(scales, "Gather"),
        let tensor = gather.input(0).flatMap({ graph.constants[$0] }), tensor.shape.count == 2, tensor.elementType == .int8,
        let values = Parameter(tensor), let indices = gather.input(1),
        let scaleTensor = scaleGather.input(0).flatMap({ graph.constants[$0] }), scaleTensor.elementType == .float
      else { continue }
      guard indices == scaleGather.input(1), scaleTensor.shape == [tensor.shape[0], 1],
        let scales = try? scaleTensor.floats(), scales.allSatisfy({ $0.isFinite && $0 > 0 }),
        [gather, scaleGather].allSatisfy({ (try? $0.onnx?.int("axis", default: 0)) == 0 })
      else { throw Mismatch("rows and their scales looked up along axis 0 by the same indices") }
      let quantization = DistilBERT.Quantization(scales: scales, zeroPoints: [Int32](repeating: 0, count: scales.count))
      return (DistilBERT.EmbeddingTable(values: values, quantization: quantization), indices)
    }
    return nil
  }

  private func lookup(_ table: DistilBERT.EmbeddingTable, _ indices: String) throws(Mismatch) -> Part {
    let source = integers(indices)
    if source == graph.inputs.inputIDs { return .words(table) }
    if source == graph.inputs.tokenTypes { return .tokenTypes(table) }
    let fact = graph.fact(indices)
    if fact.single == nil || graph.sequence == Size(1), let ramp = fact.ramp {
      guard ramp.start == 0, ramp.axis == (fact.shape?.count ?? 0) - 1, fact.shape?.last == graph.sequence else {
        throw Mismatch("positions 0, 1, 2, … along the sequence")
      }
      return .positions(table)
    }
    guard let row = fact.single?.int, row >= 0, row < table.values.shape[0] else {
      throw Mismatch("rows looked up by input_ids, by positions 0, 1, 2, … or by token types")
    }
    // The same row for every token: a table with this row only.
    var single = table
    let width = table.values.shape[1]
    let channel = table.quantization?.scales.count == 1 ? 0 : row
    let values = [Float](unsafeUninitializedCapacity: width) { buffer, count in
      buffer.initialize(repeating: 0)
      table.values.copyFloats(
        row * width..<(row + 1) * width, zero: table.quantization.map { Float($0.zeroPoints[channel]) } ?? 0,
        scale: table.quantization?.scales[channel] ?? 1, to: UnsafeMutableBufferPointer(rebasing: buffer[..<width]))
      count = width
    }
    single.values = Parameter(values, shape: [1, width])
    single.quantization = nil
    return .tokenTypes(single)
  }

  /// Looks through casts between integer types.
  private func integers(_ name: String) -> String {
    guard let cast = matcher.node(name, "Cast"), let source = cast.input(0),
      [.int64, .int32].contains(graph.fact(source).type), [.int64, .int32].contains(graph.fact(name).type)
    else { return name }
    return source
  }

  private func firstRows(
    _ table: DistilBERT.EmbeddingTable, _ name: String, _ node: WorkNode, _ onnx: Node
  ) throws(Mismatch) -> Part {
    let starts = node.input(1).flatMap { graph.fact($0).ints } ?? (try? onnx.optionalInts("starts"))
    let axes = node.input(3).flatMap { graph.fact($0).ints } ?? (try? onnx.optionalInts("axes"))
    guard starts == [0], axes == nil || axes == [0] || axes == [-2],
      graph.fact(name).shape == [graph.sequence, Size(table.values.shape[1])]
    else { throw Mismatch("the position table's rows from 0 up to the sequence's length") }
    return .positions(table)
  }
}
