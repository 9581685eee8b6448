import ONNX

/// Writes fused operators as the standard nodes that they stand for, so that every check on those holds for them too:
/// ONNX Runtime's own (domain `com.microsoft`) and the standard's operators on quantised tensors.
///
/// Their meaning: the operator documents of ONNX and of ONNX Runtime (ContribOperators). A form not covered here stays
/// as it is, with a remark that says why, and is the node that an error names.
struct FusedOperators {
  /// What the graph's constants are, those made here among them.
  private(set) var constants: [String: Tensor]
  /// How often each operator was written out.
  private(set) var counts: [String: Int] = [:]
  /// Why a node was left as it is, by its first output.
  private(set) var remarks: [String: String] = [:]
  /// Whether an attention takes a mask as the number of its ones, which is the mask only where the ones come first.
  private(set) var takesMaskAsLength = false
  /// The graph's own attention mask.
  private let attentionMask: String?
  private var producers: [String: Node] = [:]

  init(constants: [String: Tensor], attentionMask: String?) {
    self.constants = constants
    self.attentionMask = attentionMask
  }

  /// The nodes that stand for `node`, and the constants that they need; `node` itself where it is no fused operator.
  ///
  /// Nodes are given in their order: the facts of all inputs are known.
  mutating func expand(_ node: Node, facts: [String: Fact]) -> (nodes: [Node], constants: [String: Tensor]) {
    if node.operatorType == "Constant", let output = node.output(0), let tensor = try? node.optionalTensor("value") {
      constants[output] = tensor
    }
    for output in node.outputs where !output.isEmpty { producers[output] = node }
    guard let write = Self.writer(of: node) else { return ([node], [:]) }
    let written: (nodes: [Node], made: [String: Tensor], takesMaskAsLength: Bool)
    do {
      written = try writeOut(node, facts: facts, write)
    } catch {
      remarks[node.outputs.first ?? ""] = (error as? Mismatch)?.expected ?? "\(error)"
      return ([node], [:])
    }
    counts[node.operatorType, default: 0] += 1
    takesMaskAsLength = takesMaskAsLength || written.takesMaskAsLength
    constants.merge(written.made) { _, new in new }
    return (written.nodes, written.made)
  }

  private func writeOut(
    _ node: Node, facts: [String: Fact], _ write: Writer
  ) throws -> (nodes: [Node], made: [String: Tensor], takesMaskAsLength: Bool) {
    var expansion = Expansion(node, facts: facts, constants: constants, producers: producers, mask: attentionMask)
    try write(&expansion)
    return (expansion.nodes, expansion.made, expansion.takesMaskAsLength)
  }

  private typealias Writer = (inout Expansion) throws -> Void

  private static func writer(of node: Node) -> Writer? {
    switch (node.domain, node.operatorType) {
    case ("com.microsoft", "BiasGelu"): { try $0.biasGELU() }
    case ("com.microsoft", "FastGelu"): { try $0.fastGELU() }
    case ("com.microsoft", "SkipLayerNormalization"): { try $0.skipLayerNorm() }
    case ("com.microsoft", "EmbedLayerNormalization"): { try $0.embedLayerNorm() }
    case ("com.microsoft", "QEmbedLayerNormalization"): { try $0.quantizedEmbedLayerNorm() }
    case ("com.microsoft", "FusedMatMul"): { try $0.fusedProduct() }
    case ("com.microsoft", "Attention"): { try $0.attention() }
    case ("com.microsoft", "MultiHeadAttention"): { try $0.multiHeadAttention() }
    case ("com.microsoft", "QAttention"): { try $0.quantizedAttention() }
    case ("com.microsoft", "MatMulNBits"): { try $0.blockQuantizedProduct() }
    case ("com.microsoft", "MatMulBnb4"): { try $0.tableQuantizedProduct() }
    case ("com.microsoft", "DynamicQuantizeMatMul"): { try $0.dynamicallyQuantizedProduct() }
    case ("com.microsoft", "MatMulIntegerToFloat"): { try $0.integerProductToFloat() }
    case ("com.microsoft", "QuantizeLinear"), ("com.microsoft", "DequantizeLinear"): { try $0.standardQuantization() }
    case ("", "QLinearMatMul"), ("com.microsoft", "QLinearMatMul"): { try $0.quantizedProduct() }
    case ("com.microsoft", "QGemm"): { try $0.quantizedGemm() }
    case ("com.microsoft", "QLinearAdd"): { try $0.quantizedBinary("Add") }
    case ("com.microsoft", "QLinearMul"): { try $0.quantizedBinary("Mul") }
    case ("com.microsoft", "QLinearSoftmax"): { try $0.quantizedSoftmax() }
    case ("com.microsoft", "QLinearWhere"): { try $0.quantizedWhere() }
    case ("com.microsoft", "QLinearReduceMean"): { try $0.quantizedMean() }
    case ("com.microsoft", "QLinearConcat"): { try $0.quantizedConcat() }
    default: nil
    }
  }
}

