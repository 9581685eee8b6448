import Encoder
import ONNX

extension Model {
  /// An encoder as a graph of standard operators (operator set 17), of any batch and sequence length.
  ///
  /// Weights stand in it as `encoder` holds them: float layers as MatMul, layers with dynamic activations as MatMulInteger,
  /// layers with fixed ones between QuantizeLinear and DequantizeLinear. Their bytes are views of the encoder's where no
  /// transposing is needed.
  ///
  /// - Throws: `ExportError` where weights or outputs have no form in the graph.
  public init(
    _ encoder: DistilBERT, interface: ExportInterface = ExportInterface(), dynamicForm: DynamicForm = .tensor,
    producerVersion: String = "", metadata: [String: String] = [:]
  ) throws {
    var export = EncoderExport(encoder, interface: interface, dynamicForm: dynamicForm)
    self.init(
      irVersion: 8, producerName: "SpanQA", producerVersion: producerVersion, opsetImports: ["": 17], metadata: metadata,
      graph: try export.graph())
  }
}

/// Writes the encoder's function node by node (see `DistilBERT`).
private struct EncoderExport {
  private let model: DistilBERT
  private let interface: ExportInterface
  private var builder = GraphBuilder()
  private var linear: LinearExport

  init(_ model: DistilBERT, interface: ExportInterface, dynamicForm: DynamicForm) {
    self.model = model
    self.interface = interface
    linear = LinearExport(dynamicForm: dynamicForm)
  }

  mutating func graph() throws -> Graph {
    let mask = try interface.attentionMask.map { try self.mask($0) }
    var hidden = try embeddings()
    for (index, layer) in model.layers.enumerated() {
      hidden = try add(layer, prefix: "layer.\(index)", to: hidden, mask: mask)
    }
    let outputs = try self.outputs(hidden)
    let rows: [Dimension] = [.symbolic("batch"), .symbolic("sequence")]
    let types = model.configuration.tokenTypes > 0 ? interface.tokenTypes : nil
    let inputs = [interface.inputIDs, interface.attentionMask, types].compactMap(\.self)
    return Graph(
      name: "encoder", nodes: builder.nodes, initializers: builder.initializers,
      inputs: inputs.map { ValueInfo(name: $0, elementType: .int64, shape: rows) }, outputs: outputs)
  }

  // MARK: Embeddings

  private mutating func embeddings() throws -> String {
    let words = try lookUp(model.embeddings.words, "embeddings.words", by: interface.inputIDs)
    // Rows 0 ..< sequence of the position table.
    let shape = builder.add("Shape", [interface.inputIDs], as: "input_shape")
    let length = builder.add(
      "Slice", [shape, try builder.constant([Int64(1)], as: "one"), try builder.constant([Int64(2)], as: "two")],
      as: "sequence_length")
    let table = try floatTable(model.embeddings.positions, "embeddings.positions")
    let zero = try builder.constant([Int64(0)], as: "first")
    let positions = builder.add("Slice", [table, zero, length, zero], as: "embeddings/positions")
    var sum = builder.add("Add", [words, positions], as: "embeddings/sum")
    if let types = model.embeddings.tokenTypes {
      let rows = try lookUp(types, "embeddings.token_types", by: interface.tokenTypes)
      sum = builder.add("Add", [sum, rows], as: "embeddings/sum_with_types")
    }
    return try normalized(sum, model.embeddings.norm, "embeddings.norm")
  }

  /// Rows of a table; integers are looked up as such, and only the rows found become real numbers.
  private mutating func lookUp(
    _ table: DistilBERT.EmbeddingTable, _ name: String, by ids: String
  ) throws -> String {
    guard let quantization = table.quantization else {
      return builder.add("Gather", [try builder.constant(table.values, as: name), ids], as: name + "/rows")
    }
    let integers = builder.add(
      "Gather", [try builder.constant(table.values, as: name + "_quantized"), ids], as: name + "/integers")
    if quantization.scales.count == 1 {
      let scale = try builder.constant(quantization.scales, shape: [], as: name + "_scale")
      let zero = try builder.zeroPoints(
        quantization.zeroPoints, of: table.values.elementType, shape: [], as: name + "_zero_point")
      return builder.add("DequantizeLinear", [integers, scale, zero], as: name + "/rows")
    }
    guard quantization.zeroPoints.allSatisfy({ $0 == 0 }) else {
      throw ExportError.weights(layer: name, reason: "a table with a scale a row is written with zero points of 0 only")
    }
    let scales = try builder.constant(quantization.scales, shape: [quantization.scales.count, 1], as: name + "_scales")
    let scale = builder.add("Gather", [scales, ids], as: name + "/scales")
    let real = builder.add("Cast", [integers], as: name + "/real", ["to": .int(Int64(ElementType.float.rawValue))])
    return builder.add("Mul", [real, scale], as: name + "/rows")
  }

  private mutating func floatTable(_ table: DistilBERT.EmbeddingTable, _ name: String) throws -> String {
    if table.quantization == nil { return try builder.constant(table.values, as: name) }
    return try builder.constant(table.floats(), shape: table.values.shape, as: name)
  }

  // MARK: Layers

  private mutating func normalized(_ x: String, _ norm: DistilBERT.LayerNorm, _ name: String) throws -> String {
    let scale = try builder.constant(norm.scale, as: name + ".weight")
    let shift = try builder.constant(norm.bias, as: name + ".bias")
    return builder.add(
      "LayerNormalization", [x, scale, shift], as: name, ["axis": .int(-1), "epsilon": .float(norm.epsilon)])
  }

