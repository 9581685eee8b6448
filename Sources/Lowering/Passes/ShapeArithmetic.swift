import ONNX

/// Replaces operators that take a computed shape by what they do, so that the nodes which compute shapes fall away.
enum ShapeArithmetic: Pass {
  static let name = "shape arithmetic"
  static let summary = "reshapes know their target; the nodes that compute shapes go"

  private static let reshapes: Set<String> = ["Reshape", "Squeeze", "Unsqueeze", "Flatten"]

  static func run(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    for index in graph.nodes.indices {
      let node = graph.nodes[index]
      guard let onnx = node.onnx, onnx.domain.isEmpty, let output = node.outputs.first, let data = node.input(0) else {
        continue
      }
      if reshapes.contains(onnx.operatorType) {
        guard graph.fact(output).shape != nil, graph.fact(data).shape != nil else {
          graph.remarks[output] = "a target shape that follows from the sizes of the inputs"
          continue
        }
        graph.nodes[index] = node.becoming(.reshape, inputs: [data])
      } else if onnx.operatorType == "Transpose" {
        guard let rank = graph.fact(data).shape?.count, graph.fact(output).shape != nil,
          let order = try? onnx.ints("perm", default: (0..<rank).reversed())
        else {
          graph.remarks[output] = "a permutation of all axes"
          continue
        }
        graph.nodes[index] = node.becoming(.transpose(order), inputs: [data])
      } else if onnx.operatorType == "Expand" || onnx.operatorType == "Slice" {
        // Where the shape stays, so do the elements: slices are followed only with steps of 1.
        guard let shape = graph.fact(output).shape, shape == graph.fact(data).shape else { continue }
        graph.nodes[index] = node.becoming(.reshape, inputs: [data])
      } else {
        continue
      }
      counts[onnx.operatorType, default: 0] += 1
    }
  }
}
