/// Why a graph is not proved to be an encoder as the engine understands it. Each description is one line.
public enum LoweringError: Error, Sendable, Equatable {
  /// The node that stopped it: its operator, its name (or its first output's), and what was expected there.
  case node(operator: String, name: String, expected: String)
  /// An input or output of the graph that does not fit, and what was expected.
  case interface(name: String, expected: String)
}

extension LoweringError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .node(let `operator`, let name, let expected): "node '\(name)' (\(`operator`)): \(expected)"
    case .interface(let name, let expected): "the graph's '\(name)': \(expected)"
    }
  }
}
