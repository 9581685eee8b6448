import Encoder
import ONNX

/// Recognises multi-head attention: softmax(q · kᵀ / √d + mask) · v, its heads split from and merged into rows by
/// reshapes and transposes.
///
/// The scale may stand on q, on k, on both, or on their product; the mask may be added or filled in. Inputs of the two products that are
/// quantised from their own range are taken as they were before: the rounding stands for no function that a file could mean.
enum AttentionRecognition: Pass {
  static let name = "attention"
  static let summary = "heads, scale, mask and softmax become one operation on three linear layers"

  static func run(_ graph: inout WorkGraph, _ counts: inout [String: Int]) {
    let recogniser = AttentionMatcher(graph)
    for index in graph.nodes.indices {
      let node = graph.nodes[index]
      guard let output = node.outputs.first else { continue }
      switch node.operation {
      case .reshape, .transpose: break
      default: continue
      }
      guard let end = recogniser.trace(output, to: recogniser.isProduct) else { continue }
      do throws(Mismatch) {
        var found = try recogniser.core(end.base)
        if found == nil { found = try recogniser.standardAttention(end.base) }
        guard var core = found else { continue }
        var view = core.view
        guard recogniser.replay(end.steps, on: &view) else { throw Mismatch("reshapes of whole heads") }
        guard end.scale == 1 else { throw Mismatch("attention's result without a scale") }
        core.attention.context = try recogniser.matcher.roundings(end.arithmetic.compactMap(\.quantization))
        // Rows again: batch, sequence, and the heads side by side.
        let flat = Array(view.axes.joined())
        let order: [AxisView.Atom] = [.batch, .sequence, .heads, .headSize, .width]
        guard flat == order.filter({ flat.contains($0) }), let last = view.axes.last,
          !last.contains(.batch), !last.contains(.sequence), recogniser.matcher.width(output) == core.width
        else { continue }
        graph.nodes[index] = node.becoming(.attention(core.attention), inputs: [core.query, core.key, core.value])
        counts[core.form, default: 0] += 1
      } catch {
        graph.remarks[output] = error.expected
      }
    }
  }
}

/// What stands between attention's linear layers and the product with its values.
struct AttentionMatcher {
  let matcher: Matcher
  private let graph: WorkGraph

  /// The half type of the graph's constants.
  private let halfType: ElementType

  init(_ graph: WorkGraph) {
    self.graph = graph
    matcher = Matcher(graph)
    halfType = graph.facts.values.contains { $0.type == .bfloat16 } ? .bfloat16 : .float16
  }

  struct Core {
    var query, key, value: String
    var attention: AttentionForm
    /// Heads times head size.
    var width: Int
    var view: AxisView
    var form: String
    var heads: Int { attention.heads }
  }

  /// The largest value that takes a key out: what it adds underflows in a softmax over scores below 9,900.
  static let maximumFill = -10_000.0

  // MARK: Views

  enum Step {
    case reshape([Size])
    case transpose([Int])
  }

  /// What stands between a value and the one that it is traced back to.
  struct Trace {
    var base: String
    var steps: [Step] = []
    var scale = 1.0
    var isHalf = false
    /// Scales and roundings, in their order.
    var arithmetic: [Arithmetic] = []
  }

  enum Arithmetic {
    case scale(Double)
    case quantization(ValueQuantization)

    var quantization: ValueQuantization? { if case .quantization(let quantization) = self { quantization } else { nil } }
  }

  /// Goes back over reshapes, transposes, quantisations and constant scales to the value that `isBase` accepts.
  func trace(_ name: String, to isBase: (WorkNode) -> Bool) -> Trace? {
    var trace = Trace(base: name)
    while let node = matcher.producer(of: trace.base) {
      if isBase(node) {
        trace.steps.reverse()
        trace.arithmetic.reverse()
        return trace
      }
      guard let source = node.input(0), let shape = graph.fact(trace.base).shape else { return nil }
      switch node.operation {
      case .reshape:
        trace.steps.append(.reshape(shape))
        trace.base = source
      case .transpose(let order):
        trace.steps.append(.transpose(order))
        trace.base = source
      case .quantization(let quantization):
        trace.arithmetic.append(.quantization(quantization))
        trace.base = source
      default:
        guard let (value, factor, half) = scaled(node, shape: shape) else { return nil }
        trace.arithmetic.append(.scale(factor))
        trace.scale *= factor
        trace.isHalf = trace.isHalf || half
        trace.base = value
      }
    }
    return nil
  }

