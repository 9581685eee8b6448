import Encoder
import Foundation
import Interpreter
import Lowering
import ONNX
import Testing

/// One thing in a recognised graph is changed, so that the graph computes another function. Lowering must refuse it, or
/// give an encoder that has the change; it must never give the unchanged one.
@Suite("Mutants")
struct MutationTests {
  struct Mutant {
    var name: String
    /// Whether an encoder can express the changed function; if not, the graph must be refused.
    var isExpressible: Bool
    var change: @Sendable (inout Graph) throws -> Void
  }

  struct NotFound: Error {}

  typealias Test = @Sendable (Node, Graph) -> Bool
  typealias Change = @Sendable (inout Node, inout Graph) throws -> Void

  /// Changes the first node of an operator.
  static func first(_ type: String, _ change: @escaping Change) -> @Sendable (inout Graph) throws -> Void {
    at(type, { _, _ in true }, change)
  }

  /// Changes the first node of an operator that `isMeant` accepts.
  static func at(
    _ type: String, _ isMeant: @escaping Test, _ change: @escaping Change
  ) -> @Sendable (inout Graph) throws -> Void {
    { graph in
      guard let index = graph.nodes.firstIndex(where: { $0.operatorType == type && isMeant($0, graph) }) else {
        throw NotFound()
      }
      var node = graph.nodes[index]
      try change(&node, &graph)
      graph.nodes[index] = node
    }
  }

  /// The number that a value is, if it is a constant of one element.
  static func number(_ name: String, _ graph: Graph) -> Double? {
    var tensor = graph.initializers[name]
    if tensor == nil,
      let node = graph.nodes.first(where: { $0.outputs.contains(name) && $0.operatorType == "Constant" })
    {
      tensor = try? node.optionalTensor("value")
    }
    guard let tensor, tensor.count == 1 else { return nil }
    return (try? tensor.doubles().first) ?? (try? tensor.ints().first).map { Double($0) }
  }

  static func has(_ position: Int, near value: Double) -> Test {
    { node, graph in
      node.input(position).flatMap { number($0, graph) }.map { abs($0 - value) <= abs(value) * 1e-3 } ?? false
    }
  }

  static func setNumber(_ position: Int, _ value: Float, _ node: inout Node, _ graph: inout Graph) throws {
    let name = "mutated.\(node.label)"
    graph.initializers[name] = try Tensor(name: name, shape: [], elements: [value])
    node.inputs[position] = name
  }

  static func constant(_ position: Int, _ value: Float) -> Change {
    { node, graph in try setNumber(position, value, &node, &graph) }
  }

  static let swapInputs: Change = { node, _ in node.inputs.swapAt(0, 1) }

  static func attribute(_ name: String, _ value: Attribute) -> Change {
    { node, _ in node.attributes[name] = value }
  }

  static func named(_ part: String) -> Test { { node, _ in node.name.contains(part) } }

  static func changeInts(_ position: Int, from: [Int64], to: [Int64]) -> @Sendable (inout Graph) throws -> Void {
    { graph in
      for index in graph.nodes.indices where graph.nodes[index].operatorType == "Constant" {
        guard let tensor = try graph.nodes[index].optionalTensor("value"), tensor.elementType == .int64,
          try tensor.int64s() == from, tensor.shape.count == 1,
          graph.nodes.contains(where: {
            $0.operatorType == "Concat" && $0.inputs.indices.contains(position)
              && $0.inputs[position] == graph.nodes[index].outputs[0]
          })
        else { continue }
        graph.nodes[index].attributes["value"] = .tensor(try Tensor(shape: [to.count], elements: to))
        return
      }
      throw NotFound()
    }
  }

  /// Changes one element of the weight whose name ends so.
  static func weight(_ suffix: String) -> @Sendable (inout Graph) throws -> Void {
    { graph in
      guard let (name, tensor) = graph.initializers.first(where: { $0.key.hasSuffix(suffix) }) else { throw NotFound() }
      var values = try tensor.floats()
      values[0] += 0.5
      graph.initializers[name] = try Tensor(name: name, shape: tensor.shape, elements: values)
    }
  }

  static func inSoftmax(_ node: Node, _ graph: Graph) -> Bool {
    graph.nodes.contains { $0.operatorType == "Softmax" && $0.inputs == node.outputs }
  }

  private static let isBetweenLayers: Test = { node, graph in
    !node.inputs.contains { graph.initializers[$0] != nil || number($0, graph) != nil }
  }

  static func refused(_ name: String, _ change: @escaping @Sendable (inout Graph) throws -> Void) -> Mutant {
    Mutant(name: name, isExpressible: false, change: change)
  }

