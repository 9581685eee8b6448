import Foundation
import ONNX
import Testing

/// As ``MutationTests``, of graphs with fused operators and of quantised ones.
@Suite("Mutants of fused and quantised graphs")
struct FusedMutationTests {
  private typealias Mutant = MutationTests.Mutant
  private typealias M = MutationTests

  // MARK: Changes

  /// Changes one element of the constant at an input, or all elements where `all`.
  private static func value(
    _ position: Int, all: Bool = false, _ change: @escaping @Sendable (Double) -> Double
  ) -> M.Change {
    { node, graph in
      guard let name = node.input(position), let tensor = graph.initializers[name] else { throw M.NotFound() }
      let copy = "mutated.\(node.label).\(position)"
      graph.initializers[copy] = try changed(tensor, all: all, change)
      node.inputs[position] = copy
    }
  }

  private static func changed(_ tensor: Tensor, all: Bool, _ change: (Double) -> Double) throws -> Tensor {
    func apply(_ values: [Double]) -> [Double] {
      values.enumerated().map { all || $0.offset == 0 ? change($0.element) : $0.element }
    }
    switch tensor.elementType {
    case .float:
      return try Tensor(shape: tensor.shape, elements: apply(try tensor.doubles()).map { Float($0) })
    case .uint8:
      return try Tensor(
        shape: tensor.shape, elements: apply(try tensor.ints().map { Double($0) }).map { UInt8(clamping: Int($0)) })
    case .int8:
      return try Tensor(
        shape: tensor.shape, elements: apply(try tensor.ints().map { Double($0) }).map { Int8(clamping: Int($0)) })
    default: throw M.NotFound()
    }
  }

  private static func drop(_ position: Int) -> M.Change { { node, _ in node.inputs[position] = "" } }

  private static func input(_ position: Int, _ name: String) -> M.Change {
    { node, _ in
      while node.inputs.count <= position { node.inputs.append("") }
      node.inputs[position] = name
    }
  }

  private static func becoming(_ type: String) -> M.Change { { node, _ in node.operatorType = type } }

  /// A constant in place of a computed scale or zero point.
  private static func fixed(_ position: Int) -> M.Change {
    { node, graph in try M.setNumber(position, 0.01, &node, &graph) }
  }

  /// Changes all nodes of an operator.
  private static func every(_ type: String, _ change: @escaping M.Change) -> @Sendable (inout Graph) throws -> Void {
    { graph in
      var count = 0
      for index in graph.nodes.indices where graph.nodes[index].operatorType == type {
        var node = graph.nodes[index]
        try change(&node, &graph)
        graph.nodes[index] = node
        count += 1
      }
      guard count > 0 else { throw M.NotFound() }
    }
  }

  /// Whether a node quantises what the first node of an operator gives, or dequantises it again.
  private static func follows(_ type: String) -> M.Test {
    { node, graph in
      graph.nodes.contains { $0.operatorType == type && $0.outputs[0] == node.inputs[0] }
    }
  }

  /// Whether a node takes a computed value, not a constant.
  private static let takesActivation: M.Test = { node, graph in
    graph.initializers[node.inputs[0]] == nil
      && !graph.nodes.contains { $0.operatorType == "Constant" && $0.outputs[0] == node.inputs[0] }
  }

  /// Whether a node takes constants with so many axes.
  private static func takesConstant(rank: Int) -> M.Test {
    { node, graph in graph.initializers[node.inputs[0]]?.shape.count == rank }
  }

  /// Whether both sides of a QLinearMatMul are computed.
  private static let isOfActivations: M.Test = { node, graph in graph.initializers[node.inputs[3]] == nil }

  /// Changes the scale of what quantises the output of an operator, and of what dequantises it again.
  private static func scale(
    after type: String, _ change: @escaping @Sendable (Double) -> Double
  ) -> @Sendable (inout Graph) throws -> Void {
    { graph in
      try M.at("QuantizeLinear", follows(type), value(1, change))(&graph)
      let quantizers = graph.nodes.filter { $0.operatorType == "QuantizeLinear" }
      guard let quantizer = quantizers.first(where: { follows(type)($0, graph) }) else { throw M.NotFound() }
      try M.at("DequantizeLinear", { node, _ in node.inputs[0] == quantizer.outputs[0] }, value(1, change))(&graph)
    }
  }

