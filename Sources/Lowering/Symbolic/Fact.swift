import ONNX

/// What is known of a value while lowering, for every input that the model may be given.
struct Fact: Sendable, Equatable {
  var type: ElementType?
  var shape: [Size]?
  var content: Content = .unknown

  static let unknown = Fact()

  /// What is known of a value's elements.
  enum Content: Sendable, Equatable {
    case unknown
    /// Few elements, each known, in row-major order; the shape is constant.
    case elements([Scalar])
    /// Every element is this one.
    case uniform(Scalar)
    /// Element = start + index along the axis.
    case ramp(axis: Int, start: Int)
    /// Each element is a function of one element of the attention mask, whose elements are 0 and 1: `one` where it is 1
    /// and `zero` where it is 0. `batch` and `key` are the axes along which the mask's batch and sequence run; nil
    /// where this size is 1. Along the others all elements are equal.
    case mask(batch: Int?, key: Int?, one: Scalar, zero: Scalar)
    /// The attention mask `[batch, sequence]` row-major in one axis, as the function of it that ``mask`` describes.
    case flatMask(batch: Size, sequence: Size, one: Scalar, zero: Scalar)
    /// The number of the attention mask's ones in each row of the batch.
    case lengths
    /// Element = index along the axis · stride.
    case strided(axis: Int, stride: Size)
    /// Element = index along `outer` · stride + index along `inner`.
    case grid(outer: Int, inner: Int, stride: Size)
    /// Pairs along the last axis: the index along `outer`, and the one along `inner`.
    case pairs(outer: Int, inner: Int)
  }

  /// The only element, or the one that all are equal to.
  var single: Scalar? {
    switch content {
    case .uniform(let scalar): scalar
    case .elements(let elements) where elements.count == 1: elements[0]
    default: nil
    }
  }

  /// The elements of a list of integers.
  var sizes: [Size]? {
    guard case .elements(let elements) = content else { return nil }
    let sizes = elements.compactMap(\.size)
    return sizes.count == elements.count ? sizes : nil
  }

  /// The elements of a list of integers, where no symbol takes part.
  var ints: [Int]? { sizes?.constants }

  /// Elements that count up along one axis, the others being of size 1: the axis and the first element.
  var ramp: (axis: Int, start: Int)? {
    switch content {
    case .ramp(let axis, let start): return (axis, start)
    case .elements:
      guard let values = ints, let first = values.first, first >= 0,
        let axis = shape?.lastIndex(of: Size(values.count)),
        values.enumerated().allSatisfy({ $0.element - first == $0.offset })
      else { return nil }
      return (axis, first)
    default: return nil
    }
  }

  /// Whether every element is a plain number.
  var isConstant: Bool {
    guard case .elements(let elements) = content else { return false }
    return elements.allSatisfy { $0.number != nil }
  }
}

extension Fact {
  /// Larger constants are weights: their elements are read where they are used.
  static let maximumElements = 64
  /// The longest list of positions that is looked at.
  private static let maximumPositions = 1 << 20

  /// What is known of a constant.
  init(_ tensor: Tensor) {
    type = tensor.elementType
    shape = tensor.shape.map { Size($0) }
    if tensor.count <= Self.maximumElements, let elements = Self.elements(of: tensor) {
      content = .elements(elements)
    } else if tensor.elementType == .int64 || tensor.elementType == .int32, tensor.count <= Self.maximumPositions,
      let values = try? tensor.ints(), let first = values.first
    {
      if values.allSatisfy({ $0 == first }) {
        content = .uniform(.integer(Size(first)))
      } else if first >= 0, let axis = tensor.shape.firstIndex(of: tensor.count),
        values.enumerated().allSatisfy({ $0.element == first + $0.offset })
      {
        content = .ramp(axis: axis, start: first)
      }
    } else if tensor.elementType == .bool, let values = try? tensor.booleans(), let first = values.first,
      values.allSatisfy({ $0 == first })
    {
      content = .uniform(.truth(first))
    }
  }

  private static func elements(of tensor: Tensor) -> [Scalar]? {
    if tensor.elementType == .bool { return (try? tensor.booleans())?.map { .truth($0) } }
    if tensor.elementType.isInteger { return (try? tensor.ints())?.map { .integer(Size($0)) } }
    if tensor.elementType.isFloatingPoint { return (try? tensor.doubles())?.map { .real($0) } }
    return nil
  }
}
