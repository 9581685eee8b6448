import ONNX

extension FactEvaluator {
  /// The operators that work element by element, with broadcasting; nil for others.
  func elementwise(_ x: Arguments) throws(ONNXError) -> Fact? {
    let node = x.node
    let name = node.operatorType
    switch name {
    case "Identity": return x[0]
    case "Cast":
      guard let type = ElementType(rawValue: Int32(truncatingIfNeeded: try node.int("to"))) else { return .unknown }
      if case .lengths = x[0].content, type == .int32 || type == .int64 {
        return Fact(type: type, shape: x[0].shape, content: .lengths)
      }
      return combined([x[0]], type: type) { ScalarOperator.cast($0[0], to: type) }
    case "Where":
      return combined(Array(x.facts.indices.map { x[$0] }), type: x[1].type) { operands in
        guard operands.count == 3, let condition = operands[0].truth else { return nil }
        return condition ? operands[1] : operands[2]
      }
    case _ where ScalarOperator.unary.contains(name) || ScalarOperator.binary.contains(name):
      let isTest = ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "IsNaN", "IsInf", "Not", "And", "Or"]
        .contains(name)
      let type = isTest ? ElementType.bool : x[0].type
      guard x.facts.count == (ScalarOperator.unary.contains(name) ? 1 : 2) else { return .unknown }
      if let fact = positions(name, x) { return fact }
      return combined(x.facts.indices.map { x[$0] }, type: type) { operands in
        ScalarOperator.apply(name, operands, type: type)
      }
    case "QuantizeLinear", "DequantizeLinear": return quantization(x)
    default: return nil
    }
  }

  /// Quantisation with one scale, of elements that are known; nil where they are not.
  private func quantization(_ x: Arguments) -> Fact? {
    guard x[1].single != nil, x.has(2) == (x[2].single != nil), x[0].content != .unknown else { return nil }
    let quantizes = x.node.operatorType == "QuantizeLinear"
    let type = quantizes ? (x.has(2) ? x[2].type : .uint8) : x[1].type
    return combined(x.facts.indices.map { x[$0] }, type: type) { operands in
      let zero = operands.count > 2 ? operands[2] : .integer(Size(0))
      return quantizes
        ? ScalarOperator.quantize(operands[0], scale: operands[1], zeroPoint: zero, type: type)
        : ScalarOperator.dequantize(operands[0], scale: operands[1], zeroPoint: zero, type: type)
    }
  }

  /// Indices computed from positions: into the flattened attention mask, and tests that all positions pass.
  private func positions(_ name: String, _ x: Arguments) -> Fact? {
    guard x.facts.count == 2, let left = x[0].shape, let right = x[1].shape,
      let shape = Self.broadcast([left, right])
    else { return nil }
    func shift(_ index: Int) -> Int { shape.count - (index == 0 ? left : right).count }
    switch name {
    case "GreaterOrEqual":
      guard case .ramp(_, let start) = x[0].content, let bound = x[1].single?.int, start >= bound else { return nil }
      return Fact(type: .bool, shape: shape, content: .uniform(.truth(true)))
    case "Mul":
      for (index, other) in [(0, 1), (1, 0)] {
        guard case .ramp(let axis, 0) = x[index].content, let stride = x[other].single?.size else { continue }
        return Fact(type: x[0].type, shape: shape, content: .strided(axis: axis + shift(index), stride: stride))
      }
    case "Add":
      for (index, other) in [(0, 1), (1, 0)] {
        guard case .strided(let outer, let stride) = x[index].content, case .ramp(let inner, 0) = x[other].content,
          outer + shift(index) != inner + shift(other)
        else { continue }
        let grid = Fact.Content.grid(outer: outer + shift(index), inner: inner + shift(other), stride: stride)
        return Fact(type: x[0].type, shape: shape, content: grid)
      }
    default: break
    }
    return nil
  }

  private func combined(_ facts: [Fact], type: ElementType?, _ apply: ([Scalar]) -> Scalar?) -> Fact {
    let shapes = facts.compactMap(\.shape)
    guard shapes.count == facts.count, let shape = Self.broadcast(shapes) else { return Fact(type: type) }
    return Fact(type: type, shape: shape, content: content(facts, shape, apply))
  }

  private func content(_ facts: [Fact], _ shape: [Size], _ apply: ([Scalar]) -> Scalar?) -> Fact.Content {
    let singles = facts.map(\.single)
    let known = singles.compactMap { $0 }
    if known.count == facts.count {
      guard let value = apply(known) else { return .unknown }
      return shape.constants?.reduce(1, *) == 1 ? .elements([value]) : .uniform(value)
    }
    // Lists of few elements.
    if let sizes = shape.constants, sizes.count <= 4, sizes.allSatisfy({ (0...Fact.maximumElements).contains($0) }),
      sizes.reduce(1, *) <= Fact.maximumElements
    {
      let lists = facts.map { elements($0, broadcastTo: sizes) }
      if lists.allSatisfy({ $0 != nil }) {
        var results: [Scalar] = []
        for index in 0..<sizes.reduce(1, *) {
          guard let value = apply(lists.compactMap { $0?[index] }) else { return .unknown }
          results.append(value)
        }
        return .elements(results)
      }
    }
    // Functions of the mask, with others that are the same everywhere.
    var axes: (batch: Int?, key: Int?)?
    var ones: [Scalar] = []
    var zeros: [Scalar] = []
    for (fact, single) in zip(facts, singles) {
      if let single {
        ones.append(single)
        zeros.append(single)
        continue
      }
      guard case .mask(let batch, let key, let one, let zero) = fact.content, let rank = fact.shape?.count else {
        return ramp(facts, shape, apply)
      }
      let shift = shape.count - rank
      let shifted = (batch.map { $0 + shift }, key.map { $0 + shift })
      if let axes, axes != shifted { return .unknown }
      axes = shifted
      ones.append(one)
      zeros.append(zero)
    }
    guard let axes, let one = apply(ones), let zero = apply(zeros) else { return .unknown }
    return .mask(batch: axes.batch, key: axes.key, one: one, zero: zero)
  }

  /// A ramp that is cast, or shifted by an integer.
  private func ramp(_ facts: [Fact], _ shape: [Size], _ apply: ([Scalar]) -> Scalar?) -> Fact.Content {
    for (position, fact) in facts.enumerated() {
      guard case .ramp(let axis, let start) = fact.content, let rank = fact.shape?.count else { continue }
      let others = facts.enumerated().filter { $0.offset != position }.compactMap(\.element.single)
      guard others.count == facts.count - 1 else { return .unknown }
      func value(_ element: Int) -> Int? {
        var operands = others
        operands.insert(.integer(Size(element)), at: position)
        return apply(operands)?.int
      }
      // An operator of this table that moves two elements by the same amount and keeps their distance adds a constant,
      // or picks one side: three elements far apart tell.
      guard let first = value(start), let second = value(start + 1), let far = value(start + 1_000_000),
        second == first + 1, far == first + 1_000_000
      else { return .unknown }
      return .ramp(axis: axis + shape.count - rank, start: first)
    }
    return .unknown
  }

  private func elements(_ fact: Fact, broadcastTo shape: [Int]) -> [Scalar]? {
    let count = shape.reduce(1, *)
    if let single = fact.single { return Array(repeating: single, count: count) }
    guard case .elements(let elements) = fact.content, let own = fact.shape?.constants else { return nil }
    return (0..<count).map { index in
      var rest = index
      var position = 0
      var step = 1
      for axis in stride(from: shape.count - 1, through: 0, by: -1) {
        let coordinate = rest % shape[axis]
        rest /= shape[axis]
        let ownAxis = axis - (shape.count - own.count)
        guard ownAxis >= 0 else { continue }
        if own[ownAxis] != 1 { position += coordinate * step }
        step *= own[ownAxis]
      }
      return elements[position]
    }
  }
}