  /// Quantises and dequantises what the first node of an operator gives.
  private static func quantizing(_ type: String, step: Float) -> @Sendable (inout Graph) throws -> Void {
    { graph in
      guard let index = graph.nodes.firstIndex(where: { $0.operatorType == type }) else { throw M.NotFound() }
      let value = graph.nodes[index].outputs[0]
      graph.initializers["mutated.step"] = try Tensor(shape: [], elements: [step])
      graph.initializers["mutated.point"] = try Tensor(shape: [], elements: [Int8(0)])
      let parameters = ["mutated.step", "mutated.point"]
      graph.nodes[index].outputs[0] = "mutated.before"
      graph.nodes.insert(
        contentsOf: [
          Node(operatorType: "QuantizeLinear", inputs: ["mutated.before"] + parameters, outputs: ["mutated.integers"]),
          Node(operatorType: "DequantizeLinear", inputs: ["mutated.integers"] + parameters, outputs: [value]),
        ], at: index + 1)
    }
  }

  // MARK: Mutants

  private static let optimized: [Mutant] = [
    M.refused("heads of one layer", M.first("Attention", M.attribute("num_heads", .int(4)))),
    M.expressed("heads of all layers", every("Attention", M.attribute("num_heads", .int(4)))),
    M.refused("no heads", M.first("Attention", M.attribute("num_heads", .int(0)))),
    M.refused("heads that do not divide", M.first("Attention", M.attribute("num_heads", .int(3)))),
    M.refused("one direction", M.first("Attention", M.attribute("unidirectional", .int(1)))),
    M.refused("rotary positions", M.first("Attention", M.attribute("do_rotary", .int(1)))),
    M.refused("scale", M.first("Attention", M.attribute("scale", .float(0.5)))),
    M.refused("fill of −1", M.first("Attention", M.attribute("mask_filter_value", .float(-1)))),
    M.refused("no mask in one layer", M.first("Attention", drop(3))),
    M.refused("mask of ids", M.first("Attention", input(3, "input_ids_int32"))),
    M.refused("past", M.first("Attention", input(4, "input_ids_int32"))),
    M.refused("added bias", M.first("Attention", input(5, "input_ids_int32"))),
    M.refused("other widths", M.first("Attention", M.attribute("qkv_hidden_sizes", .ints([8, 8, 32])))),
    M.expressed("attention's weights", M.first("Attention", value(1) { $0 + 1 })),
    M.expressed("attention's bias", M.first("Attention", value(2) { $0 + 1 })),
    M.expressed("no bias", M.first("Attention", drop(2))),
    M.expressed("embeddings' epsilon", M.first("EmbedLayerNormalization", M.attribute("epsilon", .float(0.5)))),
    M.refused("negative epsilon", M.first("EmbedLayerNormalization", M.attribute("epsilon", .float(-1)))),
    M.refused("token types by ids", M.first("EmbedLayerNormalization", input(1, "input_ids_int32"))),
    M.refused("positions by ids", M.first("EmbedLayerNormalization", input(8, "input_ids_int32"))),
    M.refused("words by the mask", M.first("EmbedLayerNormalization", input(0, "attention_mask_int32"))),
    M.expressed("no token types", M.first("EmbedLayerNormalization", drop(1))),
    M.expressed("a position", M.first("EmbedLayerNormalization", value(3) { $0 + 1 })),
    M.refused("lengths of ids", M.first("EmbedLayerNormalization", input(7, "input_ids_int32"))),
    M.expressed("skip's epsilon", M.first("SkipLayerNormalization", M.attribute("epsilon", .float(0.5)))),
    M.expressed("skip's bias", M.first("SkipLayerNormalization", value(4) { $0 + 1 })),
    M.expressed("no skip bias", M.first("SkipLayerNormalization", drop(4))),
    M.refused("no residual") { graph in
      try M.first("SkipLayerNormalization") { node, _ in node.inputs[1] = node.inputs[0] }(&graph)
    },
    M.expressed("GELU's bias", M.first("BiasGelu", value(1) { $0 + 1 })),
    M.refused("tanh in one layer", M.first("BiasGelu", becoming("FastGelu"))),
    M.expressed("tanh in all layers", every("BiasGelu", becoming("FastGelu"))),
    M.refused("another GELU", M.first("BiasGelu", becoming("QuickGelu"))),
  ]