  /// What happens to a value, as the executor takes it.
  func scoreSteps(_ arithmetic: [Arithmetic]) throws(Mismatch) -> [DistilBERT.Roundings.ScoreStep] {
    var result: [DistilBERT.Roundings.ScoreStep] = []
    for step in arithmetic {
      switch step {
      case .scale(let factor): result.append(.scale(Float(factor)))
      case .quantization(let quantization): result += try fixedRoundings([quantization]).map { .round($0) }
      }
    }
    return result
  }

  /// The roundings with fixed scales among what a product's input passes.
  private func fixedRoundings(_ passed: [ValueQuantization]) throws(Mismatch) -> [Rounding] {
    try matcher.roundings(passed.filter { $0 != .dynamic })
  }

  /// A value times, or divided by, a constant.
  private func scaled(_ node: WorkNode, shape: [Size]) -> (value: String, factor: Double, isHalf: Bool)? {
    func isHalf(_ name: String) -> Bool { [.float16, .bfloat16].contains(graph.fact(name).type) }
    if node.onnx("Mul") != nil {
      for (value, constant) in matcher.pairs(node) {
        if let factor = matcher.scalar(constant), graph.fact(value).shape == shape {
          return (value, factor, isHalf(constant))
        }
      }
    } else if node.onnx("Div") != nil, node.inputs.count == 2, let divisor = matcher.scalar(node.inputs[1]),
      divisor != 0, graph.fact(node.inputs[0]).shape == shape
    {
      return (node.inputs[0], 1 / divisor, isHalf(node.inputs[1]))
    }
    return nil
  }

  func replay(_ steps: [Step], on view: inout AxisView) -> Bool {
    for step in steps {
      switch step {
      case .reshape(let shape): guard view.regroup(to: shape) else { return false }
      case .transpose(let order): guard view.transpose(order) else { return false }
      }
    }
    return true
  }

  func isProduct(_ node: WorkNode) -> Bool { node.onnx("MatMul") != nil || node.onnx("Attention") != nil }

  private func isLinear(_ node: WorkNode) -> Bool { if case .linear = node.operation { true } else { false } }

  struct Projection {
    var base: String
    var view: AxisView
    var scale: Double
    var isHalf: Bool
    var arithmetic: [Arithmetic]
  }

  /// The linear layer that a value is a view of.
  func projection(_ name: String) throws(Mismatch) -> Projection {
    guard let traced = trace(name, to: isLinear), let shape = graph.fact(traced.base).shape,
      var view = AxisView(shape: shape, batch: graph.batch, sequence: graph.sequence), replay(traced.steps, on: &view)
    else { throw Mismatch("attention's queries, keys and values as linear layers whose outputs are split into heads") }
    return Projection(
      base: traced.base, view: view, scale: traced.scale, isHalf: traced.isHalf, arithmetic: traced.arithmetic)
  }

  // MARK: The product

  /// softmax(…) · v, where `name` is that product; nil if its left side is no softmax.
  func core(_ name: String) throws(Mismatch) -> Core? {
    var passed: [ValueQuantization] = []
    guard let product = matcher.node(name, "MatMul"), product.inputs.count == 2,
      let softmax = probabilities(product.inputs[0], &passed)
    else { return nil }
    guard let onnx = softmax.onnx, let scores = softmax.input(0), let rank = graph.fact(scores).shape?.count,
      let axis = try? onnx.int("axis", default: graph.opset < 13 ? 1 : -1),
      FactEvaluator.axis(axis, rank: rank) == rank - 1
    else { throw Mismatch("attention's softmax over the last axis") }

    let unmasked = try removeMasks(scores)
    guard let dot = matcher.node(unmasked.value, "MatMul"), dot.inputs.count == 2 else {
      throw Mismatch("attention's scores as queries times keys, scaled and masked")
    }
    let (query, key) = (try projection(dot.inputs[0]), try projection(dot.inputs[1]))
    let value = try projection(product.inputs[1])
    guard value.scale == 1 else { throw Mismatch("attention's values without a scale") }
    var core = try checked(query, key, value, keyIsTransposed: true)
    let scale = unmasked.scale * query.scale * key.scale
    try check(scale: scale, headSize: core.width / core.heads, isHalf: unmasked.isHalf || query.isHalf || key.isHalf)
    for mask in unmasked.masks { try check(maskAxesOf: mask, against: core.view) }
    core.attention.isMasked = !unmasked.masks.isEmpty
    core.attention.scores = try scoreSteps(unmasked.arithmetic)
    core.attention.probabilities = try fixedRoundings(passed)
    return core
  }

