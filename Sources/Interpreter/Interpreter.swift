import ONNX
import Observation

/// Runs an ONNX graph node by node, as ONNX's documents and, for `com.microsoft`, ONNX Runtime's define each operator.
///
/// It is the oracle for faster executors: slow, plain and single-threaded. All of a model's initialisers are copied into
/// memory when the interpreter is made. A value is let go after the last node that takes it.
public struct Interpreter: Sendable {
  private let graph: Graph
  private let versions: [String: Int]
  private let memoryLimit: Int
  private let initializers: [String: Value]

  /// An interpreter of a model.
  ///
  /// - Parameter memoryLimit: The bytes that the values computed may take at any time, the initialisers apart.
  /// - Throws: `InterpreterError.unsupported`, which names the node, for an operator that is not implemented.
  public init(_ model: Model, memoryLimit: Int = 1 << 33) throws(InterpreterError) {
    graph = model.graph
    versions = model.opsetImports.mapValues { Int($0) }
    self.memoryLimit = memoryLimit
    var initializers: [String: Value] = [:]
    for (name, tensor) in model.graph.initializers {
      initializers[name] = try Self.value(of: tensor, name: name)
    }
    self.initializers = initializers
    try checkOperators(of: graph, depth: 0)
  }

  /// Computes values of the graph.
  ///
  /// - Parameters:
  ///   - inputs: A value for each of the graph's inputs.
  ///   - names: The values to give, of any node of the graph; nil stands for the graph's outputs. Nodes that they do not
  ///     depend on are not run.
  ///   - observer: Is handed each node as an operation, and those values of floats that it asks for by name.
  /// - Returns: The values by name.
  public func run(
    _ inputs: [String: Value], outputs names: [String]? = nil, observer: Observer? = nil
  ) throws(InterpreterError) -> [String: Value] {
    for input in graph.inputs { try check(inputs[input.name], against: input) }
    for name in inputs.keys.sorted() where !graph.inputs.contains(where: { $0.name == name }) {
      throw .input(name: name, reason: "the graph does not take it")
    }
    return try execute(
      graph, given: inputs, initializers: initializers, outer: [:], outputs: names, depth: 0, observer: observer)
  }

  /// The graph's own nodes.
  var nodes: [Node] { graph.nodes }

  /// What one of the graph's nodes gives for values by name; nil where one of its inputs is neither among them nor an initialiser.
  func run(_ node: Node, on values: [String: Value]) throws(InterpreterError) -> [Value]? {
    var inputs: [Value?] = []
    for name in node.inputs {
      let value = values[name] ?? initializers[name]
      if !name.isEmpty, value == nil { return nil }
      inputs.append(name.isEmpty ? nil : value)
    }
    return try call(node, inputs, visible: initializers.merging(values) { $1 }, depth: 0)
  }

  // MARK: - Checks

  /// How deep graphs may be nested.
  private static let largestDepth = 16

  private func checkOperators(of graph: Graph, depth: Int) throws(InterpreterError) {
    for node in graph.nodes {
      let name = node.domain.isEmpty ? node.operatorType : "\(node.domain).\(node.operatorType)"
      func refuse(_ reason: String) -> InterpreterError {
        .unsupported(node: node.label, operator: name, reason: reason)
      }
      guard let version = versions[node.domain] else { throw refuse("the model states no version of its domain") }
      let range = OperatorRegistry.versions
      guard !node.domain.isEmpty || range.contains(version) else {
        throw refuse("version \(version) of the operator set (\(range.lowerBound) to \(range.upperBound) are)")
      }
      let definition = OperatorRegistry.definition(domain: node.domain, name: node.operatorType, version: version)
      guard definition != nil else { throw refuse("an operator that is not implemented") }
      for case .graph(let child) in node.attributes.values {
        guard depth < Self.largestDepth else { throw refuse("graphs nested more than \(Self.largestDepth) deep") }
        try checkOperators(of: child, depth: depth + 1)
      }
    }
  }

  private func check(_ value: Value?, against input: ValueInfo) throws(InterpreterError) {
    guard let value else { throw .input(name: input.name, reason: "is missing") }
    if let type = input.elementType, type != value.elementType {
      throw .input(name: input.name, reason: "has elements of type \(value.elementType), expected \(type)")
    }
    guard let shape = input.shape else { return }
    let fits = shape.count == value.shape.count
      && zip(shape, value.shape).allSatisfy { stated, size in
        if case .fixed(let stated) = stated { stated == size } else { true }
      }
    guard fits else {
      let expected = shape.map(\.description).joined(separator: ", ")
      throw .input(name: input.name, reason: "has the shape \(value.shape), expected [\(expected)]")
    }
  }

  private static func value(of tensor: Tensor, name: String) throws(InterpreterError) -> Value {
    do throws(InterpreterError) {
      return try Value(tensor)
    } catch {
      throw .initializer(name: name, reason: error.description)
    }
  }

  // MARK: - Execution

