import ONNX

extension FactEvaluator {
  /// The operators that make, move or pick elements; nil for others.
  func rearrangement(_ x: Arguments) throws(ONNXError) -> Fact? {
    let node = x.node
    let data = x[0]
    switch node.operatorType {
    case "Constant":
      if let tensor = try node.optionalTensor("value") { return Fact(tensor) }
      if let value = try node.optionalInt("value_int") { return Self.list([.integer(Size(value))], .int64, shape: []) }
      if let value = try node.optionalFloat("value_float") {
        return Self.list([.real(Double(value))], .float, shape: [])
      }
      if let values = try node.optionalInts("value_ints") {
        return Self.list(values.map { .integer(Size($0)) }, .int64)
      }
      return .unknown
    case "Shape":
      guard let shape = data.shape else { return .unknown }
      let start = clamp(try node.int("start", default: 0), shape.count)
      let end = clamp(try node.int("end", default: shape.count), shape.count)
      return Self.list(start < end ? shape[start..<end].map { .integer($0) } : [], .int64)
    case "Size":
      guard let count = data.shape?.product else { return .unknown }
      return Self.list([.integer(count)], .int64, shape: [])
    case "ConstantOfShape":
      let value = try node.optionalTensor("value").map { Fact($0) }
      let type = value == nil ? ElementType.float : value?.type
      guard let scalar = value == nil ? .real(0) : value?.single else { return Fact(type: type) }
      return Fact(type: type, shape: x[0].sizes, content: .uniform(scalar))
    case "Range":
      guard let start = x[0].single?.int, let end = x[1].single?.size, x[2].single?.int == 1,
        let count = end.minus(Size(start))
      else { return Fact(type: x[0].type) }
      return Fact(type: x[0].type, shape: [count], content: .ramp(axis: 0, start: start))
    case "NonZero":
      // The indices of all elements of a vector of ones: how old exporters wrote a range.
      guard let shape = data.shape, shape.count == 1, let value = data.single?.number, value != 0 else {
        return .unknown
      }
      return Fact(type: .int64, shape: [Size(1), shape[0]], content: .ramp(axis: 1, start: 0))
    case "Reshape":
      guard let shape = data.shape, let target = x[1].sizes else { return Fact(type: data.type) }
      return reshaped(data, to: resolve(target, of: shape, keepsZero: try node.int("allowzero", default: 0) != 0))
    case "Flatten":
      guard let shape = data.shape else { return .unknown }
      let axis = try node.int("axis", default: 1)
      let split = axis < 0 ? axis + shape.count : axis
      guard (0...shape.count).contains(split), let rows = Array(shape[..<split]).product,
        let columns = Array(shape[split...]).product
      else { return .unknown }
      return reshaped(data, to: [rows, columns])
    case "Unsqueeze":
      guard let shape = data.shape, let axes = try x.ints(1, orAttribute: "axes") else { return Fact(type: data.type) }
      let rank = shape.count + axes.count
      let positions = Set(axes.compactMap { Self.axis($0, rank: rank) })
      guard positions.count == axes.count else { return .unknown }
      var rest = shape[...]
      return reshaped(data, to: (0..<rank).map { positions.contains($0) ? Size(1) : rest.removeFirst() })
    case "Squeeze":
      guard let shape = data.shape else { return Fact(type: data.type) }
      let hasAxes = x.has(1) || node.attributes["axes"] != nil
      let axes = try x.ints(1, orAttribute: "axes")
      if hasAxes, axes == nil { return Fact(type: data.type) }
      let positions = axes.map { Set($0.compactMap { Self.axis($0, rank: shape.count) }) }
        ?? Set(shape.indices.filter { shape[$0] == Size(1) })
      guard positions.allSatisfy({ shape[$0] == Size(1) }) else { return Fact(type: data.type) }
      return reshaped(data, to: shape.indices.filter { !positions.contains($0) }.map { shape[$0] })
    case "Expand":
      guard let shape = data.shape, let target = x[1].sizes else { return Fact(type: data.type) }
      guard let result = Self.broadcast([shape, target]) else { return Fact(type: data.type) }
      return expanded(data, to: result)
    case "Transpose":
      guard let shape = data.shape else { return Fact(type: data.type) }
      let order = try node.ints("perm", default: shape.indices.reversed())
      guard order.sorted() == Array(shape.indices) else { return .unknown }
      return transposed(data, order)
    case "Concat":
      let facts = x.facts.indices.map { x[$0] }
      return concatenated(facts, axis: try node.int("axis"))
    case "Slice": return try sliced(x)
    case "GatherND": return try gatheredByPairs(x)
    case "Gather": return gathered(data, x[1], axis: try node.int("axis", default: 0))
    default: return nil
    }
  }

