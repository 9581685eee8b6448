import ONNX

/// Replaces what is computed from the attention mask alone.
///
/// The mask holds 0 and 1 only, so that everything computed from it element by element is told by two numbers. They
/// were derived with the facts; which numbers an attention may see is checked there.
enum MaskRecognition: Pass {
  static let name = "masks"
  static let summary = "what is computed from the attention mask becomes two numbers"

  static func run(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    for (index, node) in graph.nodes.enumerated() {
      guard node.outputs.count == 1, let output = node.outputs.first,
        case .mask = graph.fact(output).content
      else { continue }
      graph.nodes[index] = node.becoming(.mask, inputs: [])
      counts[node.operatorType, default: 0] += 1
    }
  }
}
