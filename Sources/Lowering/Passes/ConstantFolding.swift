import ONNX

/// Takes `Constant` nodes, and nodes whose outputs are known numbers, out of the graph.
///
/// Weights are not computed on here: the recognisers look through what stands between a weight and its use.
enum ConstantFolding: Pass {
  static let name = "constant folding"
  static let summary = "values that no input takes part in become constants"

  static func run(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    graph.nodes = graph.nodes.filter { node in
      if let constant = node.onnx("Constant"), let output = node.outputs.first,
        let tensor = try? constant.optionalTensor("value")
      {
        graph.constants[output] = tensor
      } else if node.outputs.isEmpty || !node.outputs.allSatisfy({ isFolded(graph.fact($0)) }) {
        return true
      }
      counts[node.operatorType, default: 0] += 1
      return false
    }
  }

  /// Matrices of floats are weights, however small.
  private static func isFolded(_ fact: Fact) -> Bool {
    guard fact.isConstant else { return false }
    let axes = fact.shape?.filter { $0 != Size(1) }.count ?? 0
    return axes < 2 || fact.type?.isFloatingPoint != true
  }
}