  private static let multiHead: [Mutant] = [
    M.refused("heads of one layer", M.first("MultiHeadAttention", M.attribute("num_heads", .int(4)))),
    M.refused("one direction", M.first("MultiHeadAttention", M.attribute("unidirectional", .int(1)))),
    M.refused("scale", M.first("MultiHeadAttention", M.attribute("scale", .float(0.5)))),
    M.refused("no mask in one layer", M.first("MultiHeadAttention", drop(4))),
    M.expressed("bias", M.first("MultiHeadAttention", value(3) { $0 + 1 })),
    M.expressed("queries and keys swapped", M.first("MultiHeadAttention", M.swapInputs)),
    M.refused("past", M.first("MultiHeadAttention", input(6, "mask_index_0"))),
    M.refused("lengths over the batch") { graph in
      try M.first("ReduceSum") { node, graph in
        graph.initializers["mutated"] = try Tensor(shape: [1], elements: [Int64(0)])
        node.inputs[1] = "mutated"
      }(&graph)
    },
    M.refused("lengths kept as an axis", M.first("ReduceSum", M.attribute("keepdims", .int(1)))),
    M.refused("largest instead of sum", M.first("ReduceSum", becoming("ReduceMax"))),
  ]

  private static let dynamicallyQuantized: [Mutant] = [
    M.refused("fixed input scale", M.first("QAttention", fixed(3))),
    M.refused("no input zero point", M.first("QAttention", drop(6))),
    M.expressed("weights' scale", M.first("QAttention", value(4) { $0 * 3 })),
    M.expressed("weights' zero point", M.first("QAttention", value(7) { $0 + 40 })),
    M.refused("one direction", M.first("QAttention", M.attribute("unidirectional", .int(1)))),
    M.refused("heads of one layer", M.first("QAttention", M.attribute("num_heads", .int(4)))),
    M.refused("no mask in one layer", M.first("QAttention", drop(5))),
    M.expressed("words' scale", M.first("QEmbedLayerNormalization", value(8) { $0 * 2 })),
    M.expressed("norm's zero point", M.first("QEmbedLayerNormalization", value(16) { $0 + 30 })),
    M.refused("product without its zero point", M.first("MatMulInteger", drop(2))),
    M.refused("another product's scale") { graph in
      let scales = graph.nodes.filter { $0.operatorType == "DynamicQuantizeLinear" }.map { $0.outputs[1] }
      try M.at("Mul", { node, _ in node.inputs.contains(scales[1]) }) { node, _ in
        node.inputs = node.inputs.map { $0 == scales[1] ? scales[2] : $0 }
      }(&graph)
    },
  ]

  private static let fusedDynamic: [Mutant] = [
    M.expressed("weights' scale", M.first("DynamicQuantizeMatMul", value(2) { $0 * 3 })),
    M.expressed("weights' zero point", M.at("DynamicQuantizeMatMul", M.named("expand"), value(3) { $0 + 40 })),
    M.refused("fixed input scale", M.first("MatMulIntegerToFloat", fixed(2))),
    M.refused("no input zero point", M.first("MatMulIntegerToFloat", drop(4))),
    M.expressed("weights", M.first("MatMulIntegerToFloat", value(1, all: true) { -$0 })),
    // Of keys, a bias would change nothing.
    M.expressed("bias", M.at("MatMulIntegerToFloat", M.named("query"), value(6) { $0 + 1 })),
  ]

  private static let dynamicProducts: [Mutant] = [
    M.refused("attention's product without a zero point", M.at("MatMulInteger", ofComputed, drop(2))),
    M.refused("attention's product of one scale twice") { graph in
      let scales = Set(graph.nodes.filter { $0.operatorType == "DynamicQuantizeLinear" }.map { $0.outputs[1] })
      try M.at("Mul", { node, _ in scales.isSuperset(of: node.inputs) }) { node, _ in node.inputs[1] = node.inputs[0] }(&graph)
    },
    M.refused("attention's product of fixed integers", M.at("MatMulInteger", ofComputed) { node, graph in
      graph.initializers["mutated.matrix"] = try Tensor(shape: [1, 1, 1, 1], elements: [UInt8(3)])
      node.inputs[1] = "mutated.matrix"
    }),
    M.expressed("weights", M.at("MatMulInteger", { !ofComputed($0, $1) }, value(1, all: true) { -$0 })),
  ]