  /// Runs the nodes that the values asked for depend on.
  private func execute(
    _ graph: Graph, given: [String: Value], initializers: [String: Value], outer: [String: Value],
    outputs names: [String]?, depth: Int, observer: Observer? = nil
  ) throws(InterpreterError) -> [String: Value] {
    let clock = ContinuousClock()
    let wanted = Set(names ?? graph.outputs.map(\.name))
    let plan = Self.plan(for: wanted, in: graph)
    var live = given
    var liveBytes = 0
    func value(_ name: String) -> Value? { live[name] ?? initializers[name] ?? outer[name] }
    for (position, index) in plan.nodes.enumerated() {
      let node = graph.nodes[index]
      let inputs = node.inputs.map { $0.isEmpty ? nil : value($0) }
      for (name, value) in zip(node.inputs, inputs) where !name.isEmpty && value == nil {
        throw .node(node: node.label, operator: node.operatorType, reason: "its input '\(name)' has no value")
      }
      // A nested graph may take any value around it.
      let visible = node.hasGraphs ? outer.merging(initializers) { $1 }.merging(live) { $1 } : [:]
      let began = clock.now
      let results = try call(node, inputs, visible: visible, depth: depth)
      if let observer {
        Self.report(node, inputs, results, start: began - observer.origin, duration: clock.now - began, to: observer)
      }
      for (name, result) in zip(node.outputs, results) where !name.isEmpty {
        live[name] = result
        liveBytes += result.byteCount
      }
      guard liveBytes <= memoryLimit else { throw .memory(node: node.label, bytes: liveBytes, limit: memoryLimit) }
      for name in plan.released[position] where given[name] == nil {
        if let value = live.removeValue(forKey: name) { liveBytes -= value.byteCount }
      }
    }
    var result: [String: Value] = [:]
    for name in wanted {
      guard let value = value(name) else { throw .unknownValue(name: name) }
      result[name] = value
    }
    return result
  }

  private static func report(
    _ node: Node, _ inputs: [Value?], _ results: [Value], start: Duration, duration: Duration, to observer: Observer
  ) {
    observer.observe(
      ObservedOperation(
        name: node.label, inputs: inputs.map { $0?.shape ?? [] }, output: results.first?.shape ?? [],
        kernels: [node.operatorType], start: start, duration: duration))
    for (name, value) in zip(node.outputs, results) where !name.isEmpty && observer.wants(name) {
      let elements: ObservedTensor.Elements
      switch value.storage {
      case .float(let values): elements = .float32(values)
      case .int8(let values): elements = .int8(values)
      case .uint8(let values): elements = .uint8(values)
      // Other whole numbers and truths are shapes and masks: nothing that is looked at as a tensor.
      default: continue
      }
      observer.observe(ObservedTensor(name: name, shape: value.shape, elements: elements))
    }
  }

  /// Runs one node.
  private func call(
    _ node: Node, _ inputs: [Value?], visible: [String: Value], depth: Int
  ) throws(InterpreterError) -> [Value] {
    let version = versions[node.domain] ?? 0
    let definition = OperatorRegistry.definition(domain: node.domain, name: node.operatorType, version: version)
    func failed(_ reason: String) -> InterpreterError {
      .node(node: node.label, operator: node.operatorType, reason: reason)
    }
    guard let definition else { throw failed("is not implemented") }
    let results: [Value]
    do {
      results = try definition.run(
        Call(node: node, inputs: inputs, version: version) { child in
          var constants: [String: Value] = [:]
          for (name, tensor) in child.initializers { constants[name] = try Self.value(of: tensor, name: name) }
          let outputs = try execute(
            child, given: [:], initializers: constants, outer: visible, outputs: nil, depth: depth + 1)
          return child.outputs.compactMap { outputs[$0.name] }
        })
    } catch let error as Failure {
      throw failed(error.reason)
    } catch let error as ONNXError {
      throw failed(error.description)
    } catch let error as InterpreterError {
      if case .value(let reason) = error { throw failed("an input \(reason)") }
      throw error
    } catch {
      throw failed("\(error)")
    }
    for index in node.outputs.indices where node.output(index) != nil && index >= results.count {
      throw failed("output \(index) is not implemented")
    }
    return results
  }

  /// The nodes to run for `wanted`, in order, and the values that nobody needs after each of them.
  private static func plan(for wanted: Set<String>, in graph: Graph) -> (nodes: [Int], released: [[String]]) {
    var needed = wanted
    var nodes: [Int] = []
    for (index, node) in graph.nodes.enumerated().reversed() where node.outputs.contains(where: needed.contains) {
      nodes.append(index)
      needed.formUnion(node.takenValues)
    }
    nodes.reverse()
    var lastUse: [String: Int] = [:]
    for (position, index) in nodes.enumerated() {
      // A value that nobody takes is let go by the node that makes it.
      for name in graph.nodes[index].outputs + graph.nodes[index].takenValues { lastUse[name] = position }
    }
    var released = [[String]](repeating: [], count: nodes.count)
    for (name, position) in lastUse where !wanted.contains(name) { released[position].append(name) }
    return (nodes, released)
  }
}

extension Node {
  /// Whether an attribute of the node is a graph.
  fileprivate var hasGraphs: Bool { attributes.values.contains { if case .graph = $0 { true } else { false } } }

  /// The names of the values that the node or a graph inside it takes.
  fileprivate var takenValues: [String] {
    var names = inputs
    for case .graph(let child) in attributes.values {
      names += child.nodes.flatMap(\.takenValues) + child.outputs.map(\.name)
    }
    return names
  }
}
