import Encoder
import ONNX
import Testing

@testable import Lowering

/// Each pass by itself, on a few nodes.
@Suite("Passes")
struct PassTests {
  /// A graph over token ids: `x` is `[batch, sequence, 8]` of floats, `ids` and `attention_mask` are `[batch, sequence]`.
  private struct Small {
    private(set) var nodes: [Node] = []
    private(set) var constants: [String: Tensor] = [:]

    init() throws {
      try constant("words", [20, 8], (0..<160).map { Float($0) })
      add("Gather", ["words", "input_ids"], "x")
    }

    mutating func add(
      _ type: String, _ inputs: [String], _ output: String, _ attributes: [String: Attribute] = [:],
      domain: String = ""
    ) {
      nodes.append(
        Node(
          name: output, operatorType: type, domain: domain, inputs: inputs, outputs: [output], attributes: attributes))
    }

    mutating func add(_ type: String, _ inputs: [String], outputs: [String]) {
      nodes.append(Node(name: outputs[0], operatorType: type, inputs: inputs, outputs: outputs))
    }

    mutating func constant<Element: TensorElement>(_ name: String, _ shape: [Int], _ values: [Element]) throws {
      constants[name] = try Tensor(name: name, shape: shape, elements: values)
    }

    mutating func truth(_ name: String) throws {
      constants[name] = try Tensor(name: name, shape: [], booleans: [true])
    }

    mutating func scalar(_ name: String, _ value: Float) throws { try constant(name, [], [value]) }

    /// The graph as far as the outputs need it.
    func graph(_ outputs: String..., opset: Int = 17) throws -> WorkGraph {
      let sizes: [Dimension] = [.symbolic("batch"), .symbolic("sequence")]
      let graph = Graph(
        name: "small", nodes: nodes, initializers: constants,
        inputs: ["input_ids", "attention_mask"].map { ValueInfo(name: $0, elementType: .int64, shape: sizes) },
        outputs: outputs.map { ValueInfo(name: $0, elementType: .float, shape: nil) })
      return try WorkGraph.expanding(graph, opset: opset, outputs: outputs).0
    }
  }

  @discardableResult
  private func run(_ passes: any Pass.Type..., on graph: inout WorkGraph) throws -> [String: Int] {
    var counts: [String: Int] = [:]
    for pass in passes {
      counts = [:]
      try pass.run(&graph, &counts)
      graph.removeDeadNodes()
    }
    return counts
  }

  private func node(_ name: String, _ graph: WorkGraph) -> WorkNode? {
    graph.nodes.first { $0.outputs.contains(name) }
  }

  // MARK: Constants, shapes, identities

  @Test("Constant folding computes numbers, and leaves matrices")
  func constants() throws {
    var small = try Small()
    try small.scalar("four", 4)
    small.add("Sqrt", ["four"], "two")
    small.add("Div", ["x", "two"], "half")
    try small.constant("small weights", [2, 2], [1, 2, 3, 4] as [Float])
    small.add("Cast", ["small weights"], "cast weights", ["to": .int(1)])
    var graph = try small.graph("half", "cast weights")
    let counts = try run(ConstantFolding.self, on: &graph)
    #expect(counts == ["Sqrt": 1])
    #expect(graph.fact("two").single?.number == 2)
    #expect(graph.nodes.map(\.operatorType) == ["Gather", "Div", "Cast"])
  }

  @Test("Reshapes to computed shapes become reshapes, whose shape is known")
  func shapes() throws {
    var small = try Small()
    small.add("Shape", ["x"], "shape")
    try small.constant("zero", [1], [0 as Int64])
    small.add("Gather", ["shape", "zero"], "batch")
    try small.constant("rest", [3], [-1, 2, 4] as [Int64])
    small.add("Concat", ["batch", "rest"], "target", ["axis": .int(0)])
    small.add("Reshape", ["x", "target"], "split")
    small.add("Transpose", ["split"], "heads", ["perm": .ints([0, 2, 1, 3])])
    var graph = try small.graph("heads")
    let counts = try run(ConstantFolding.self, ShapeArithmetic.self, on: &graph)
    #expect(counts == ["Reshape": 1, "Transpose": 1])
    #expect(graph.nodes.count == 3)
    #expect(graph.fact("heads").shape == [graph.batch, Size(2), graph.sequence, Size(4)])
  }

