import ONNX

/// Operators with graphs inside.
let controlOperators: [OperatorDefinition] = [
  OperatorDefinition("If") { call in
    let branch = try call.input(0).scalarBool() ? "then_branch" : "else_branch"
    return try call.runGraph(try call.node.graph(branch))
  }
]
