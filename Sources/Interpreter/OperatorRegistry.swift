/// An operator as one version of its domain defines it.
struct OperatorDefinition: Sendable {
  let domain: String
  let name: String
  /// The first version of the domain that defines the operator so.
  let since: Int
  /// Computes the outputs; those at the end that no node asks for may be missing.
  let run: @Sendable (Call) throws -> [Value]

  init(_ name: String, domain: String = "", since: Int = 1, _ run: @escaping @Sendable (Call) throws -> [Value]) {
    self.domain = domain
    self.name = name
    self.since = since
    self.run = run
  }
}

/// Every operator that is implemented.
enum OperatorRegistry {
  /// The versions of ONNX's own operator set that are implemented.
  static let versions = 7...28

  /// The domain of ONNX Runtime's operators.
  static let microsoft = "com.microsoft"

  /// The groups, one a file.
  private static let groups: [[OperatorDefinition]] = [
    arithmeticOperators, comparisonOperators, functionOperators, castingOperators, constantOperators, layoutOperators,
    indexingOperators, reductionOperators, normalizationOperators, productOperators, quantizationOperators,
    attentionOperators, controlOperators, fusedOperators, fusedAttentionOperators, quantizedOperators,
  ]

  private static let definitions: [String: [OperatorDefinition]] =
    Dictionary(grouping: groups.joined()) { key($0.domain, $0.name) }

  private static func key(_ domain: String, _ name: String) -> String { "\(domain):\(name)" }

  /// The operator as `version` of its domain defines it, or nil if it is not implemented.
  static func definition(domain: String, name: String, version: Int) -> OperatorDefinition? {
    definitions[key(domain, name)]?.filter { $0.since <= version }.max { $0.since < $1.since }
  }
}