  private mutating func add(
    _ layer: DistilBERT.Layer, prefix: String, to x: String, mask: String?
  ) throws -> String {
    let context = try attention(layer, prefix: prefix, over: x, mask: mask)
    let projected = try linear.add(layer.attentionOutput, to: context, in: &builder)
    let attended = builder.add("Add", [x, projected], as: prefix + "/attention_sum")
    let middle = try normalized(attended, layer.attentionNorm, prefix + ".attention_norm")
    let expanded = try linear.add(layer.expand, to: middle, in: &builder)
    let activated = try activation(expanded, prefix + "/activation")
    let contracted = try linear.add(layer.contract, to: activated, in: &builder)
    let sum = builder.add("Add", [middle, contracted], as: prefix + "/output_sum")
    return try normalized(sum, layer.outputNorm, prefix + ".output_norm")
  }

  /// softmax(q · kᵀ / √d + mask) · v by heads.
  private mutating func attention(
    _ layer: DistilBERT.Layer, prefix: String, over x: String, mask: String?
  ) throws -> String {
    let configuration = model.configuration
    let name = prefix + "/attention"
    let split = try builder.constant(
      [0, 0, Int64(configuration.heads), Int64(configuration.headSize)], as: "split_heads")
    let merge = try builder.constant([0, 0, Int64(configuration.hidden)], as: "merge_heads")
    func heads(_ part: DistilBERT.Linear, _ order: [Int64], _ title: String) throws -> String {
      let rows = try linear.add(part, to: x, in: &builder)
      let split = builder.add("Reshape", [rows, split], as: name + "/\(title)_heads")
      return builder.add("Transpose", [split], as: name + "/\(title)", ["perm": .ints(order)])
    }
    let query = try heads(layer.query, [0, 2, 1, 3], "query")
    let key = try heads(layer.key, [0, 2, 3, 1], "key")
    let value = try heads(layer.value, [0, 2, 1, 3], "value")
    let products = builder.add("MatMul", [query, key], as: name + "/products")
    let root = try builder.constant(Float(configuration.headSize).squareRoot(), as: "root_of_head_size")
    var scores = builder.add("Div", [products, root], as: name + "/scores")
    if let mask { scores = builder.add("Add", [scores, mask], as: name + "/masked") }
    let weights = builder.add("Softmax", [scores], as: name + "/weights", ["axis": .int(-1)])
    let context = builder.add("MatMul", [weights, value], as: name + "/context_heads")
    let rows = builder.add("Transpose", [context], as: name + "/context_rows", ["perm": .ints([0, 2, 1, 3])])
    return builder.add("Reshape", [rows, merge], as: name + "/context")
  }

  /// 0 where there is a token, the least float elsewhere: `[batch, 1, 1, sequence]`.
  private mutating func mask(_ input: String) throws -> String {
    let axes = try builder.constant([Int64(1), 2], as: "mask_axes")
    let rows = builder.add("Unsqueeze", [input, axes], as: "mask/rows")
    let real = builder.add("Cast", [rows], as: "mask/real", ["to": .int(Int64(ElementType.float.rawValue))])
    let inverse = builder.add("Sub", [try builder.constant(1, as: "one_real"), real], as: "mask/inverse")
    let least = try builder.constant(-Float.greatestFiniteMagnitude, as: "least_real")
    return builder.add("Mul", [inverse, least], as: "mask")
  }

  private mutating func activation(_ x: String, _ name: String) throws -> String {
    let one = try builder.constant(1, as: "one_real")
    let half = try builder.constant(0.5, as: "half")
    let function: String
    switch model.configuration.activation {
    case .gelu:
      let ratio = builder.add("Div", [x, try builder.constant(Float(2).squareRoot(), as: "root_of_two")], as: name + "/ratio")
      function = builder.add("Erf", [ratio], as: name + "/erf")
    case .geluTanh:
      let square = builder.add("Mul", [x, x], as: name + "/square")
      let cube = builder.add("Mul", [square, x], as: name + "/cube")
      let part = builder.add("Mul", [cube, try builder.constant(0.044715, as: "gelu_cubic")], as: name + "/cubic")
      let sum = builder.add("Add", [x, part], as: name + "/inner")
      let factor = try builder.constant((2 / Float.pi).squareRoot(), as: "root_of_two_over_pi")
      function = builder.add("Tanh", [builder.add("Mul", [sum, factor], as: name + "/argument")], as: name + "/tanh")
    }
    let shifted = builder.add("Add", [function, one], as: name + "/shifted")
    let product = builder.add("Mul", [x, shifted], as: name + "/doubled")
    return builder.add("Mul", [product, half], as: name)
  }

  // MARK: Outputs

  private mutating func outputs(_ hidden: String) throws -> [ValueInfo] {
    let rows: [Dimension] = [.symbolic("batch"), .symbolic("sequence")]
    let result = try model.head.map { try linear.add($0, to: hidden, in: &builder) } ?? hidden
    let width = model.head?.weights.outputs ?? model.configuration.hidden
    switch interface.outputs {
    case .values(let name):
      _ = builder.add("Identity", [result], as: name)
      return [ValueInfo(name: name, elementType: .float, shape: rows + [.fixed(width)])]
    case .spans(let start, let end):
      guard model.head != nil, width == 2 else {
        throw ExportError.outputs("start and end logits need a head with 2 outputs, and this model gives \(width) values a token")
      }
      builder.add("Split", [result], outputs: ["head/start", "head/end"], ["axis": .int(-1)])
      let last = try builder.constant([Int64(-1)], as: "last_axis")
      _ = builder.add("Squeeze", ["head/start", last], as: start)
      _ = builder.add("Squeeze", ["head/end", last], as: end)
      return [start, end].map { ValueInfo(name: $0, elementType: .float, shape: rows) }
    }
  }
}
