/// Why a graph could not be run. Each description is one line.
public enum InterpreterError: Error, Sendable, Equatable {
  /// A model that uses an operator, or a version of an operator set, that is not implemented.
  case unsupported(node: String, operator: String, reason: String)
  /// An input that the graph does not take, lacks or cannot use.
  case input(name: String, reason: String)
  /// A value that was asked for and does not exist.
  case unknownValue(name: String)
  /// An initialiser that cannot be used.
  case initializer(name: String, reason: String)
  /// A node that cannot be computed from the values that it got.
  case node(node: String, operator: String, reason: String)
  /// A value that does not hold what was asked for, or that cannot be made.
  case value(reason: String)
  /// The values that are needed at the same time exceed the limit.
  case memory(node: String, bytes: Int, limit: Int)
}

extension InterpreterError: CustomStringConvertible {
  /// What is wrong, in one line.
  public var description: String {
    // Names come from files: a line break in one must not break the line.
    message.unicodeScalars.map { scalar in
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator: scalar.escaped(asASCII: true)
      default: String(scalar)
      }
    }.joined()
  }

  private var message: String {
    switch self {
    case .unsupported(let node, let name, let reason): "node '\(node)' (\(name)): not supported: \(reason)"
    case .input(let name, let reason): "input '\(name)': \(reason)"
    case .unknownValue(let name): "the graph has no value '\(name)'"
    case .initializer(let name, let reason): "initializer '\(name)': \(reason)"
    case .node(let node, let name, let reason): "node '\(node)' (\(name)): \(reason)"
    case .value(let reason): reason
    case .memory(let node, let bytes, let limit):
      "node '\(node)': the values needed at once take \(bytes) bytes, more than the limit of \(limit); use a smaller batch"
    }
  }
}

/// What an operator found wrong; the executor adds the node.
struct Failure: Error {
  let reason: String

  init(_ reason: String) { self.reason = reason }
}
