import ONNX

/// Takes out nodes that change nothing: Identity, Dropout at inference, casts between floating-point types, reshapes to
/// the same shape.
///
/// A half-precision model thus runs in float32, which computes the same function more exactly.
enum IdentityRemoval: Pass {
  static let name = "identities"
  static let summary = "identity, dropout and cast nodes go"

  static func run(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    var sources: [String: String] = [:]
    var kept: [WorkNode] = []
    for var node in graph.nodes {
      node.inputs = node.inputs.map { sources[$0] ?? $0 }
      if let source = identity(node, graph), let output = node.outputs.first {
        sources[output] = source
        counts[node.operatorType, default: 0] += 1
      } else {
        kept.append(node)
      }
    }
    graph.nodes = kept
    graph.outputs = graph.outputs.map { ($0.name, sources[$0.value] ?? $0.value) }
  }

  /// The value that the node only passes on.
  private static func identity(_ node: WorkNode, _ graph: WorkGraph) -> String? {
    guard let source = node.input(0), let output = node.outputs.first else { return nil }
    switch node.operation {
    case .reshape: return graph.fact(output).shape == graph.fact(source).shape ? source : nil
    case .transpose(let order): return order == Array(order.indices) ? source : nil
    case .onnx(let onnx) where onnx.domain.isEmpty:
      switch onnx.operatorType {
      case "Identity": return source
      case "Dropout":
        // Training mode, an input since operator set 12, is false where it is left out.
        if let training = node.input(2), graph.fact(training).single?.truth != false { return nil }
        if let isTest = try? onnx.optionalInt("is_test"), isTest == 0 { return nil }
        return node.outputs.dropFirst().allSatisfy { $0.isEmpty || !isUsed($0, graph) } ? source : nil
      case "Cast":
        guard graph.fact(source).type?.isFloatingPoint == true, graph.fact(output).type?.isFloatingPoint == true,
          !graph.isConstant(source)
        else { return nil }
        return source
      default: return nil
      }
    default: return nil
    }
  }

  private static func isUsed(_ name: String, _ graph: WorkGraph) -> Bool {
    graph.outputs.contains { $0.value == name } || graph.nodes.contains { $0.inputs.contains(name) }
  }
}