/// One fused node being written out.
struct Expansion {
  let fused: Node
  let facts: [String: Fact]
  let constants: [String: Tensor]
  /// The nodes before this one, by what they produce.
  let producers: [String: Node]
  let attentionMask: String?
  private(set) var nodes: [Node] = []
  private(set) var made: [String: Tensor] = [:]
  var takesMaskAsLength = false
  /// The sum of embeddings, before its norm.
  var embeddingSum = ""

  init(_ node: Node, facts: [String: Fact], constants: [String: Tensor], producers: [String: Node], mask: String?) {
    fused = node
    self.facts = facts
    self.constants = constants
    self.producers = producers
    attentionMask = mask
  }

  /// Adds a node of the default domain that bears the fused node's label, so that errors name it; gives its output.
  @discardableResult
  mutating func add(
    _ type: String, _ inputs: [String], _ attributes: [String: Attribute] = [:], output: String? = nil
  ) -> String {
    let output = output ?? nextName()
    nodes.append(
      Node(name: fused.label, operatorType: type, inputs: inputs, outputs: [output], attributes: attributes))
    return output
  }

  /// Adds a node with several outputs.
  mutating func add(_ type: String, _ inputs: [String], outputs count: Int) -> [String] {
    let outputs = (0..<count).map { "\(nextName())/\($0)" }
    nodes.append(Node(name: fused.label, operatorType: type, inputs: inputs, outputs: outputs))
    return outputs
  }

  mutating func constant(_ tensor: Tensor) -> String {
    let name = nextName()
    made[name] = tensor
    return name
  }

  mutating func constant(_ value: Float) throws -> String { constant(try Tensor(shape: [], elements: [value])) }

  mutating func constant(_ values: [Int64]) throws -> String {
    constant(try Tensor(shape: [values.count], elements: values))
  }

  private func nextName() -> String {
    "\(fused.outputs.first { !$0.isEmpty } ?? fused.name)/fused/\(nodes.count + made.count)"
  }

  func fact(_ name: String) -> Fact { facts[name] ?? .unknown }

  func input(_ index: Int, _ meaning: String) throws(Mismatch) -> String {
    guard let name = fused.input(index) else { throw Mismatch("\(meaning) as input \(index)") }
    return name
  }

  /// The first output's name.
  func output() throws(Mismatch) -> String {
    guard let name = fused.output(0) else { throw Mismatch("a first output") }
    return name
  }

  func tensor(_ index: Int, _ meaning: String) throws(Mismatch) -> Tensor {
    guard let tensor = constants[try input(index, meaning)] else { throw Mismatch("\(meaning) as a constant") }
    return tensor
  }

  /// Refuses inputs that are given although nothing here follows them.
  func requireAbsent(_ inputs: Range<Int>, _ meaning: String) throws(Mismatch) {
    guard inputs.allSatisfy({ fused.input($0) == nil }) else { throw Mismatch("no \(meaning)") }
  }

  func requireInt(_ name: String, default value: Int = 0, is expected: Int = 0) throws {
    let found = try fused.int(name, default: value)
    guard found == expected else { throw Mismatch("`\(name)` \(expected), not \(found)") }
  }
}
