import Encoder
import ONNX

/// The graph as the passes rewrite it: ONNX nodes, step by step replaced by operations of the encoder.
struct WorkGraph {
  /// In an order in which every node comes after those whose outputs it takes.
  var nodes: [WorkNode]
  var constants: [String: Tensor]
  /// What is known of each value.
  var facts: [String: Fact]
  var inputs: InputRoles
  /// The names of the graph's outputs, and of the values that now stand for them.
  var outputs: [(name: String, value: String)]
  let opset: Int
  /// The sizes of the inputs: constants, or `batch` and `sequence`.
  let batch: Size
  let sequence: Size
  /// Why a recogniser did not take a node that looked like its own, by the node's first output.
  var remarks: [String: String] = [:]
}

/// One operation, the values that it takes and those that it produces.
struct WorkNode {
  var operation: Operation
  var inputs: [String]
  var outputs: [String]
  /// The file's node that it was, or that stood last in the group of nodes that it was.
  var operatorType: String
  var label: String

  /// - Parameter operatorType: The operator of the file's node, where `node` is one of those that it stands for.
  init(_ node: Node, operatorType: String) {
    operation = .onnx(node)
    inputs = node.inputs
    outputs = node.outputs
    self.operatorType = operatorType
    label = node.label
  }

  /// The same node, recognised as `operation` on `inputs`; only its first output goes on.
  func becoming(_ operation: Operation, inputs: [String]) -> WorkNode {
    var node = self
    node.operation = operation
    node.inputs = inputs
    node.outputs = Array(outputs.prefix(1))
    return node
  }

  var onnx: Node? { if case .onnx(let node) = operation { node } else { nil } }

  /// The ONNX node, if it is one of this operator.
  func onnx(_ type: String, domain: String = "") -> Node? {
    guard let node = onnx, node.operatorType == type, node.domain == domain else { return nil }
    return node
  }

  func input(_ index: Int) -> String? { inputs.indices.contains(index) && !inputs[index].isEmpty ? inputs[index] : nil }
}

/// What a node does.
enum Operation {
  case onnx(Node)
  /// The same elements, row-major, in the shape that is known of the output.
  case reshape
  case transpose([Int])
  /// The same elements, quantised and dequantised again.
  case quantization(ValueQuantization)
  /// A function of the attention mask alone; the output's fact says which.
  case mask
  case layerNormalization(NormForm)
  case gelu(GELUForm)
  /// y = x · W + b
  case linear(LinearForm)
  /// Inputs: query, key and value, each `[batch · sequence rows, heads · head size]`.
  case attention(AttentionForm)
  /// The word, position and token-type sum, before its norm.
  case embeddings(EmbeddingTables)
}

/// How a value between operations is quantised.
enum ValueQuantization: Equatable {
  case fixed(Rounding)
  /// From its own range.
  case dynamic
}

struct LinearForm {
  var linear: DistilBERT.Linear
  var hasBias = false
  /// What the product passes before its bias is added.
  var product: [ValueQuantization] = []
}

struct NormForm {
  var norm: DistilBERT.LayerNorm
  var roundings = DistilBERT.Roundings.Norm()
}

struct GELUForm: Equatable {
  var activation: DistilBERT.Activation
  var roundings = DistilBERT.Roundings.GELU()
}

struct AttentionForm {
  var heads: Int
  var isMasked = false
  var queries: [DistilBERT.Roundings.ScoreStep] = []
  var keys: [DistilBERT.Roundings.ScoreStep] = []
  var values: [Rounding] = []
  var scores: [DistilBERT.Roundings.ScoreStep] = []
  var probabilities: [Rounding] = []
  var context: [Rounding] = []
}

struct EmbeddingTables {
  var words: DistilBERT.EmbeddingTable
  var positions: DistilBERT.EmbeddingTable
  var tokenTypes: DistilBERT.EmbeddingTable?
  /// The order of the sum, and what is rounded in it.
  var order = DistilBERT.Roundings.EmbeddingSum.words
}

extension WorkGraph {
  /// The index of the node that produces each value.
  var producers: [String: Int] {
    var result: [String: Int] = [:]
    for (index, node) in nodes.enumerated() {
      for output in node.outputs where !output.isEmpty { result[output] = index }
    }
    return result
  }

  /// Drops what no output depends on.
  mutating func removeDeadNodes() {
    var needed = Set(outputs.map(\.value))
    var kept: [WorkNode] = []
    for node in nodes.reversed() where node.outputs.contains(where: { needed.contains($0) }) {
      needed.formUnion(node.inputs)
      kept.append(node)
    }
    nodes = kept.reversed()
  }

  func fact(_ name: String) -> Fact { facts[name] ?? .unknown }

  func error(_ node: WorkNode, _ expected: String) -> LoweringError {
    .node(operator: node.operatorType, name: node.label, expected: remarks[node.outputs.first ?? ""] ?? expected)
  }
}

/// A step over the graph.
protocol Pass: Sendable {
  static var name: String { get }
  static var summary: String { get }
  /// Rewrites the graph, and counts what it did in `counts`.
  static func run(_ graph: inout WorkGraph, _ counts: inout [String: Int]) throws(LoweringError)
}
