import Encoder
import ONNX

/// Looks backwards from a node of the graph, for the passes that recognise groups of nodes.
struct Matcher {
  let graph: WorkGraph
  private let producers: [String: Int]

  init(_ graph: WorkGraph) {
    self.graph = graph
    producers = graph.producers
  }

  func producer(of name: String) -> WorkNode? { producers[name].map { graph.nodes[$0] } }

  /// The node that produces a value, if it is an ONNX node of this operator.
  func node(_ name: String?, _ type: String, domain: String = "") -> WorkNode? {
    guard let name, let node = producer(of: name), node.onnx(type, domain: domain) != nil else { return nil }
    return node
  }

  /// Whether nothing of the input takes part in a value.
  func isConstant(_ name: String) -> Bool { graph.isConstant(name) }

  /// The number that a value is everywhere, if it is a constant of one element.
  func scalar(_ name: String?) -> Double? {
    guard let name else { return nil }
    return graph.fact(name).single?.number
  }

  /// A vector of `count` constants along the last axis: `[count]`, or with axes of size 1 before it.
  func vector(_ name: String?, count: Int) -> [Float]? {
    guard let name, let shape = graph.fact(name).shape?.constants, shape.last == count,
      shape.dropLast().allSatisfy({ $0 == 1 }), shape.count <= 4, let values = graph.floats(name), values.count == count
    else { return nil }
    return values
  }

  /// The same rows of the same width in another shape: reshapes that keep the last axis are looked through.
  func rows(_ name: String) -> String {
    var name = name
    while let node = producer(of: name), case .reshape = node.operation, let source = node.input(0),
      let width = graph.fact(name).shape?.last, width == graph.fact(source).shape?.last
    {
      name = source
    }
    return name
  }

  /// The size of the last axis, if it is a number.
  func width(_ name: String) -> Int? { graph.fact(name).shape?.last?.constant }

  /// The two inputs of a commutative operator in both orders.
  func pairs(_ node: WorkNode) -> [(String, String)] {
    guard node.inputs.count == 2 else { return [] }
    return [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])]
  }

  /// Whether a constant of the file is the number meant, as exactly as its element type can say it.
  func isClose(_ value: Double, _ expected: Double, type: ElementType?) -> Bool {
    let tolerance: Double = switch type {
    case .float16: 1e-3
    case .bfloat16: 8e-3
    default: 1e-5
    }
    return abs(value - expected) <= tolerance * abs(expected)
  }

  /// Whether the constant scalar `name` is `expected`.
  func isScalar(_ name: String?, _ expected: Double) -> Bool {
    guard let name, let value = scalar(name) else { return false }
    return isClose(value, expected, type: graph.fact(name).type)
  }

  /// Looks through quantisations, which it puts before those in `passed`: what the value passes, first to last.
  func unquantized(_ name: String, _ passed: inout [ValueQuantization]) -> String {
    var name = name
    while let node = producer(of: name), case .quantization(let quantization) = node.operation, let source = node.input(0) {
      passed.insert(quantization, at: 0)
      name = source
    }
    return name
  }

  /// As ``node(_:_:domain:)``, looking through fixed quantisations, which `passed` becomes.
  func node(_ name: String, _ type: String, passed: inout [Rounding]) throws(Mismatch) -> WorkNode? {
    var quantizations: [ValueQuantization] = []
    guard let node = node(unquantized(name, &quantizations), type) else { return nil }
    passed = try roundings(quantizations)
    return node
  }

  /// As ``rows(_:)``, looking through quantisations as well.
  func rows(_ name: String, _ passed: inout [ValueQuantization]) -> String {
    var name = name
    while true {
      let next = unquantized(rows(name), &passed)
      if next == name { return name }
      name = next
    }
  }

  /// Quantisations that all are roundings with fixed scales.
  func roundings(_ passed: [ValueQuantization]) throws(Mismatch) -> [Rounding] {
    var result: [Rounding] = []
    for quantization in passed {
      guard case .fixed(let rounding) = quantization else {
        throw Mismatch("a quantisation from a value's own range at a product's input only, its weights being integers")
      }
      // What is rounded is not changed by the same rounding.
      if rounding != result.last { result.append(rounding) }
    }
    return result
  }

  /// Whether one of the nodes shortly before a value quantises.
  func isQuantized(within name: String, depth: Int) -> Bool {
    guard depth > 0, let node = producer(of: name) else { return false }
    if case .quantization = node.operation { return true }
    return node.inputs.contains { isQuantized(within: $0, depth: depth - 1) }
  }

  /// A product taken apart: the constant scalars multiplied, and the values that are not products.
  ///
  /// `Mul` of anything and `Div` by constant scalars are taken apart, however they are nested.
  func factors(_ name: String) -> (constant: Double, values: [String], isHalf: Bool) {
    var result = (constant: 1.0, values: [String](), isHalf: false)
    var open = [name]
    // A product of more than eight factors is none that anything here looks for.
    var budget = 8
    while let next = open.popLast() {
      if let scalar = scalar(next) {
        result.constant *= scalar
        result.isHalf = result.isHalf || [.float16, .bfloat16].contains(graph.fact(next).type)
      } else if budget > 0, let node = node(next, "Mul"), node.inputs.count == 2 {
        budget -= 1
        open += node.inputs.reversed()
      } else if budget > 0, let node = node(next, "Div"), node.inputs.count == 2, let divisor = scalar(node.inputs[1]),
        divisor != 0
      {
        budget -= 1
        result.constant /= divisor
        result.isHalf = result.isHalf || [.float16, .bfloat16].contains(graph.fact(node.inputs[1]).type)
        open.append(node.inputs[0])
      } else {
        result.values.append(next)
      }
    }
    return result
  }
}

extension WorkGraph {
  func isConstant(_ name: String) -> Bool { constants[name] != nil || fact(name).isConstant }

  /// The elements of a floating-point constant.
  func floats(_ name: String) -> [Float]? {
    if let tensor = constants[name] { return try? tensor.floats() }
    guard case .elements(let elements) = fact(name).content else { return nil }
    var values: [Float] = []
    for element in elements {
      guard case .real(let value) = element else { return nil }
      values.append(Float(value))
    }
    return values
  }
}