  static func expressed(_ name: String, _ change: @escaping @Sendable (inout Graph) throws -> Void) -> Mutant {
    Mutant(name: name, isExpressible: true, change: change)
  }

  // MARK: Mutants of the eager export (operator set 14)

  static let mutants: [Mutant] = [
    // Layer norm
    expressed("epsilon", at("Add", has(1, near: 1e-12), constant(1, 0.5))),
    refused("negative epsilon", at("Add", has(1, near: 1e-12), constant(1, -0.5))),
    refused("power of 3", first("Pow", constant(1, 3))),
    refused("mean over axis 1", first("ReduceMean", attribute("axes", .ints([1])))),
    refused("mean over two axes", first("ReduceMean", attribute("axes", .ints([1, 2])))),
    refused("mean without its axis", first("ReduceMean", attribute("keepdims", .int(0)))),
    refused("sum instead of mean", first("ReduceMean") { node, _ in node.operatorType = "ReduceSum" }),
    refused("mean minus x", at("Sub", named("LayerNorm"), swapInputs)),
    refused("deviation over x", at("Div", named("LayerNorm"), swapInputs)),
    refused("no root", first("Sqrt") { node, _ in node.operatorType = "Identity" }),
    expressed("norm's scale", weight("embeddings.LayerNorm.weight")),
    expressed("norm's bias", weight("layer.1.output_layer_norm.bias")),
    refused("norm's scale subtracted", at("Mul", named("LayerNorm")) { node, _ in node.operatorType = "Sub" }),
    // GELU
    refused("√2", at("Div", has(1, near: 2.0.squareRoot()), constant(1, 1.5))),
    refused("times √2", at("Div", has(1, near: 2.0.squareRoot())) { node, _ in node.operatorType = "Mul" }),
    refused("erf plus 0.9", at("Add", has(1, near: 1), constant(1, 0.9))),
    refused("erf minus 1", at("Add", has(1, near: 1)) { node, _ in node.operatorType = "Sub" }),
    refused("GELU times 0.25", at("Mul", has(1, near: 0.5), constant(1, 0.25))),
    refused("tanh of x / √2", first("Erf") { node, _ in node.operatorType = "Tanh" }),
    refused("sigmoid", first("Erf") { node, _ in node.operatorType = "Sigmoid" }),
    // Attention
    refused("scale", at("Div", has(1, near: 8.0.squareRoot()), constant(1, 2))),
    refused("times √d", at("Div", has(1, near: 8.0.squareRoot())) { node, _ in node.operatorType = "Mul" }),
    refused("softmax over queries", first("Softmax", attribute("axis", .int(2)))),
    refused("log softmax", first("Softmax") { node, _ in node.operatorType = "LogSoftmax" }),
    refused("queries not transposed", first("Transpose", attribute("perm", .ints([0, 1, 2, 3])))),
    refused("heads in place of batch", first("Transpose", attribute("perm", .ints([2, 0, 1, 3])))),
    refused("keys: dimensions and sequence swapped",
      at("Transpose", { node, _ in (try? node.ints("perm")) == [0, 2, 3, 1] }, attribute("perm", .ints([0, 2, 1, 3])))),
    refused("keys: heads within dimensions",
      at("Transpose", { node, _ in (try? node.ints("perm")) == [0, 2, 3, 1] }, attribute("perm", .ints([0, 3, 2, 1])))),
    refused("heads merged the wrong way", at("Transpose", { node, graph in
      graph.nodes.contains { $0.operatorType == "MatMul" && $0.outputs[0] == node.inputs[0] }
    }, attribute("perm", .ints([0, 2, 3, 1])))),
    refused("queries split into 4 heads", { graph in
      try changeInts(2, from: [2], to: [4])(&graph)
      try changeInts(3, from: [8], to: [4])(&graph)
    }),
    expressed("queries and keys are the same layer", { graph in
      guard let product = graph.nodes.first(where: { $0.name.contains("k_lin/MatMul") }) else { throw NotFound() }
      try at("MatMul", named("q_lin/MatMul")) { node, _ in node.inputs[1] = product.inputs[1] }(&graph)
    }),
    expressed("queries and keys swap biases", { graph in
      let (q, k) = ("layer.0.attention.q_lin.bias", "layer.0.attention.k_lin.bias")
      guard let query = graph.initializers.first(where: { $0.key.hasSuffix(q) }),
        let key = graph.initializers.first(where: { $0.key.hasSuffix(k) })
      else { throw NotFound() }
      graph.initializers[query.key] = key.value
      graph.initializers[key.key] = query.value
    }),
    refused("scores of values", at("MatMul", { node, graph in
      graph.nodes.contains { $0.operatorType == "Softmax" && $0.outputs[0] == node.inputs[0] }
    }) { node, _ in node.inputs.swapAt(0, 1) }),
    // Mask
    refused("mask upside down", at("Where", inSoftmax) { node, _ in node.inputs.swapAt(1, 2) }),
    refused("mask drops tokens", at("Equal", has(1, near: 0)) { node, graph in
      graph.initializers["mutated"] = try Tensor(name: "mutated", shape: [], elements: [Int64(1)])
      node.inputs[1] = "mutated"
    }),
    refused("mask drops nothing", at("Equal", has(1, near: 0)) { node, graph in
      graph.initializers["mutated"] = try Tensor(name: "mutated", shape: [], elements: [Int64(2)])
      node.inputs[1] = "mutated"
    }),
    refused("mask fills in −1", at("Where", inSoftmax, constant(1, -1))),
    refused("mask fills in the largest number", at("Where", inSoftmax, constant(1, .greatestFiniteMagnitude))),
    refused("mask from the ids", at("Equal", has(1, near: 0)) { node, _ in node.inputs[0] = "input_ids" }),
    // Residuals and wiring
    refused("attention's residual missing", at("Add", { node, graph in
      isBetweenLayers(node, graph) && node.name.hasSuffix("layer.0/Add")
    }) { node, _ in node.inputs[1] = node.inputs[0] }),
    refused("feed-forward's residual from the layer's input", { graph in
      guard let first = graph.nodes.first(where: { $0.name.hasSuffix("layer.0/Add") }) else { throw NotFound() }
      try at("Add", named("layer.0/Add_1")) { node, _ in node.inputs[1] = first.inputs[1] }(&graph)
    }),
    refused("residual subtracted", at("Add", named("layer.0/Add_1")) { node, _ in node.operatorType = "Sub" }),
    refused("residual multiplied", at("Add", named("layer.0/Add_1")) { node, _ in node.operatorType = "Mul" }),
    refused("values from the embeddings in layer 1", { graph in
      guard let first = graph.nodes.first(where: { $0.name.contains("layer.0/attention/v_lin/MatMul") }) else {
        throw NotFound()
      }
      try at("MatMul", named("layer.1/attention/v_lin/MatMul")) { node, _ in node.inputs[0] = first.inputs[0] }(&graph)
    }),
    refused("feed-forward skips GELU", { graph in
      guard let linear = graph.nodes.first(where: { $0.name.contains("layer.0/ffn/lin2/MatMul") }),
        let erf = graph.nodes.first(where: { $0.operatorType == "Div" && $0.name.contains("layer.0/ffn") })
      else { throw NotFound() }
      try at("MatMul", { node, _ in node.name == linear.name }) { node, _ in node.inputs[0] = erf.inputs[0] }(&graph)
    }),
    // Linear layers
    expressed("weight", weight("qa_outputs.bias")),
    refused("bias subtracted", at("Add", named("q_lin/Add")) { node, _ in node.operatorType = "Sub" }),
    refused("bias multiplied", at("Add", named("lin1/Add")) { node, _ in node.operatorType = "Mul" }),
    // Embeddings
    refused("positions from 1", at("Slice", { node, graph in
      node.input(1).flatMap { number($0, graph) } == 0
    }) { node, graph in
      graph.initializers["mutated"] = try Tensor(name: "mutated", shape: [1], elements: [Int64(1)])
      node.inputs[1] = "mutated"
    }),
    refused("positions in another order", { graph in
      for index in graph.nodes.indices where graph.nodes[index].operatorType == "Constant" {
        guard let tensor = try graph.nodes[index].optionalTensor("value"), tensor.elementType == .int64,
          tensor.count == 40
        else { continue }
        var values = try tensor.int64s()
        values.swapAt(3, 4)
        graph.nodes[index].attributes["value"] = .tensor(try Tensor(shape: tensor.shape, elements: values))
        return
      }
      throw NotFound()
    }),
    refused("words minus positions", at("Add", named("embeddings/Add")) { node, _ in node.operatorType = "Sub" }),
    refused("words twice", at("Add", named("embeddings/Add")) { node, _ in node.inputs[1] = node.inputs[0] }),
    expressed("a word's row", weight("word_embeddings.weight")),
    refused("words by the mask",
      at("Gather", named("word_embeddings")) { node, _ in node.inputs[1] = "attention_mask" }),
    // Head
    refused("start and end swapped", first("Split") { node, _ in node.outputs.swapAt(0, 1) }),
    refused("start twice", { graph in
      guard let split = graph.nodes.first(where: { $0.operatorType == "Split" }) else { throw NotFound() }
      try at("Squeeze", { node, _ in node.outputs == ["end_logits"] }) { node, _ in
        node.inputs[0] = split.outputs[0]
      }(&graph)
    }),
    refused("logits negated", { graph in
      guard let index = graph.nodes.firstIndex(where: { $0.outputs == ["end_logits"] }) else { throw NotFound() }
      graph.nodes[index].outputs = ["mutated.end"]
      graph.nodes.append(Node(operatorType: "Neg", inputs: ["mutated.end"], outputs: ["end_logits"]))
    }),
    refused("hidden state rounded", at("MatMul", named("qa_outputs")) { node, graph in
      graph.nodes.insert(Node(operatorType: "Round", inputs: [node.inputs[0]], outputs: ["mutated.rounded"]), at: 0)
      node.inputs[0] = "mutated.rounded"
    }),
  ]