  private func clamp(_ index: Int, _ count: Int) -> Int { min(max(index < 0 ? index + count : index, 0), count) }

  private static func list(_ elements: [Scalar], _ type: ElementType, shape: [Size]? = nil) -> Fact {
    Fact(type: type, shape: shape ?? [Size(elements.count)], content: .elements(elements))
  }

  /// The shape that a Reshape's second input stands for: 0 copies a size, −1 takes what is left.
  private func resolve(_ target: [Size], of shape: [Size], keepsZero: Bool) -> [Size]? {
    var result: [Size] = []
    var open: Int?
    for (index, size) in target.enumerated() {
      if size.constant == 0, !keepsZero {
        guard index < shape.count else { return nil }
        result.append(shape[index])
      } else if size.constant == -1 {
        guard open == nil else { return nil }
        open = index
        result.append(Size(1))
      } else {
        guard size.isPositive else { return nil }
        result.append(size)
      }
    }
    guard let whole = shape.product, let rest = result.product else { return nil }
    guard let open else { return whole == rest ? result : nil }
    guard let missing = whole.dividedExactly(by: rest) else { return nil }
    result[open] = missing
    return result
  }

  private func reshaped(_ data: Fact, to target: [Size]?) -> Fact {
    guard let target, let shape = data.shape else { return Fact(type: data.type) }
    var result = Fact(type: data.type, shape: target)
    switch data.content {
    case .elements, .uniform: result.content = data.content
    case .ramp(let axis, let start):
      if let moved = moves(shape, target)?[axis] { result.content = .ramp(axis: moved, start: start) }
    case .mask(let batch, let key, let one, let zero):
      guard let moves = moves(shape, target) else {
        if let content = flattened(data, to: target) { result.content = content }
        break
      }
      let (newBatch, newKey) = (batch.flatMap { moves[$0] }, key.flatMap { moves[$0] })
      guard (batch == nil) == (newBatch == nil), (key == nil) == (newKey == nil) else { break }
      result.content = .mask(batch: newBatch, key: newKey, one: one, zero: zero)
    case .flatMask(let batch, let sequence, let one, let zero):
      let axes = target.indices.filter { target[$0] != Size(1) }
      if axes.map({ target[$0] }) == [batch, sequence] {
        result.content = .mask(batch: axes[0], key: axes[1], one: one, zero: zero)
      } else if axes.count == 1 {
        result.content = data.content
      }
    case .strided(let axis, let stride):
      if let moved = moves(shape, target)?[axis] { result.content = .strided(axis: moved, stride: stride) }
    case .grid(let outer, let inner, let stride):
      if let moves = moves(shape, target), let outer = moves[outer], let inner = moves[inner] {
        result.content = .grid(outer: outer, inner: inner, stride: stride)
      }
    case .lengths: if target == shape { result.content = .lengths }
    case .pairs, .unknown: break
    }
    return result
  }

  /// The attention mask's two axes, row-major in one.
  private func flattened(_ data: Fact, to target: [Size]) -> Fact.Content? {
    guard case .mask(let batch?, let key?, let one, let zero) = data.content, let shape = data.shape, batch < key,
      shape.indices.allSatisfy({ $0 == batch || $0 == key || shape[$0] == Size(1) }),
      target.filter({ $0 != Size(1) }) == [shape[batch].times(shape[key])]
    else { return nil }
    return .flatMask(batch: shape[batch], sequence: shape[key], one: one, zero: zero)
  }

  /// Where each axis goes in a reshape that only adds and removes axes of size 1; nil for other reshapes.
  private func moves(_ shape: [Size], _ target: [Size]) -> [Int: Int]? {
    let from = shape.indices.filter { shape[$0] != Size(1) }
    let to = target.indices.filter { target[$0] != Size(1) }
    guard from.map({ shape[$0] }) == to.map({ target[$0] }) else { return nil }
    return Dictionary(uniqueKeysWithValues: zip(from, to))
  }