  @Test("A reshape to a shape that is an input's content stays")
  func unknownShape() throws {
    var small = try Small()
    small.add("Reshape", ["x", "input_ids"], "y")
    var graph = try small.graph("y")
    #expect(try run(ShapeArithmetic.self, on: &graph).isEmpty)
    #expect(graph.remarks["y"] != nil)
  }

  @Test("Identities go; casts that round and dropout in training stay")
  func identities() throws {
    var small = try Small()
    small.add("Identity", ["x"], "a")
    small.add("Dropout", ["a"], "b")
    small.add("Cast", ["b"], "c", ["to": .int(10)])
    small.add("Cast", ["c"], "d", ["to": .int(6)])
    try small.truth("training")
    small.add("Dropout", ["c", "", "training"], "e")
    var graph = try small.graph("c", "d", "e")
    let counts = try run(IdentityRemoval.self, on: &graph)
    #expect(counts == ["Identity": 1, "Dropout": 1, "Cast": 1])
    #expect(graph.outputs.map(\.value) == ["x", "d", "e"])
    #expect(graph.nodes.map(\.inputs.first) == ["words", "x", "x"])
  }

  // MARK: Masks

  private func mask(_ name: String, _ graph: WorkGraph) -> (one: Double?, zero: Double?)? {
    guard case .mask(_, _, let one, let zero) = graph.fact(name).content else { return nil }
    return (one.number, zero.number)
  }

  @Test("What is computed from the mask is two numbers, through quantisation too")
  func masks() throws {
    var small = try Small()
    try small.constant("axes", [2], [1, 2] as [Int64])
    small.add("Unsqueeze", ["attention_mask", "axes"], "wide")
    small.add("Cast", ["wide"], "real", ["to": .int(1)])
    try small.scalar("one", 1)
    small.add("Sub", ["one", "real"], "absent")
    try small.scalar("least", -10_000)
    small.add("Mul", ["absent", "least"], "added")
    try small.scalar("step", 100)
    try small.constant("point", [], [127 as Int8])
    small.add("QuantizeLinear", ["added", "step", "point"], "integers")
    small.add("DequantizeLinear", ["integers", "step", "point"], "again")
    small.add("Add", ["real", "x"], "mixed")
    var graph = try small.graph("again", "mixed")
    try run(ConstantFolding.self, MaskRecognition.self, on: &graph)
    #expect(mask("added", graph)?.zero == -10_000)
    #expect(mask("added", graph)?.one == 0)
    #expect(mask("again", graph)?.zero == -10_000)
    #expect(graph.fact("again").shape == [graph.batch, Size(1), Size(1), graph.sequence])
    #expect(mask("mixed", graph) == nil)
    guard case .mask = node("again", graph)?.operation else {
      Issue.record("the dequantised mask is no mask")
      return
    }
  }

  @Test("The flattened mask picked by row · length + column is the mask; by column · length + row it is not")
  func pickedMask() throws {
    var small = try Small()
    small.add("Flatten", ["attention_mask"], "flat", ["axis": .int(2)])
    small.add("Shape", ["attention_mask"], "shape")
    for (index, name) in ["batch", "length"].enumerated() {
      try small.constant("index of \(name)", [], [Int64(index)])
      small.add("Gather", ["shape", "index of \(name)"], name)
    }
    try small.constant("start", [], [0 as Int64])
    try small.constant("step", [], [1 as Int64])
    small.add("Range", ["start", "batch", "step"], "rows")
    small.add("Range", ["start", "length", "step"], "columns")
    try small.constant("last", [1], [1 as Int64])
    small.add("Unsqueeze", ["rows", "last"], "row")
    small.add("Mul", ["row", "length"], "offset")
    small.add("Add", ["offset", "columns"], "grid")
    small.add("Gather", ["flat", "grid"], "picked", ["axis": .int(0)])
    small.add("Mul", ["row", "batch"], "wrong offset")
    small.add("Add", ["wrong offset", "columns"], "wrong grid")
    small.add("Gather", ["flat", "wrong grid"], "wrong", ["axis": .int(0)])
    small.add("ReduceSum", ["attention_mask", "last"], "lengths", ["keepdims": .int(0)])
    small.add("ReduceSum", ["input_ids", "last"], "no lengths", ["keepdims": .int(0)])
    let graph = try small.graph("picked", "wrong", "lengths", "no lengths")
    #expect(mask("picked", graph)?.one == 1)
    #expect(graph.fact("picked").shape == [graph.batch, graph.sequence, Size(1)])
    #expect(mask("wrong", graph) == nil)
    #expect(graph.fact("lengths").content == .lengths)
    #expect(graph.fact("no lengths").content == .unknown)
  }