  /// ONNX Attention-23 on `[batch, heads, sequence, head size]`, where `name` is its result; nil for other values.
  func standardAttention(_ name: String) throws(Mismatch) -> Core? {
    guard let node = matcher.node(name, "Attention"), let onnx = node.onnx, node.outputs.first == name,
      node.inputs.count >= 3
    else { return nil }
    guard node.inputs.dropFirst(4).allSatisfy(\.isEmpty) else { throw Mismatch("attention without earlier keys") }
    guard (try? onnx.int("is_causal", default: 0)) == 0, (try? onnx.float("softcap", default: 0)) == 0,
      onnx.attributes["q_num_heads"] == nil, onnx.attributes["kv_num_heads"] == nil
    else { throw Mismatch("attention over all keys, with no cap on its scores, of inputs with four axes") }
    let (query, key) = (try projection(node.inputs[0]), try projection(node.inputs[1]))
    let value = try projection(node.inputs[2])
    guard query.view.axes.count == 4, value.scale == 1 else {
      throw Mismatch("attention of inputs with four axes, its values without a scale")
    }
    var core = try checked(query, key, value, keyIsTransposed: false)
    let headSize = core.width / core.heads
    guard let scale = try? onnx.float("scale", default: Float(1 / Double(headSize).squareRoot())) else {
      throw Mismatch("attention with a float scale")
    }
    try check(
      scale: Double(scale) * query.scale * key.scale, headSize: headSize, isHalf: query.isHalf || key.isHalf)
    if let mask = node.input(3) {
      if graph.fact(mask).type == .bool {
        guard case .mask(_, _, .truth(true), .truth(false)) = graph.fact(mask).content else {
          throw Mismatch("a mask that is true where attention_mask is 1")
        }
      } else {
        try check(additiveMask: mask)
      }
      try check(maskAxesOf: mask, against: core.view)
      core.attention.isMasked = true
    }
    core.form = "Attention"
    return core
  }

  func check(scale: Double, headSize: Int, isHalf: Bool) throws(Mismatch) {
    let expected = 1 / Double(headSize).squareRoot()
    guard matcher.isClose(scale, expected, type: isHalf ? halfType : nil) else {
      throw Mismatch("attention's scores scaled by 1/√\(headSize) = \(Float(expected)), not \(Float(scale))")
    }
  }

  /// Checks that queries, keys and values are split into the same heads, and gives the view of the result.
  func checked(
    _ query: Projection, _ key: Projection, _ value: Projection, keyIsTransposed: Bool
  ) throws(Mismatch) -> Core {
    let rank = query.view.axes.count
    guard rank >= 3, query.view.sizes == key.view.sizes, query.view.sizes == value.view.sizes else {
      throw Mismatch("queries, keys and values of the same sizes")
    }
    let inner: AxisView.Atom = query.view.sizes[.heads] == nil ? .width : .headSize
    let sequence = query.view.expected([[.sequence]])[0]
    let size = query.view.expected([[inner]])[0]
    let outer = Array(query.view.axes.dropLast(2))
    let outerAtoms = Set(outer.joined())
    guard query.view.axes == outer + [sequence, size], value.view.axes == query.view.axes,
      key.view.axes == outer + (keyIsTransposed ? [size, sequence] : [sequence, size]),
      outerAtoms.isSubset(of: [.batch, .heads])
    else { throw Mismatch("queries [batch, heads, sequence, head size], keys and values likewise, for one product") }
    guard let headSize = query.view.sizes[inner]?.constant else { throw Mismatch("heads of a known size") }
    let heads = query.view.heads ?? 1
    let attention = AttentionForm(
      heads: heads, queries: try scoreSteps(query.arithmetic), keys: try scoreSteps(key.arithmetic),
      values: try fixedRoundings(value.arithmetic.compactMap(\.quantization)))
    return Core(
      query: query.base, key: key.base, value: value.base, attention: attention, width: heads * headSize,
      view: query.view, form: "MatMul, Softmax, MatMul")
  }