  private func expanded(_ data: Fact, to shape: [Size]) -> Fact {
    var result = Fact(type: data.type, shape: shape)
    let shift = shape.count - (data.shape?.count ?? 0)
    switch data.content {
    case .uniform: result.content = data.content
    case .elements:
      if let single = data.single {
        result.content = shape.constants?.reduce(1, *) == 1 ? data.content : .uniform(single)
      } else if shape == data.shape {
        result.content = data.content
      }
    case .ramp(let axis, let start): result.content = .ramp(axis: axis + shift, start: start)
    case .mask(let batch, let key, let one, let zero):
      result.content = .mask(batch: batch.map { $0 + shift }, key: key.map { $0 + shift }, one: one, zero: zero)
    case .strided(let axis, let stride): result.content = .strided(axis: axis + shift, stride: stride)
    case .grid(let outer, let inner, let stride):
      result.content = .grid(outer: outer + shift, inner: inner + shift, stride: stride)
    case .flatMask, .lengths, .pairs: if shape == data.shape { result.content = data.content }
    case .unknown: break
    }
    return result
  }

  private func transposed(_ data: Fact, _ order: [Int]) -> Fact {
    guard let shape = data.shape else { return Fact(type: data.type) }
    var result = Fact(type: data.type, shape: order.map { shape[$0] })
    switch data.content {
    case .uniform: result.content = data.content
    case .elements: if shape.count <= 1 || data.single != nil { result.content = data.content }
    case .ramp(let axis, let start):
      if let moved = order.firstIndex(of: axis) { result.content = .ramp(axis: moved, start: start) }
    case .mask(let batch, let key, let one, let zero):
      result.content = .mask(
        batch: batch.flatMap { order.firstIndex(of: $0) }, key: key.flatMap { order.firstIndex(of: $0) }, one: one,
        zero: zero)
    case .flatMask, .lengths, .strided, .grid, .pairs:
      if order == Array(shape.indices) { result.content = data.content }
    case .unknown: break
    }
    return result
  }

  private func concatenated(_ facts: [Fact], axis: Int) -> Fact {
    let shapes = facts.compactMap(\.shape)
    guard let first = shapes.first, shapes.count == facts.count, let axis = Self.axis(axis, rank: first.count) else {
      return Fact(type: facts.first?.type)
    }
    var result = first
    for shape in shapes.dropFirst() {
      guard shape.count == first.count, let sum = result[axis].plus(shape[axis]) else {
        return Fact(type: facts[0].type)
      }
      result[axis] = sum
    }
    var fact = Fact(type: facts[0].type, shape: result)
    if shapes.count == 2, axis == first.count - 1, first[axis] == Size(1), shapes[1][axis] == Size(1),
      case .ramp(let outer, 0) = facts[0].content, case .ramp(let inner, 0) = facts[1].content, outer != inner
    {
      fact.content = .pairs(outer: outer, inner: inner)
    }
    if first.count == 1 {
      var elements: [Scalar] = []
      for fact in facts {
        switch fact.content {
        case .elements(let more): elements += more
        case .uniform(let value):
          guard let count = fact.shape?[0].constant, (0...Fact.maximumElements).contains(count) else {
            return Fact(type: facts[0].type, shape: result)
          }
          elements += Array(repeating: value, count: count)
        default: return Fact(type: facts[0].type, shape: result)
        }
      }
      if elements.count <= Fact.maximumElements { fact.content = .elements(elements) }
    }
    return fact
  }

