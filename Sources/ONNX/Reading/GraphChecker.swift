/// Checks the names of a graph's values and puts its nodes in order.
///
/// Every value is produced once, everything taken is produced somewhere, and nothing depends on itself. A graph in an
/// attribute may take values of the graphs around it; its node then depends on them.
struct GraphChecker {
  /// The model's file, for messages.
  let file: String

  /// The graph of a model, its nodes in order.
  func checked(_ graph: Graph) throws(ONNXError) -> Graph {
    guard !graph.outputs.isEmpty else { throw .invalid(file: file, place: "graph", reason: "has no outputs") }
    return try checked(graph, place: "", enclosing: []).graph
  }

  /// - Parameters:
  ///   - place: What goes before a place inside in messages.
  ///   - enclosing: The names of the values of the graphs around this one.
  /// - Returns: The graph with its nodes in order, and the values that it takes from the graphs around it.
  private func checked(
    _ graph: Graph, place: String, enclosing: [Set<String>]
  ) throws(ONNXError) -> (graph: Graph, captured: Set<String>) {
    let producers = try producers(in: graph, place: place, enclosing: enclosing)
    let visible = enclosing + [Set(producers.keys)]
    var graph = graph
    var captured = Set<String>()
    // For each node, the nodes whose outputs it takes.
    var dependencies: [[Int]] = []
    dependencies.reserveCapacity(graph.nodes.count)
    for index in graph.nodes.indices {
      let node = graph.nodes[index]
      var taken = node.inputs.filter { !$0.isEmpty }
      for (name, attribute) in node.attributes.sorted(by: { $0.key < $1.key }) {
        let inside = "\(place)node '\(node.label)', attribute '\(name)', "
        switch attribute {
        case .graph(let child):
          let result = try checked(child, place: inside, enclosing: visible)
          graph.nodes[index].attributes[name] = .graph(result.graph)
          taken += result.captured.sorted()
        case .graphs(let children):
          var sorted: [Graph] = []
          for child in children {
            let result = try checked(child, place: inside, enclosing: visible)
            sorted.append(result.graph)
            taken += result.captured.sorted()
          }
          graph.nodes[index].attributes[name] = .graphs(sorted)
        default: break
        }
      }
      var producersOfNode: [Int] = []
      for name in taken {
        if let origin = producers[name] {
          if case .node(let producer) = origin { producersOfNode.append(producer) }
        } else if enclosing.contains(where: { $0.contains(name) }) {
          captured.insert(name)
        } else {
          throw .invalid(
            file: file, place: "\(place)node '\(node.label)', input '\(name)'", reason: "nothing produces this value")
        }
      }
      dependencies.append(producersOfNode)
    }
    var outputNames = Set<String>()
    for output in graph.outputs {
      guard outputNames.insert(output.name).inserted else {
        throw .invalid(file: file, place: "\(place)output '\(output.name)'", reason: "is listed twice")
      }
      guard producers[output.name] == nil else { continue }
      guard enclosing.contains(where: { $0.contains(output.name) }) else {
        throw .invalid(file: file, place: "\(place)output '\(output.name)'", reason: "nothing produces this value")
      }
      captured.insert(output.name)
    }
    let order = try order(graph.nodes, dependencies, place: place)
    graph.nodes = order.map { graph.nodes[$0] }
    return (graph, captured)
  }

  private enum Origin {
    /// An input or an initialiser.
    case given
    /// The node at this index.
    case node(Int)
  }

  /// Where each of a graph's values comes from.
  private func producers(
    in graph: Graph, place: String, enclosing: [Set<String>]
  ) throws(ONNXError) -> [String: Origin] {
    var producers: [String: Origin] = [:]
    func define(_ name: String, from origin: Origin, _ definer: String) throws(ONNXError) {
      guard producers.updateValue(origin, forKey: name) == nil else {
        throw .invalid(file: file, place: "\(place)\(definer)", reason: "the value '\(name)' is produced twice")
      }
      guard !enclosing.contains(where: { $0.contains(name) }) else {
        throw .invalid(
          file: file, place: "\(place)\(definer)", reason: "hides the value '\(name)' of the graph around it")
      }
    }
    for input in graph.inputs { try define(input.name, from: .given, "input '\(input.name)'") }
    for name in graph.initializers.keys.sorted() { try define(name, from: .given, "initializer '\(name)'") }
    for (index, node) in graph.nodes.enumerated() {
      for name in node.outputs where !name.isEmpty { try define(name, from: .node(index), "node '\(node.label)'") }
    }
    return producers
  }

  /// An order in which every node comes after those it depends on: the given one if it will do, or the closest to it
  /// that puts the missing ones right before the node that needs them.
  private func order(_ nodes: [Node], _ dependencies: [[Int]], place: String) throws(ONNXError) -> [Int] {
    enum Mark { case new, open, done }
    var marks = [Mark](repeating: .new, count: nodes.count)
    var order: [Int] = []
    order.reserveCapacity(nodes.count)
    // Depth first, with a stack of our own: a chain of nodes may be as long as the file.
    var stack: [(node: Int, next: Int)] = []
    for root in nodes.indices where marks[root] == .new {
      stack.append((root, 0))
      marks[root] = .open
      while let (node, next) = stack.last {
        guard next < dependencies[node].count else {
          marks[node] = .done
          order.append(node)
          stack.removeLast()
          continue
        }
        stack[stack.count - 1].next += 1
        let dependency = dependencies[node][next]
        switch marks[dependency] {
        case .done: break
        case .new:
          marks[dependency] = .open
          stack.append((dependency, 0))
        case .open:
          throw .invalid(
            file: file, place: "\(place)node '\(nodes[dependency].label)'",
            reason: "depends on its own output through node '\(nodes[node].label)'")
        }
      }
    }
    return order
  }
}
