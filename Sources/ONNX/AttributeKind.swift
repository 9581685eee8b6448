import CONNXProto

/// The fields of an attribute that hold its value; raw values are those of ONNX's `AttributeType`.
enum AttributeKind: Int32 {
  case f = 1
  case i = 2
  case s = 3
  case t = 4
  case g = 5
  case floats = 6
  case ints = 7
  case strings = 8
  case tensors = 9
  case graphs = 10

  /// The kind that holds `value`.
  init(_ value: Attribute) {
    self =
      switch value {
      case .float: .f
      case .int: .i
      case .string: .s
      case .tensor: .t
      case .graph: .g
      case .floats: .floats
      case .ints: .ints
      case .strings: .strings
      case .tensors: .tensors
      case .graphs: .graphs
      }
  }

  /// The kinds of the values that a message holds; more than one is an error.
  static func present(in proto: Onnx__AttributeProto) -> [AttributeKind] {
    var kinds: [AttributeKind] = []
    if proto.has_f != 0 { kinds.append(.f) }
    if proto.has_i != 0 { kinds.append(.i) }
    if proto.has_s != 0 { kinds.append(.s) }
    if proto.t != nil { kinds.append(.t) }
    if proto.g != nil { kinds.append(.g) }
    if proto.n_floats > 0 { kinds.append(.floats) }
    if proto.n_ints > 0 { kinds.append(.ints) }
    if proto.n_strings > 0 { kinds.append(.strings) }
    if proto.n_tensors > 0 { kinds.append(.tensors) }
    if proto.n_graphs > 0 { kinds.append(.graphs) }
    return kinds
  }
}
