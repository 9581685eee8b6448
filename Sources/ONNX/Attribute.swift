/// The value of a node's attribute.
public enum Attribute: Sendable, Equatable {
  case int(Int64)
  case float(Float)
  case string(String)
  case tensor(Tensor)
  case graph(Graph)
  case ints([Int64])
  case floats([Float])
  case strings([String])
  case tensors([Tensor])
  case graphs([Graph])

  /// The kind's name, for messages.
  public var kind: String {
    switch self {
    case .int: "an integer"
    case .float: "a float"
    case .string: "a string"
    case .tensor: "a tensor"
    case .graph: "a graph"
    case .ints: "a list of integers"
    case .floats: "a list of floats"
    case .strings: "a list of strings"
    case .tensors: "a list of tensors"
    case .graphs: "a list of graphs"
    }
  }
}