  // MARK: Quantisation

  private func quantized(step: Float, zero: UInt8 = 128) throws -> WorkGraph {
    var small = try Small()
    try small.scalar("step", step)
    try small.constant("point", [], [zero])
    small.add("QuantizeLinear", ["x", "step", "point"], "q")
    small.add("DequantizeLinear", ["q", "step", "point"], "d")
    try small.constant("integers", [8, 4], (0..<32).map { Int8($0) })
    try small.constant("steps", [4], [1, 2, 3, 4] as [Float])
    try small.constant("points", [4], [0, 0, 0, 0] as [Int8])
    small.add("DequantizeLinear", ["integers", "steps", "points"], "weights", ["axis": .int(1)])
    small.add("MatMul", ["d", "weights"], "product")
    small.add("Add", ["d", "d"], "sum")
    return try small.graph("product", "sum")
  }

  @Test("What is quantised and dequantised is one operation, for all its users")
  func quantization() throws {
    var graph = try quantized(step: 0.5)
    let counts = try run(ConstantFolding.self, QuantizationRecognition.self, on: &graph)
    #expect(counts == ["with fixed scales": 1])
    guard case .quantization(.fixed(let rounding)) = node("d", graph)?.operation else {
      Issue.record("no quantisation")
      return
    }
    #expect(rounding == Rounding(scale: 0.5, zeroPoint: 128, integers: .uint8))
    #expect(node("d", graph)?.inputs == ["x"])
    try run(LinearRecognition.self, on: &graph)
    guard case .linear(let form) = node("product", graph)?.operation else {
      Issue.record("no linear layer")
      return
    }
    #expect(form.linear.weights.quantization?.scales == [1, 2, 3, 4])
    #expect(node("product", graph)?.inputs == ["d"])
  }

  @Test("Infinite steps are not understood")
  func infiniteSteps() throws {
    var graph = try quantized(step: .infinity)
    let counts = try run(ConstantFolding.self, QuantizationRecognition.self, on: &graph)
    #expect(counts.isEmpty && node("d", graph)?.onnx("DequantizeLinear") != nil)
  }

  // MARK: Layer norm, linear layers, GELU

  @Test("Layer norm, as one node and decomposed; not over another axis")
  func layerNorm() throws {
    var small = try Small()
    try small.constant("scale", [8], (0..<8).map { Float($0) })
    try small.constant("bias", [8], (0..<8).map { Float(-$0) })
    small.add(
      "LayerNormalization", ["x", "scale", "bias"], "single", ["epsilon": .float(0.25), "axis": .int(-1)])
    small.add("LayerNormalization", ["x", "scale", "bias"], "wrong", ["axis": .int(1)])
    small.add("ReduceMean", ["x"], "mean", ["axes": .ints([-1])])
    small.add("Sub", ["x", "mean"], "centred")
    small.add("Mul", ["centred", "centred"], "squares")
    small.add("ReduceMean", ["squares"], "variance", ["axes": .ints([2])])
    try small.scalar("epsilon", 0.25)
    small.add("Add", ["epsilon", "variance"], "positive")
    small.add("Sqrt", ["positive"], "deviation")
    small.add("Div", ["centred", "deviation"], "normal")
    small.add("Mul", ["scale", "normal"], "scaled")
    small.add("Add", ["scaled", "bias"], "decomposed")
    var graph = try small.graph("single", "wrong", "decomposed")
    let counts = try run(LayerNormRecognition.self, on: &graph)
    #expect(counts == ["LayerNormalization": 1, "decomposed": 1])
    for name in ["single", "decomposed"] {
      guard case .layerNormalization(let form) = node(name, graph)?.operation else {
        Issue.record("\(name) is no layer norm")
        continue
      }
      #expect(form.norm.epsilon == 0.25 && form.roundings.count == 0)
      #expect(form.norm.bias[3] == -3)
      #expect(graph.nodes.first { $0.outputs == [name] }?.inputs == ["x"])
    }
    #expect(graph.remarks["wrong"] != nil)
  }