  /// Whether both sides of a MatMulInteger are computed.
  private static let ofComputed: M.Test = { node, graph in graph.initializers[node.inputs[1]] == nil }

  private static let products: [Mutant] = [
    M.refused("scores' scale", M.first("FusedMatMul", M.attribute("alpha", .float(1)))),
    M.refused("keys transposed again", M.first("FusedMatMul", M.attribute("transB", .int(1)))),
    M.refused("queries transposed", M.first("FusedMatMul", M.attribute("transA", .int(1)))),
    M.refused("batch transposed", M.first("FusedMatMul", M.attribute("transBatchA", .int(1)))),
  ]

  private static let linear: [Mutant] = [
    M.refused("scale of one side", M.at("QuantizeLinear", takesActivation, value(1) { $0 * 2 })),
    M.refused("zero point of one side", M.at("QuantizeLinear", takesActivation, value(2) { $0 + 9 })),
    M.refused("scale of the other", M.at("DequantizeLinear", takesActivation, value(1) { $0 * 2 })),
    M.refused("weights' axis", M.at("DequantizeLinear", takesConstant(rank: 2), M.attribute("axis", .int(0)))),
    M.expressed("weights' scale", M.at("DequantizeLinear", takesConstant(rank: 2), value(1) { $0 * 3 })),
    M.expressed("weights' zero point", M.at("DequantizeLinear", takesConstant(rank: 2), value(2) { $0 + 40 })),
    M.expressed("weights", M.at("DequantizeLinear", takesConstant(rank: 2), value(0, all: true) { -$0 })),
    M.refused("negative scale", M.at("DequantizeLinear", takesConstant(rank: 2), value(1) { -$0 })),
    M.expressed("input's scale", scale(after: "Mul") { $0 / 20 }),
    M.refused("infinite scale", scale(after: "Mul") { _ in .infinity }),
    M.expressed("a norm's deviation quantised", quantizing("Sqrt", step: 0.1)),
    M.expressed("a norm's difference quantised", quantizing("Sub", step: 0.1)),
    M.expressed("GELU's erf quantised", quantizing("Erf", step: 0.1)),
    M.expressed("masked scores quantised", quantizing("Where", step: 1)),
    M.expressed("probabilities quantised", quantizing("Softmax", step: 0.02)),
    M.refused("rounded integers", M.at("DequantizeLinear", takesActivation) { node, graph in
      graph.nodes.insert(
        Node(operatorType: "Neg", inputs: [node.inputs[0]], outputs: ["mutated.negated"]), at: 0)
      node.inputs[0] = "mutated.negated"
    }),
  ]

  private static let everywhere: [Mutant] = [
    M.expressed("a product in steps of 40", scale(after: "MatMul") { _ in 40 }),
    M.expressed("words' scale") { graph in
      let words = graph.initializers.first { $0.value.shape == [60, 16] && $0.value.elementType == .uint8 }
      guard let table = words else { throw M.NotFound() }
      try M.at("DequantizeLinear", { node, _ in node.inputs[0] == table.key }, value(1) { $0 * 3 })(&graph)
    },
  ]

  private static let operators: [Mutant] = [
    M.refused("input's scale", M.at("QLinearMatMul", isOfActivations, value(1) { $0 * 2 })),
    M.refused("output's scale", M.first("QLinearMatMul", value(6) { $0 * 2 })),
    M.refused("output's zero point", M.first("QLinearMatMul", value(7) { $0 + 9 })),
    M.expressed("weights' scale", M.first("QLinearMatMul", value(4) { $0 * 3 })),
  ]

  private static let blocks: [Mutant] = [
    M.expressed("a block's scale", M.first("MatMulNBits", value(2) { $0 * 3 })),
    M.expressed("no zero points", every("MatMulNBits", drop(3))),
    M.refused("2 bits", M.first("MatMulNBits", M.attribute("bits", .int(2)))),
    M.refused("larger blocks", M.first("MatMulNBits", M.attribute("block_size", .int(64)))),
    M.refused("fewer inputs", M.first("MatMulNBits", M.attribute("K", .int(8)))),
    M.refused("groups in an order", M.first("MatMulNBits", input(4, "input_ids"))),
  ]