  private func sliced(_ x: Arguments) throws(ONNXError) -> Fact {
    let data = x[0]
    let unknown = Fact(type: data.type)
    guard let shape = data.shape else { return unknown }
    let node = x.node
    let starts: [Size]?
    let ends: [Size]?
    if x.has(1) {
      (starts, ends) = (x[1].sizes, x[2].sizes)
    } else {
      (starts, ends) = (
        try node.optionalInts("starts")?.map { Size($0) }, try node.optionalInts("ends")?.map { Size($0) })
    }
    guard let starts, let ends, starts.count == ends.count else { return unknown }
    let axes = try x.ints(3, orAttribute: "axes") ?? Array(0..<starts.count)
    let steps = x.has(4) ? x[4].ints : Array(repeating: 1, count: starts.count)
    guard !x.has(3) || x[3].ints != nil, let steps, axes.count == starts.count, steps.count == starts.count,
      steps.allSatisfy({ $0 == 1 })
    else { return unknown }
    var result = Fact(type: data.type, shape: shape, content: data.content)
    // A short list of positions, or of equal numbers, is cut at the sequence's length, which is no number.
    if starts.constants == nil || ends.constants == nil || shape.count > 1,
      case .elements(let elements) = data.content
    {
      if let first = elements.first, elements.allSatisfy({ $0 == first }) {
        result.content = .uniform(first)
      } else if let ramp = data.ramp {
        result.content = .ramp(axis: ramp.axis, start: ramp.start)
      }
    }
    for (index, axis) in axes.enumerated() {
      guard let axis = Self.axis(axis, rank: shape.count), var target = result.shape,
        let start = bound(starts[index], of: shape[axis]), let end = bound(ends[index], of: shape[axis]),
        let count = end.minus(start)
      else { return unknown }
      if start == Size(0), end == shape[axis] { continue }
      target[axis] = count
      result.shape = target
      switch result.content {
      case .elements(let elements):
        guard shape.count == 1, let from = start.constant, let to = end.constant,
          (0...elements.count).contains(from), (0...elements.count).contains(to)
        else {
          result.content = .unknown
          continue
        }
        result.content = .elements(from < to ? Array(elements[from..<to]) : [])
        result.shape = [Size(max(0, to - from))]
      case .uniform: break
      case .ramp(let rampAxis, let first):
        if rampAxis == axis {
          guard let from = start.constant else {
            result.content = .unknown
            continue
          }
          result.content = .ramp(axis: axis, start: first + from)
        }
      case .mask(let batch, let key, _, _):
        // Part of the mask is not the mask.
        if batch == axis || key == axis { result.content = .unknown }
      case .flatMask, .lengths, .strided, .grid, .pairs: result.content = .unknown
      case .unknown: break
      }
    }
    return result
  }

  /// A Slice's bound, counted from the start and clipped to the size.
  ///
  /// A symbolic bound is taken to lie within a constant size: it is the length of the input within a table made for the
  /// longest, and where it does not fit the graph itself fails on the shapes that follow.
  private func bound(_ value: Size, of size: Size) -> Size? {
    guard let constant = value.constant else {
      if value == size || size.constant != nil, value.isPositive { return value }
      return nil
    }
    if constant >= Int(Int32.max) { return size }
    if constant <= -Int(Int32.max) { return Size(0) }
    if let limit = size.constant { return Size(min(max(constant < 0 ? constant + limit : constant, 0), limit)) }
    if constant == 0 { return value }
    return constant < 0 ? size.plus(value) : nil
  }

  private func gathered(_ data: Fact, _ indices: Fact, axis: Int) -> Fact {
    guard let shape = data.shape, let indexShape = indices.shape, let axis = Self.axis(axis, rank: shape.count) else {
      return Fact(type: data.type)
    }
    var result = Fact(type: data.type, shape: Array(shape[..<axis]) + indexShape + Array(shape[(axis + 1)...]))
    switch data.content {
    case .uniform: result.content = data.content
    case .elements(let elements):
      guard shape.count == 1, let positions = indices.ints else { break }
      let picked = positions.compactMap { position in
        Self.axis(position, rank: elements.count).map { elements[$0] }
      }
      if picked.count == positions.count { result.content = .elements(picked) }
    case .ramp(let rampAxis, let start):
      // Positions picked by positions.
      if shape.count == 1, rampAxis == 0, start == 0, case .ramp = indices.content { result.content = indices.content }
    case .flatMask(let batch, let sequence, let one, let zero):
      guard axis == 0, shape[0] == batch.times(sequence), case .grid(let outer, let inner, sequence) = indices.content,
        indexShape[outer] == batch, indexShape[inner] == sequence
      else { break }
      result.content = .mask(batch: outer, key: inner, one: one, zero: zero)
    case .mask, .lengths, .strided, .grid, .pairs, .unknown: break
    }
    return result
  }

  /// The elements that a list of whole indices picks.
  private func gatheredByPairs(_ x: Arguments) throws(ONNXError) -> Fact {
    let (data, indices) = (x[0], x[1])
    guard try x.node.int("batch_dims", default: 0) == 0, let shape = data.shape, let indexShape = indices.shape,
      indexShape.last == Size(shape.count)
    else { return Fact(type: data.type) }
    var result = Fact(type: data.type, shape: Array(indexShape.dropLast()))
    if case .pairs(let outer, let inner) = indices.content, shape.count == 2,
      case .mask(let batch, let key, let one, let zero) = data.content, batch == 0, key == 1,
      indexShape[outer] == shape[0], indexShape[inner] == shape[1]
    {
      result.content = .mask(batch: outer, key: inner, one: one, zero: zero)
    }
    return result
  }
}