  static let ids: [[Int32]] = [[0, 9, 17, 33, 2, 58, 11], [7, 41, 3, 0, 0, 0, 0]]
  static let mask: [[Int32]] = [[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0]]
  private static let types: [[Int32]] = [[0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 0, 0, 0, 0]]

  /// The graph's outputs node by node, in the encoder's order.
  static func interpretedOutputs(_ model: Model) throws -> [Float] {
    try inOrder(try Export.interpreted(model, inputIDs: ids, attentionMask: mask, tokenTypes: types), of: model)
  }

  /// A graph's outputs, by their names, in the encoder's order.
  static func inOrder(_ values: [String: [Float]], of model: Model) throws -> [Float] {
    let columns = try GraphInterface(model.graph).outputs.compactMap { values[$0] }
    guard columns.count > 1 else { return columns[0] }
    return columns[0].indices.flatMap { index in columns.map { $0[index] } }
  }

  /// How far apart, as a part of the range, the two executors of a statically quantised graph may be: sums in another order would
  /// fall on the other side of a rounding now and then in a larger model.
  static let flips: Float = 1e-4

  /// The encoder quantises inputs by the row where they come with no range, these graphs by the tensor.
  private static func isDynamic(_ graph: Graph) -> Bool {
    graph.nodes.contains { node in
      ["DynamicQuantize", "QAttention", "MatMulInteger"].contains { node.operatorType.contains($0) }
    }
  }