  /// The softmax that a value is, or is where it is a number.
  private func probabilities(_ name: String, _ passed: inout [ValueQuantization]) -> WorkNode? {
    let name = matcher.unquantized(name, &passed)
    if let softmax = matcher.node(name, "Softmax") { return softmax }
    // Rows without a single key are NaN in a softmax; exporters put zeros there. No row of ours is without a key: it
    // has itself.
    guard let choice = matcher.node(name, "Where"), choice.inputs.count == 3, matcher.scalar(choice.inputs[1]) == 0,
      let test = matcher.node(choice.inputs[0], "IsNaN"), test.input(0) == choice.inputs[2]
    else { return nil }
    return matcher.node(choice.inputs[2], "Softmax")
  }

  // MARK: Masks

  struct Unmasked {
    var value: String
    var scale = 1.0
    var isHalf = false
    var masks: [String] = []
    /// Scales and roundings, in their order.
    var arithmetic: [Arithmetic] = []
  }

  /// Goes back from a softmax's input over masks, and then over scales.
  private func removeMasks(_ name: String) throws(Mismatch) -> Unmasked {
    var result = Unmasked(value: name)
    while let node = matcher.producer(of: result.value), let shape = graph.fact(result.value).shape {
      if case .quantization(let quantization) = node.operation, let source = node.input(0) {
        result.arithmetic.insert(.quantization(quantization), at: 0)
        result.value = source
      } else if let (value, factor, isHalf) = scaled(node, shape: shape) {
        result.arithmetic.insert(.scale(factor), at: 0)
        result.value = value
        result.scale *= factor
        result.isHalf = result.isHalf || isHalf
      } else if result.scale == 1, let (value, mask, fill) = try masked(node), graph.fact(value).shape == shape {
        // What is rounded afterwards must leave the fill where it takes a key out, or make it the least score that there is: a file
        // calibrated on texts without padding knows no lower one. No padding takes part in either case.
        let roundings = try matcher.roundings(result.arithmetic.compactMap(\.quantization))
        let rounded = roundings.reduce(Float(fill)) { $1($0) }
        guard Double(rounded) <= Self.maximumFill || rounded == roundings.reduce(-.infinity, { $1($0) }) else {
          throw Mismatch(
            "masked scores that stay at \(Self.maximumFill) or less where they are quantised, or the least ones, not \(rounded)")
        }
        result.value = value
        result.masks.append(mask)
      } else {
        break
      }
    }
    return result
  }

  /// The scores and the mask that a node puts together.
  private func masked(_ node: WorkNode) throws(Mismatch) -> (scores: String, mask: String, fill: Double)? {
    if node.onnx("Add") != nil {
      for (scores, mask) in matcher.pairs(node) {
        guard case .mask(_, _, _, let zero) = graph.fact(mask).content else { continue }
        try check(additiveMask: mask)
        return (scores, mask, zero.number ?? 0)
      }
    }
    guard node.onnx("Where") != nil, node.inputs.count == 3,
      case .mask(_, _, let one, let zero) = graph.fact(node.inputs[0]).content
    else { return nil }
    let keeps: Bool
    switch (one.truth, zero.truth) {
    case (true, false): keeps = true
    case (false, true): keeps = false
    default: throw Mismatch("a mask that keeps keys where attention_mask is 1 and drops them where it is 0")
    }
    let (scores, fill) = keeps ? (node.inputs[1], node.inputs[2]) : (node.inputs[2], node.inputs[1])
    guard let number = matcher.scalar(fill) ?? graph.fact(fill).single?.number, number <= Self.maximumFill else {
      throw Mismatch(
        "a mask that fills in \(Self.maximumFill) or less where attention_mask is 0, and nothing where it is 1")
    }
    return (scores, node.inputs[0], number)
  }

  func check(additiveMask name: String) throws(Mismatch) {
    guard case .mask(_, _, let one, let zero) = graph.fact(name).content, one.number == 0, let fill = zero.number,
      fill <= Self.maximumFill
    else {
      throw Mismatch("a mask that adds 0 where attention_mask is 1, and \(Self.maximumFill) or less where it is 0")
    }
  }

  /// Checks that a mask's batch runs along the scores' batch, and its sequence along the keys.
  func check(maskAxesOf name: String, against view: AxisView) throws(Mismatch) {
    guard case .mask(let batch, let key, _, _) = graph.fact(name).content, let rank = graph.fact(name).shape?.count,
      rank <= view.axes.count
    else { throw Mismatch("a mask of the scores' rank") }
    let shift = view.axes.count - rank
    guard key.map({ $0 + shift == view.axes.count - 1 }) ?? true,
      batch.map({ view.axes[$0 + shift] == [.batch] }) ?? true
    else { throw Mismatch("a mask whose batch is the scores' batch, and whose sequence runs along the keys") }
  }
}
