import ONNX

/// How one node's result differs from given values, when it is run on given values of its inputs.
///
/// Nothing that earlier nodes did differently takes part: where an operator follows its document, this is the rounding of
/// its own arithmetic.
public struct NodeCheck: Sendable {
  /// The node's label and its operator, with its domain where that is not ONNX's own.
  public let node: String
  public let operatorType: String
  /// The output that was compared.
  public let output: String
  public let count: Int
  /// The largest difference: of floats, or of integers.
  public let absolute: Double
  /// That, as a part of the largest magnitude that was given.
  public let relative: Double
  /// The number of elements that differ.
  public let differing: Int
  public let isFloatingPoint: Bool
}

extension Interpreter {
  /// Runs each node of the graph by itself on `values`, and compares what it gives with `values`.
  ///
  /// - Parameter values: Values of the graph by name, those of another runtime: its inputs, and what its nodes gave. What is
  ///   missing among the latter (constants, often) is computed here; nodes that need an input that is missing are left out.
  /// - Throws: `InterpreterError` where a node fails, or gives another type or shape.
  public func checkNodes(on values: [String: Value]) throws(InterpreterError) -> [NodeCheck] {
    var result: [NodeCheck] = []
    var known = values
    for node in nodes {
      guard let results = try run(node, on: known) else { continue }
      for (name, found) in zip(node.outputs, results) where !name.isEmpty {
        if let expected = values[name] {
          result.append(try NodeCheck(node, name, found, expected))
        } else {
          known[name] = found
        }
      }
    }
    return result
  }
}

extension NodeCheck {
  fileprivate init(_ node: Node, _ output: String, _ found: Value, _ expected: Value) throws(InterpreterError) {
    guard found.elementType == expected.elementType, found.shape == expected.shape else {
      throw .node(
        node: node.label, operator: node.operatorType,
        reason: "its output '\(output)' is \(found.elementType)\(found.shape), where \(expected.elementType)"
          + "\(expected.shape) is given")
    }
    let isFloatingPoint = found.elementType.isFloatingPoint
    var (absolute, magnitude, differing) = (0.0, 0.0, 0)
    func compare(_ ours: Double, _ theirs: Double) {
      if theirs.isFinite { magnitude = max(magnitude, abs(theirs)) }
      if ours == theirs || ours.isNaN && theirs.isNaN { return }
      differing += 1
      let difference = abs(ours - theirs)
      absolute = max(absolute, difference.isNaN ? .infinity : difference)
    }
    if isFloatingPoint {
      for (ours, theirs) in zip(try found.doubles(), try expected.doubles()) { compare(ours, theirs) }
    } else if case .bool(let ours) = found.storage, case .bool(let theirs) = expected.storage {
      for (ours, theirs) in zip(ours, theirs) { compare(ours ? 1 : 0, theirs ? 1 : 0) }
    } else {
      for (ours, theirs) in zip(try found.int64s(), try expected.int64s()) { compare(Double(ours), Double(theirs)) }
    }
    self.init(
      node: node.label, operatorType: (node.domain.isEmpty ? "" : node.domain + ".") + node.operatorType, output: output,
      count: found.count, absolute: absolute, relative: absolute == 0 ? 0 : absolute / magnitude, differing: differing,
      isFloatingPoint: isFloatingPoint)
  }
}