  @Test("Linear layers: MatMul and Add, Gemm, transposed weights, scaled integers")
  func linear() throws {
    var small = try Small()
    try small.constant("weights", [4, 8], (0..<32).map { Float($0) })
    small.add("Transpose", ["weights"], "turned")
    small.add("MatMul", ["x", "turned"], "product")
    try small.constant("bias", [4], [1, 2, 3, 4] as [Float])
    small.add("Add", ["bias", "product"], "biased")
    try small.constant("rows", [2], [-1, 8] as [Int64])
    small.add("Reshape", ["x", "rows"], "flat")
    small.add("Gemm", ["flat", "weights", "bias"], "gemm", ["transB": .int(1)])
    small.add("Gemm", ["flat", "weights", "bias"], "scaled", ["transB": .int(1), "alpha": .float(2)])
    try small.constant("integers", [8, 2], (0..<16).map { Int8($0) })
    small.add("Cast", ["integers"], "real", ["to": .int(1)])
    try small.constant("steps", [1, 2], [0.5, 2] as [Float])
    small.add("Mul", ["real", "steps"], "dequantised")
    small.add("MatMul", ["x", "dequantised"], "weighted")
    var graph = try small.graph("biased", "gemm", "scaled", "weighted")
    let counts = try run(ConstantFolding.self, ShapeArithmetic.self, LinearRecognition.self, on: &graph)
    #expect(counts == ["MatMul": 2, "Gemm": 1, "bias": 1])
    for name in ["biased", "gemm"] {
      guard case .linear(let form) = node(name, graph)?.operation, form.hasBias else {
        Issue.record("\(name) is no linear layer with a bias")
        continue
      }
      let linear = form.linear
      #expect(linear.weights.layout == .outputsByInputs)
      #expect((linear.weights.inputs, linear.weights.outputs) == (8, 4))
      #expect(linear.bias == [1, 2, 3, 4])
    }
    guard case .linear(let weighted) = node("weighted", graph)?.operation, !weighted.hasBias else {
      Issue.record("no linear layer of integers")
      return
    }
    #expect(weighted.linear.weights.quantization == .init(scales: [0.5, 2], zeroPoints: [0, 0]))
    #expect(graph.remarks["scaled"] != nil)
  }

  @Test("GELU by erf and by tanh, and not by another constant", arguments: [Float(0.044715), 0.05])
  func gelu(cubic: Float) throws {
    var small = try Small()
    for (name, value) in [("half", 0.5), ("one", 1), ("cubic", cubic), ("√2", Float(2).squareRoot()), ("3", 3)] {
      try small.scalar(name, value)
    }
    try small.scalar("√(2/π)", (2 / Float.pi).squareRoot())
    small.add("Div", ["x", "√2"], "a")
    small.add("Erf", ["a"], "b")
    small.add("Add", ["b", "one"], "c")
    small.add("Mul", ["x", "c"], "d")
    small.add("Mul", ["d", "half"], "exact")
    small.add("Pow", ["x", "3"], "e")
    small.add("Mul", ["cubic", "e"], "f")
    small.add("Add", ["x", "f"], "g")
    small.add("Mul", ["g", "√(2/π)"], "h")
    small.add("Tanh", ["h"], "i")
    small.add("Add", ["one", "i"], "j")
    small.add("Mul", ["half", "x"], "k")
    small.add("Mul", ["k", "j"], "approximate")
    small.add("Gelu", ["x"], "node", ["approximate": .string("tanh")])
    var graph = try small.graph("exact", "approximate", "node")
    let counts = try run(ConstantFolding.self, GELURecognition.self, on: &graph)
    #expect(counts == (cubic == 0.05 ? ["erf": 1, "Gelu": 1] : ["erf": 1, "tanh": 1, "Gelu": 1]))
  }

  // MARK: Attention, embeddings, fused operators

