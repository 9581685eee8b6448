import Encoder
import ONNX

/// The passes in their order.
struct Lowering {
  let model: Model

  init(_ model: Model) { self.model = model }

  func run() throws(LoweringError) -> LoweredModel {
    let first = model.graph.nodes.first
    throw .node(
      operator: first?.operatorType ?? "none", name: first?.label ?? "none", expected: "a form that is recognised")
  }
}