  private static let tables: [Mutant] = [
    M.expressed("the other table", every("MatMulBnb4", M.attribute("quant_type", .int(0)))),
    M.expressed("a block's magnitude", M.first("MatMulBnb4", value(2) { $0 * 3 })),
    M.refused("smaller blocks", M.first("MatMulBnb4", M.attribute("block_size", .int(32)))),
    M.refused("not transposed", M.first("MatMulBnb4", M.attribute("transB", .int(0)))),
    M.refused("an unknown table", M.first("MatMulBnb4", M.attribute("quant_type", .int(2)))),
  ]

  /// Each value that a static file quantises, with another scale or zero point on both sides: it saturates, or is coarser.
  @Test(
    "Every fixed quantisation is the graph's",
    arguments: ["distilbert-qdq-channel", "distilbert-qdq-matmul", "distilbert-qdq-linear", "distilbert-qdq-adds"])
  func everyQuantisation(name: String) throws {
    let original = try Model(contentsOf: Export.goldens.appending(path: "Forms/\(name).onnx"))
    let changes: [(String, Int, @Sendable (Double) -> Double)] = [
      ("scale × 3", 1, { $0 * 3 }), ("scale / 3", 1, { $0 / 3 }), ("zero point + 40", 2, { $0 + 40 }),
    ]
    var (mutants, largest): (Int, Float) = (0, 0)
    for node in original.graph.nodes where node.operatorType == "QuantizeLinear" && Self.takesActivation(node, original.graph) {
      for (change, position, apply) in changes {
        var model = original
        let changed = Self.value(position, apply)
        try M.at("QuantizeLinear", { other, _ in other.outputs == node.outputs }, changed)(&model.graph)
        for user in original.graph.nodes where user.operatorType == "DequantizeLinear" && user.inputs[0] == node.outputs[0] {
          try M.at("DequantizeLinear", { other, _ in other.outputs == user.outputs }, changed)(&model.graph)
        }
        let apart = try Export.largestDifference(MutationTests.outputs(model), try MutationTests.interpretedOutputs(model))
        #expect(apart.share <= MutationTests.flips, "\(node.label), \(change): \(apart) apart from the graph run node by node")
        largest = max(largest, apart.share)
        mutants += 1
      }
    }
    #expect(mutants > 20)
    print("\(name): \(mutants) mutants, apart from the graph run node by node by up to \(largest) of the range")
  }

  /// A file calibrated on texts without padding fills masked scores with the least one that it has, here −6.4: in its graph padding takes
  /// part a little, in the encoder not at all.
  @Test("Padding takes no part where a graph lets it") func weakMask() throws {
    var model = try Model(contentsOf: Export.goldens.appending(path: "Forms/distilbert-qdq-linear.onnx"))
    try Self.quantizing("Where", step: 0.05)(&model.graph)
    let padded = try M.outputs(model)
    let sequences = zip(M.ids, M.mask).map { ids, mask in Array(ids.prefix(mask.count { $0 == 1 })) }
    var first = 0
    for sequence in sequences {
      let values = try Export.interpreted(model, inputIDs: [sequence], attentionMask: [sequence.map { _ in 1 }], tokenTypes: nil)
      let alone = try M.inOrder(values, of: model)
      let found = Array(padded[first..<first + alone.count])
      #expect(try Export.largestDifference(found, alone).share <= M.flips, "\(sequence)")
      first += alone.count
    }
    let leaking = try Export.largestDifference(padded, M.interpretedOutputs(model))
    #expect(leaking.share > M.flips, "the graph keeps padding out itself")
  }

  @Test("Every mutant is refused, or changes the encoder")
  func mutation() throws {
    let files: [(String, [Mutant])] = [
      ("bert-optimizer", Self.optimized), ("bert-optimizer-mha", Self.multiHead),
      ("bert-optimizer-dynamic-channel", Self.dynamicallyQuantized),
      ("bert-dynamic-int8-ort-extended", Self.fusedDynamic),
      ("distilbert-dynamic-products", Self.dynamicProducts), ("distilbert-ort-extended", Self.products), ("distilbert-qdq-linear", Self.linear),
      ("distilbert-qdq-channel", Self.everywhere), ("distilbert-qoperator-tensor", Self.operators),
      ("bert-q4-asymmetric", Self.blocks), ("bert-bnb4-nf4", Self.tables),
    ]
    for (name, mutants) in files {
      try MutationTests.check(mutants, of: Export.goldens.appending(path: "Forms/\(name).onnx"))
    }
    print("\(files.reduce(0) { $0 + $1.1.count }) mutants")
  }
}