  private func attention(
    _ attributes: [String: Attribute] = [:], mask: String = "mask"
  ) throws -> WorkGraph {
    var small = try Small()
    for name in ["query", "key", "value"] {
      try small.constant("\(name) weights", [8, 8], (0..<64).map { Float($0) })
      small.add("MatMul", ["x", "\(name) weights"], name)
    }
    small.add("Cast", ["attention_mask"], "mask", ["to": .int(6)])
    small.add("Cast", ["input_ids"], "ids", ["to": .int(6)])
    small.add(
      "MultiHeadAttention", ["query", "key", "value", "", mask], "context",
      ["num_heads": .int(2)].merging(attributes) { _, new in new }, domain: "com.microsoft")
    return try small.graph("context")
  }

  private func attentionCounts(_ graph: inout WorkGraph) throws -> [String: Int] {
    try run(
      ConstantFolding.self, ShapeArithmetic.self, MaskRecognition.self, LinearRecognition.self,
      AttentionRecognition.self, on: &graph)
  }

  @Test("A fused attention is written out and recognised, with its heads and mask")
  func fusedAttention() throws {
    var graph = try attention()
    #expect(try attentionCounts(&graph) == ["MatMul, Softmax, MatMul": 1])
    guard case .attention(let form) = node("context", graph)?.operation, form.heads == 2, form.isMasked else {
      Issue.record("no masked attention of two heads")
      return
    }
    #expect(graph.nodes.last?.inputs == ["query", "key", "value"])
    #expect(graph.nodes.last?.operatorType == "MultiHeadAttention")
  }

  @Test(
    "Attention that is another function stays, with a remark",
    arguments: [["scale": Attribute.float(1)], ["unidirectional": .int(1)], ["num_heads": .int(3)]])
  func otherAttention(attributes: [String: Attribute]) throws {
    var graph = try attention(attributes)
    #expect(try attentionCounts(&graph).isEmpty)
    #expect(graph.remarks["context"] != nil)
  }

  @Test("A mask that is made from the ids is none")
  func otherMask() throws {
    let graph = try attention(mask: "ids")
    #expect(graph.nodes.contains { $0.onnx("MultiHeadAttention", domain: "com.microsoft") != nil })
    #expect(graph.remarks["context"]?.contains("mask") == true)
  }

  @Test("Embeddings are words and positions; words alone are a part of something else")
  func embeddings() throws {
    var small = try Small()
    try small.constant("table", [30, 8], (0..<240).map { Float($0) })
    try small.constant("ramp", [1, 30], (0..<30).map { Int64($0) })
    small.add("Shape", ["input_ids"], outputs: ["shape"])
    try small.constant("one", [1], [1 as Int64])
    try small.constant("zero", [1], [0 as Int64])
    small.add("Gather", ["shape", "one"], "length")
    small.add("Slice", ["ramp", "zero", "length", "one"], "places")
    small.add("Gather", ["table", "places"], "positions")
    small.add("Add", ["x", "positions"], "sum")
    small.add("Add", ["x", "x"], "twice")
    var graph = try small.graph("sum", "twice")
    do {
      let counts = try run(ConstantFolding.self, EmbeddingRecognition.self, on: &graph)
      #expect(counts == ["words and positions": 1])
    }
    guard case .embeddings(let tables) = node("sum", graph)?.operation else {
      Issue.record("no embeddings")
      return
    }
    #expect(tables.positions.values.shape == [30, 8])
    #expect(graph.remarks["twice"] != nil)
  }

  @Test("Quantising scalars rounds half to even and saturates")
  func scalars() {
    func code(_ value: Double, _ type: ElementType) -> Int? {
      ScalarOperator.quantize(.real(value), scale: .real(0.5), zeroPoint: .integer(Size(3)), type: type)?.int
    }
    #expect(code(0.75, .uint8) == 5)
    #expect(code(1.25, .uint8) == 5)
    #expect(code(-10, .uint8) == 0)
    #expect(code(-10, .int8) == -17)
    #expect(code(-.infinity, .int8) == -128)
    #expect(code(.nan, .int8) == nil)
    let real = ScalarOperator.dequantize(
      .integer(Size(-17)), scale: .real(0.5), zeroPoint: .integer(Size(3)), type: .float)
    #expect(real?.number == -10)
  }
}
