/// What a model says about one of its values: a graph's input or output, or a value inside.
public struct ValueInfo: Sendable, Equatable {
  /// The value's name.
  public var name: String
  /// The type of its elements, where stated.
  public var elementType: ElementType?
  /// Its dimensions, where stated; an empty array is a scalar, nil is a tensor of unknown rank.
  public var shape: [Dimension]?

  /// A value's name, and its type and shape where known.
  public init(name: String, elementType: ElementType? = nil, shape: [Dimension]? = nil) {
    self.name = name
    self.elementType = elementType
    self.shape = shape
  }
}

/// One dimension of a value's shape.
public enum Dimension: Sendable, Hashable {
  /// A size known when the model was made; never negative.
  case fixed(Int)
  /// A size that is chosen when the model runs, by its name: equal names are equal sizes.
  case symbolic(String)
  /// A size about which nothing is said.
  case unknown
}

extension Dimension: CustomStringConvertible {
  /// The size, the name, or `?`.
  public var description: String {
    switch self {
    case .fixed(let size): "\(size)"
    case .symbolic(let name): name
    case .unknown: "?"
    }
  }
}
