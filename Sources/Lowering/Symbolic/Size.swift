/// An integer known up to the sizes that are chosen when a model runs: a polynomial in them, with integer coefficients.
///
/// Every symbol stands for a size of at least 1. Operations give nil where the result overflows or is not a polynomial.
struct Size: Hashable, Sendable {
  /// Coefficients, none of them zero, by the sorted names of the symbols multiplied.
  private var terms: [[String]: Int]

  /// Shape arithmetic has a term or two; a file that builds more is not worth following.
  private static let maximumTerms = 16
  private static let maximumDegree = 8

  init(_ value: Int) { terms = value == 0 ? [:] : [[]: value] }

  static func symbol(_ name: String) -> Size {
    var size = Size(0)
    size.terms[[name]] = 1
    return size
  }

  /// The value, if no symbol takes part.
  var constant: Int? {
    if terms.isEmpty { return 0 }
    return terms.count == 1 ? terms[[]] : nil
  }

  /// Whether the value is at least 1 whatever the symbols are. False where that is not certain.
  var isPositive: Bool { !terms.isEmpty && terms.values.allSatisfy { $0 > 0 } }

  func plus(_ other: Size) -> Size? {
    var result = self
    for (symbols, coefficient) in other.terms {
      guard result.add(coefficient, symbols) else { return nil }
    }
    return result
  }

  func minus(_ other: Size) -> Size? { other.times(Size(-1)).flatMap { plus($0) } }

  func times(_ other: Size) -> Size? {
    var result = Size(0)
    for (left, a) in terms {
      for (right, b) in other.terms {
        let (product, overflow) = a.multipliedReportingOverflow(by: b)
        let symbols = (left + right).sorted()
        guard !overflow, symbols.count <= Self.maximumDegree, result.add(product, symbols) else { return nil }
      }
    }
    return result
  }

  /// The quotient by a single term, where nothing remains.
  func dividedExactly(by divisor: Size) -> Size? {
    guard divisor.terms.count == 1, let (symbols, coefficient) = divisor.terms.first else { return nil }
    var result = Size(0)
    for (ours, value) in terms {
      let (quotient, overflow) = value.dividedReportingOverflow(by: coefficient)
      guard !overflow, quotient &* coefficient == value else { return nil }
      var rest = ours
      for symbol in symbols {
        guard let index = rest.firstIndex(of: symbol) else { return nil }
        rest.remove(at: index)
      }
      guard result.add(quotient, rest) else { return nil }
    }
    return result
  }

  private mutating func add(_ coefficient: Int, _ symbols: [String]) -> Bool {
    let (sum, overflow) = (terms[symbols] ?? 0).addingReportingOverflow(coefficient)
    terms[symbols] = sum == 0 ? nil : sum
    return !overflow && terms.count <= Self.maximumTerms
  }
}

extension Size: CustomStringConvertible {
  var description: String {
    if terms.isEmpty { return "0" }
    return terms.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { symbols, coefficient in
      let factors = (coefficient == 1 && !symbols.isEmpty ? [] : ["\(coefficient)"]) + symbols
      return factors.joined(separator: "·")
    }.joined(separator: " + ")
  }
}

extension Array where Element == Size {
  /// The product, or nil where it overflows.
  var product: Size? { reduce(Size(1)) { $0?.times($1) } }

  /// The sizes as numbers, if all are.
  var constants: [Int]? {
    let values = compactMap(\.constant)
    return values.count == count ? values : nil
  }
}
