/// A value seen as a linear layer's rows `[batch, sequence, heads · head size]`, reshaped and transposed.
///
/// Each axis of the value is a list of atoms, outer first. Reshapes regroup atoms in their row-major order, transposes
/// permute axes; so what a value's elements are is known exactly, whatever sizes happen to be equal.
struct AxisView: Equatable {
  enum Atom: Hashable {
    case batch, sequence, width, heads, headSize
    /// The other sequence axis of a product of queries and keys.
    case keys
  }

  /// Atoms of size 1 are left out.
  private(set) var axes: [[Atom]]
  private(set) var sizes: [Atom: Size]

  /// A linear layer's output of the given shape.
  init?(shape: [Size], batch: Size, sequence: Size) {
    guard let width = shape.last else { return nil }
    sizes = [.batch: batch, .sequence: sequence, .width: width]
    axes = [[.batch, .sequence, .width].filter { [sizes] in sizes[$0] != Size(1) }]
    guard regroup(to: shape) else { return nil }
  }

  init(axes: [[Atom]], sizes: [Atom: Size]) {
    self.axes = axes.map { $0.filter { sizes[$0] != Size(1) } }
    self.sizes = sizes
  }

  /// The number of heads, once a reshape has split the width.
  var heads: Int? { sizes[.heads]?.constant }

  /// Axes as atoms with those of size 1 left out, to compare with ``axes``.
  func expected(_ axes: [[Atom]]) -> [[Atom]] { axes.map { $0.filter { sizes[$0] != Size(1) } } }

  mutating func transpose(_ order: [Int]) -> Bool {
    guard order.sorted() == Array(axes.indices) else { return false }
    axes = order.map { axes[$0] }
    return true
  }

  /// The row-major reshape to `shape`, which may split the width once, into heads and head size.
  mutating func regroup(to shape: [Size]) -> Bool {
    var rest = Array(axes.joined())[...]
    var result: [[Atom]] = []
    for size in shape {
      var group: [Atom] = []
      var open = size
      while open != Size(1) {
        guard let atom = rest.first, let atomSize = sizes[atom] else { return false }
        if let quotient = open.dividedExactly(by: atomSize) {
          group.append(atom)
          open = quotient
          rest.removeFirst()
        } else if atom == .width, let part = open.constant, let whole = atomSize.constant, part > 0, whole % part == 0 {
          sizes[.width] = nil
          sizes[.heads] = Size(part)
          sizes[.headSize] = Size(whole / part)
          group.append(.heads)
          open = Size(1)
          rest.removeFirst()
          if whole / part != 1 { rest = [.headSize] + rest }
        } else {
          return false
        }
      }
      result.append(group)
    }
    guard rest.isEmpty else { return false }
    axes = result
    return true
  }
}
