import ONNX

/// Which of a graph's inputs is what, and their size.
struct InputRoles {
  var inputIDs: String
  var attentionMask: String?
  var tokenTypes: String?
  let batch: Size
  let sequence: Size

  /// Inputs are told apart by their names, as transformers has them; whatever a name claims, what the graph does with
  /// the input is checked later.
  init(_ inputs: [ValueInfo]) throws(LoweringError) {
    func first(_ parts: [String]) -> String? {
      inputs.first { input in parts.contains { input.name.lowercased().contains($0) } }?.name
    }
    let mask = first(["mask"])
    let types = first(["token_type", "segment"])
    let rest = inputs.map(\.name).filter { $0 != mask && $0 != types }
    guard let ids = rest.first(where: { $0.lowercased().hasPrefix("input") }) ?? rest.first else {
      throw .interface(name: "input_ids", expected: "an input with token ids")
    }
    (inputIDs, attentionMask, tokenTypes) = (ids, mask, types)
    var sizes = [Size.symbol("batch"), Size.symbol("sequence")]
    for input in inputs where [ids, mask, types].contains(input.name) {
      guard let type = input.elementType, type == .int64 || type == .int32 || input.name == mask else {
        throw .interface(name: input.name, expected: "an input of 32- or 64-bit integers")
      }
      guard let shape = input.shape else { continue }
      guard shape.count == 2 else {
        throw .interface(name: input.name, expected: "an input of shape [batch, sequence], not \(shape)")
      }
      for (axis, dimension) in shape.enumerated() {
        guard case .fixed(let size) = dimension else { continue }
        guard size > 0, sizes[axis].constant == nil || sizes[axis] == Size(size) else {
          throw .interface(name: input.name, expected: "the same shape as the other inputs")
        }
        sizes[axis] = Size(size)
      }
    }
    (batch, sequence) = (sizes[0], sizes[1])
  }

  /// What is known of the inputs.
  func facts(_ inputs: [ValueInfo]) -> [String: Fact] {
    var facts: [String: Fact] = [:]
    for input in inputs {
      var fact = Fact(type: input.elementType)
      if [inputIDs, tokenTypes, attentionMask].contains(input.name) { fact.shape = [batch, sequence] }
      if input.name == attentionMask, let type = input.elementType,
        let one = ScalarOperator.cast(.truth(true), to: type), let zero = ScalarOperator.cast(.truth(false), to: type)
      {
        fact.content = .mask(
          batch: batch == Size(1) ? nil : 0, key: sequence == Size(1) ? nil : 1, one: one, zero: zero)
      }
      facts[input.name] = fact
    }
    return facts
  }
}