  private static func isStatic(_ graph: Graph) -> Bool {
    graph.nodes.contains { node in ["QuantizeLinear", "QLinear"].contains { node.operatorType.contains($0) } }
  }

  static func outputs(_ model: Model) throws -> [Float] {
    let lowered = try LoweredModel(model)
    let batch = try PackedBatch(
      inputIDs: ids, attentionMask: mask, tokenTypeIDs: lowered.inputs.tokenTypes == nil ? nil : types)
    // Attention as the graph computes it: in fixed point, more values would fall to the other side of a rounding.
    return try Encoder(lowered.model, attention: .float32).forward(batch).values
  }

  @Test("Every mutant is refused, or changes the encoder")
  func mutation() throws { try Self.check(Self.mutants, of: Export.goldens.appending(path: "legacy13-eager.onnx")) }

  static func check(_ mutants: [Mutant], of file: URL) throws {
    let original = try Model(contentsOf: file)
    let unchanged = try outputs(original)
    var refused = 0
    var (largest, largestShare): (Float, Float) = (0, 0)
    for mutant in mutants {
      var model = original
      do { try mutant.change(&model.graph) } catch {
        Issue.record("\(mutant.name): cannot be made: \(error)")
        continue
      }
      do {
        let changed = try outputs(model)
        #expect(mutant.isExpressible, "\(mutant.name): should be refused")
        let difference = zip(changed, unchanged).map { abs($0 - $1) }.max() ?? 0
        #expect(difference > 1e-4, "\(mutant.name): changes nothing")
        let apart = try Export.largestDifference(changed, try interpretedOutputs(model))
        // Inputs that come with no range of their own are quantised row by row here, as a whole in the file.
        let agrees = apart.absolute <= 1e-4 || apart.share <= (isDynamic(model.graph) ? 0.1 : isStatic(model.graph) ? flips : 0)
        #expect(agrees, "\(mutant.name): \(apart) apart from the graph run node by node")
        (largest, largestShare) = (max(largest, apart.absolute), max(largestShare, apart.share))
      } catch let error as LoweringError {
        refused += 1
        #expect(!mutant.isExpressible, "\(mutant.name): \(error)")
      }
    }
    print(
      "\(file.lastPathComponent): \(mutants.count) mutants, \(refused) refused, the others apart from the graph run node "
        + "by node by up to \(largest), \(largestShare) of the range")
  }
}
