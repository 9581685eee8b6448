import CONNXProto
import CProtobufC

/// Turns an unpacked `ModelProto` into Swift values, checking each field on the way.
///
/// Calls of functions that the model defines are replaced by the functions' nodes as they are met. What needs a whole
/// graph (names, order, cycles) is left to `GraphChecker`.
final class ModelDecoder {
  let file: String
  private let source: TensorBytes
  private let payloads: [Range<Int>]
  private let external: ExternalData
  private var opsets: [String: Int64] = [:]
  private var functions: [FunctionName: UnsafeMutablePointer<Onnx__FunctionProto>] = [:]
  /// The tensors of function bodies, so that many calls share one copy.
  private var functionTensors: [UnsafeMutablePointer<Onnx__TensorProto>: Tensor] = [:]
  private var callCount = 0
  /// How many bytes of nodes function calls may still add: hundreds of thousands of nodes.
  private var expansionBudget = 1 << 25

  /// A decoder for the model in `source`, whose raw tensor bytes lie at `payloads`.
  init(file: String, source: TensorBytes, payloads: [Range<Int>], external: ExternalData) {
    self.file = file
    self.source = source
    self.payloads = payloads
    self.external = external
  }

  // MARK: Limits

  /// How deep graphs and function calls may be nested.
  private static let maximumNesting = 16
  /// The most dimensions a tensor may have.
  private static let maximumRank = 64
  /// The domains whose operators somebody here may know. (`ai.onnx` is another name of the empty one.)
  private static let knownDomains: Set<String> = ["", "ai.onnx.ml", "com.microsoft"]

  // MARK: Model

  /// The model, its graph not yet checked as a whole.
  func model(_ proto: Onnx__ModelProto) throws(ONNXError) -> Model {
    guard proto.has_ir_version != 0, proto.ir_version > 0 else {
      throw .notAModel(file: file, reason: "it has no ir_version")
    }
    guard let graph = proto.graph else { throw .notAModel(file: file, reason: "it has no graph") }
    opsets = try opsetImports(proto.n_opset_import, proto.opset_import, place: "opset_import")
    guard !opsets.isEmpty else {
      throw .invalid(file: file, place: "opset_import", reason: "names no operator set")
    }
    for function in Self.list(proto.n_functions, proto.functions) {
      let name = FunctionName(function.pointee)
      guard functions.updateValue(function, forKey: name) == nil else {
        throw .invalid(file: file, place: "function '\(name)'", reason: "is defined twice")
      }
    }
    var metadata: [String: String] = [:]
    for entry in Self.list(proto.n_metadata_props, proto.metadata_props) {
      metadata[Self.text(entry.pointee.key)] = Self.text(entry.pointee.value)
    }
    let decodedGraph = try self.graph(graph.pointee, place: "graph", scope: nil, nesting: 0)
    return Model(
      irVersion: proto.ir_version, producerName: Self.text(proto.producer_name),
      producerVersion: Self.text(proto.producer_version), opsetImports: opsets, metadata: metadata,
      graph: decodedGraph)
  }

  private func opsetImports(
    _ count: Int, _ base: UnsafeMutablePointer<UnsafeMutablePointer<Onnx__OperatorSetIdProto>?>?, place: String
  ) throws(ONNXError) -> [String: Int64] {
    var versions: [String: Int64] = [:]
    for entry in Self.list(count, base) {
      let domain = Self.domain(entry.pointee.domain)
      let version = entry.pointee.version
      guard version > 0 else {
        throw .invalid(file: file, place: place, reason: "version \(version) of domain '\(domain)' is not positive")
      }
      guard versions.updateValue(version, forKey: domain) ?? version == version else {
        throw .invalid(file: file, place: place, reason: "names two versions of domain '\(domain)'")
      }
    }
    return versions
  }

  // MARK: Graphs

  private func graph(
    _ proto: Onnx__GraphProto, place: String, scope: FunctionScope?, nesting: Int
  ) throws(ONNXError) -> Graph {
    guard nesting <= Self.maximumNesting else {
      throw .unsupported(file: file, place: place, reason: "graphs are nested too deeply")
    }
    func name(_ text: UnsafeMutablePointer<CChar>?) -> String { rename(Self.text(text), scope) }
    func field(_ field: String) -> String { nesting == 0 ? field : "\(place), \(field)" }

    if let sparse = Self.list(proto.n_sparse_initializer, proto.sparse_initializer).first {
      let sparseName = sparse.pointee.values.map { Self.text($0.pointee.name) } ?? ""
      throw .unsupported(
        file: file, place: field("initializer '\(sparseName)'"),
        reason: "is sparse; convert it to a dense initializer")
    }
    var initializers: [String: Tensor] = [:]
    for (index, tensor) in Self.list(proto.n_initializer, proto.initializer).enumerated() {
      let name = name(tensor.pointee.name)
      guard !name.isEmpty else {
        throw .invalid(file: file, place: field("initializer \(index)"), reason: "has no name")
      }
      var value = try self.tensor(tensor, place: field("initializer '\(name)'"), scope: scope)
      value.name = name
      guard initializers.updateValue(value, forKey: name) == nil else {
        throw .invalid(file: file, place: field("initializer '\(name)'"), reason: "is defined twice")
      }
    }
    var nodes: [Node] = []
    for (index, node) in Self.list(proto.n_node, proto.node).enumerated() {
      try append(node.pointee, to: &nodes, place: field("node \(index)"), scope: scope, nesting: nesting)
    }
    var inputs: [ValueInfo] = []
    var inputNames = Set<String>()
    for info in Self.list(proto.n_input, proto.input) {
      let value = try valueInfo(info.pointee, place: field("input"), isInterface: true, scope: scope)
      guard inputNames.insert(value.name).inserted else {
        throw .invalid(file: file, place: field("input '\(value.name)'"), reason: "is defined twice")
      }
      // Up to IR version 3 every initialiser was an input as well: a default that a caller may replace.
      if initializers[value.name] == nil { inputs.append(value) }
    }
    var outputs: [ValueInfo] = []
    for info in Self.list(proto.n_output, proto.output) {
      outputs.append(try valueInfo(info.pointee, place: field("output"), isInterface: true, scope: scope))
    }
    var valueInfos: [String: ValueInfo] = [:]
    for info in Self.list(proto.n_value_info, proto.value_info) {
      let value = try valueInfo(info.pointee, place: field("value_info"), isInterface: false, scope: scope)
      valueInfos[value.name] = value
    }
    return Graph(
      name: Self.text(proto.name), nodes: nodes, initializers: initializers, inputs: inputs, outputs: outputs,
      valueInfos: valueInfos)
  }

  /// A value's type and shape. `isInterface`: of a graph's input or output, which has to be a tensor of a known type.
  private func valueInfo(
    _ proto: Onnx__ValueInfoProto, place: String, isInterface: Bool, scope: FunctionScope?
  ) throws(ONNXError) -> ValueInfo {
    let name = rename(Self.text(proto.name), scope)
    guard !name.isEmpty else { throw .invalid(file: file, place: place, reason: "a value has no name") }
    let place = "\(place) '\(name)'"
    guard let type = proto.type, type.pointee.value_case != ONNX__TYPE_PROTO__VALUE__NOT_SET else {
      return ValueInfo(name: name)
    }
    guard type.pointee.value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE, let tensor = type.pointee.tensor_type else {
      guard isInterface else { return ValueInfo(name: name) }
      throw .unsupported(file: file, place: place, reason: "is not a tensor")
    }
    let elementType = ElementType(rawValue: tensor.pointee.elem_type)
    if isInterface, elementType == nil, tensor.pointee.elem_type != 0 {
      throw .unsupported(file: file, place: place, reason: "has elements of ONNX type \(tensor.pointee.elem_type)")
    }
    guard let shape = tensor.pointee.shape?.pointee else { return ValueInfo(name: name, elementType: elementType) }
    guard shape.n_dim <= Self.maximumRank else {
      throw .unsupported(file: file, place: place, reason: "has \(shape.n_dim) dimensions")
    }
    var dimensions: [Dimension] = []
    for dimension in Self.list(shape.n_dim, shape.dim) {
      switch dimension.pointee.value_case {
      case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE:
        let size = dimension.pointee.dim_value
        // Some exporters write -1 for a size that is not known.
        guard size >= -1 else {
          throw .invalid(file: file, place: "\(place), shape", reason: "has the negative dimension \(size)")
        }
        dimensions.append(size == -1 ? .unknown : .fixed(Int(size)))
      case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM:
        let symbol = Self.text(dimension.pointee.dim_param)
        dimensions.append(symbol.isEmpty ? .unknown : .symbolic(symbol))
      default:
        dimensions.append(.unknown)
      }
    }
    return ValueInfo(name: name, elementType: elementType, shape: dimensions)
  }

  // MARK: Nodes

  /// Appends a node, or the nodes of the function that it calls.
  private func append(
    _ proto: Onnx__NodeProto, to nodes: inout [Node], place: String, scope: FunctionScope?, nesting: Int
  ) throws(ONNXError) {
    var node = Node(
      name: nodeName(Self.text(proto.name), scope),
      operatorType: Self.text(proto.op_type), domain: Self.domain(proto.domain),
      inputs: Self.texts(proto.n_input, proto.input).map { rename($0, scope) },
      outputs: Self.texts(proto.n_output, proto.output).map { rename($0, scope) })
    guard !node.operatorType.isEmpty else { throw .invalid(file: file, place: place, reason: "has no op_type") }
    let place = scope == nil && nesting == 0 ? "node '\(node.label)'" : "\(place), node '\(node.label)'"
    if scope != nil {
      try charge(64 + node.name.utf8.count + (node.inputs + node.outputs).reduce(0) { $0 + 16 + $1.utf8.count }, place)
    }
    for attribute in Self.list(proto.n_attribute, proto.attribute) {
      let name = Self.text(attribute.pointee.name)
      guard !name.isEmpty else { throw .invalid(file: file, place: place, reason: "an attribute has no name") }
      let place = "\(place), attribute '\(name)'"
      guard node.attributes[name] == nil else { throw .invalid(file: file, place: place, reason: "is given twice") }
      node.attributes[name] = try self.attribute(attribute.pointee, place: place, scope: scope, nesting: nesting)
    }
    let function = FunctionName(domain: node.domain, name: node.operatorType, overload: Self.text(proto.overload))
    if let body = functions[function] {
      try inline(
        body.pointee, named: function, callee: node, into: &nodes, place: place, scope: scope, nesting: nesting)
      return
    }
    guard Self.knownDomains.contains(node.domain) else {
      throw .unsupported(
        file: file, place: place, reason: "operator \(node.operatorType) is of the unknown domain '\(node.domain)'")
    }
    guard opsets[node.domain] != nil else {
      throw .invalid(
        file: file, place: place,
        reason: "operator \(node.operatorType) is of domain '\(node.domain)', which opset_import does not name")
    }
    nodes.append(node)
  }

  // MARK: Functions

  private struct FunctionName: Hashable, CustomStringConvertible {
    var domain: String
    var name: String
    var overload: String

    init(domain: String, name: String, overload: String) {
      self.domain = domain
      self.name = name
      self.overload = overload
    }

    init(_ proto: Onnx__FunctionProto) {
      self.init(domain: ModelDecoder.domain(proto.domain), name: text(proto.name), overload: text(proto.overload))
    }

    var description: String {
      [domain, name, overload].filter { !$0.isEmpty }.joined(separator: ":")
    }
  }

  /// What the names in a function's body stand for in one call of it.
  private struct FunctionScope {
    /// The functions being expanded, outermost first.
    var calls: [FunctionName]
    /// What goes before the names of values and nodes inside.
    var prefix: String
    /// The caller's names of the function's inputs and outputs.
    var values: [String: String]
    /// The call's attributes, and the defaults of those that it leaves out.
    var attributes: [String: Attribute]
  }

  /// A value's name in the graph: as it is, or what it stands for in a call of a function.
  private func rename(_ name: String, _ scope: FunctionScope?) -> String {
    guard let scope, !name.isEmpty else { return name }
    return scope.values[name] ?? scope.prefix + name
  }

  /// A node's name in the graph; one without a name stays so.
  private func nodeName(_ name: String, _ scope: FunctionScope?) -> String {
    guard let scope, !name.isEmpty else { return name }
    return scope.prefix + name
  }

  private func inline(
    _ body: Onnx__FunctionProto, named function: FunctionName, callee call: Node, into nodes: inout [Node],
    place: String, scope outer: FunctionScope?, nesting: Int
  ) throws(ONNXError) {
    let calls = outer?.calls ?? []
    guard !calls.contains(function) else {
      throw .invalid(file: file, place: place, reason: "function '\(function)' calls itself")
    }
    guard nesting + calls.count < Self.maximumNesting else {
      throw .unsupported(file: file, place: place, reason: "function calls are nested too deeply")
    }
    try charge(16 * (body.n_input + body.n_output + body.n_attribute + body.n_node + body.n_opset_import), place)
    let functionPlace = "function '\(function)'"
    let imports = try opsetImports(body.n_opset_import, body.opset_import, place: "\(functionPlace), opset_import")
    for (domain, version) in imports {
      let known = opsets[domain]
      guard known == nil || known == version || !usesOperators(of: domain, body) else {
        throw .unsupported(
          file: file, place: functionPlace,
          reason: "is written for version \(version) of domain '\(domain)', the model for \(known ?? 0)")
      }
      if known == nil { opsets[domain] = version }
    }

    callCount += 1
    var scope = FunctionScope(
      calls: calls + [function], prefix: "\(function.name).\(callCount)/", values: [:], attributes: [:])
    let inputs = Self.texts(body.n_input, body.input)
    let outputs = Self.texts(body.n_output, body.output)
    guard call.inputs.count <= inputs.count, call.outputs.count <= outputs.count else {
      throw .invalid(
        file: file, place: place,
        reason: "has more inputs or outputs than \(functionPlace), which has \(inputs.count) and \(outputs.count)")
    }
    for (index, input) in inputs.enumerated() {
      guard scope.values.updateValue(call.input(index) ?? "", forKey: input) == nil else {
        throw .invalid(file: file, place: functionPlace, reason: "has two inputs named '\(input)'")
      }
    }
    var passedThrough: [(input: String, output: String)] = []
    for (index, output) in outputs.enumerated() {
      guard let name = call.output(index) else { continue }
      if let input = scope.values[output] {
        passedThrough.append((input, name))
      } else {
        scope.values[output] = name
      }
    }
    let parameters = Set(Self.texts(body.n_attribute, body.attribute))
    for attribute in Self.list(body.n_attribute_proto, body.attribute_proto) {
      let name = Self.text(attribute.pointee.name)
      scope.attributes[name] = try self.attribute(
        attribute.pointee, place: "\(functionPlace), attribute '\(name)'", scope: scope, nesting: nesting)
    }
    for (name, value) in call.attributes where parameters.contains(name) || scope.attributes[name] != nil {
      scope.attributes[name] = value
    }
    for node in Self.list(body.n_node, body.node) {
      try append(node.pointee, to: &nodes, place: place, scope: scope, nesting: nesting)
    }
    for (input, output) in passedThrough {
      nodes.append(Node(name: "\(scope.prefix)\(output)", operatorType: "Identity", inputs: [input], outputs: [output]))
    }
  }

  /// Whether a function's nodes are of a domain, or hold graphs, whose nodes may be.
  private func usesOperators(of domain: String, _ body: Onnx__FunctionProto) -> Bool {
    Self.list(body.n_node, body.node).contains { node in
      Self.domain(node.pointee.domain) == domain
        || Self.list(node.pointee.n_attribute, node.pointee.attribute)
          .contains { $0.pointee.g != nil || $0.pointee.n_graphs > 0 }
    }
  }

  /// Takes what an expanded node costs in memory from the model's allowance: calls of calls grow exponentially.
  private func charge(_ byteCount: Int, _ place: String) throws(ONNXError) {
    expansionBudget -= byteCount
    guard expansionBudget >= 0 else {
      throw .unsupported(file: file, place: place, reason: "the model's function calls expand to too many nodes")
    }
  }

  // MARK: Attributes

  private func attribute(
    _ proto: Onnx__AttributeProto, place: String, scope: FunctionScope?, nesting: Int
  ) throws(ONNXError) -> Attribute? {
    let reference = Self.text(proto.ref_attr_name)
    if !reference.isEmpty {
      guard let scope else {
        throw .invalid(file: file, place: place, reason: "refers to '\(reference)' outside of a function")
      }
      return scope.attributes[reference]
    }
    let present = AttributeKind.present(in: proto)
    guard present.count <= 1 else {
      throw .invalid(
        file: file, place: place,
        reason: "holds values of several kinds: \(present.map { "\($0)" }.joined(separator: ", "))")
    }
    let kind: AttributeKind
    if proto.has_type != 0, proto.type != 0 {
      guard let stated = AttributeKind(rawValue: proto.type) else {
        throw .unsupported(file: file, place: place, reason: "is of attribute type \(proto.type)")
      }
      guard present.allSatisfy({ $0 == stated }) else {
        throw .invalid(file: file, place: place, reason: "is said to be '\(stated)' but holds '\(present[0])'")
      }
      kind = stated
    } else {
      guard let only = present.first else { throw .invalid(file: file, place: place, reason: "has no value") }
      kind = only
    }
    if scope != nil {
      try charge(
        proto.n_ints * 8 + proto.n_floats * 4 + proto.s.len
          + Self.bytes(proto.n_strings, proto.strings).reduce(0) { $0 + 16 + $1.len }, place)
    }
    switch kind {
    case .f: return .float(proto.f)
    case .i: return .int(proto.i)
    case .s: return .string(try string(proto.s, place))
    case .t:
      guard let tensor = proto.t else { throw .invalid(file: file, place: place, reason: "has no tensor") }
      return .tensor(try self.tensor(tensor, place: place, scope: scope))
    case .g:
      guard let graph = proto.g else { throw .invalid(file: file, place: place, reason: "has no graph") }
      return .graph(try self.graph(graph.pointee, place: place, scope: scope, nesting: nesting + 1))
    case .floats: return .floats(Array(UnsafeBufferPointer(start: proto.floats, count: proto.n_floats)))
    case .ints: return .ints(Array(UnsafeBufferPointer(start: proto.ints, count: proto.n_ints)))
    case .strings: return .strings(try strings(proto.n_strings, proto.strings, place))
    case .tensors:
      var tensors: [Tensor] = []
      for tensor in Self.list(proto.n_tensors, proto.tensors) {
        tensors.append(try self.tensor(tensor, place: place, scope: scope))
      }
      return .tensors(tensors)
    case .graphs:
      var graphs: [Graph] = []
      for graph in Self.list(proto.n_graphs, proto.graphs) {
        graphs.append(try self.graph(graph.pointee, place: place, scope: scope, nesting: nesting + 1))
      }
      return .graphs(graphs)
    }
  }

  // MARK: Tensors

  private func tensor(
    _ proto: UnsafeMutablePointer<Onnx__TensorProto>, place: String, scope: FunctionScope?
  ) throws(ONNXError) -> Tensor {
    guard scope != nil else { return try tensor(proto.pointee, place: place) }
    if let known = functionTensors[proto] { return known }
    let tensor = try tensor(proto.pointee, place: place)
    functionTensors[proto] = tensor
    return tensor
  }

  private func tensor(_ proto: Onnx__TensorProto, place: String) throws(ONNXError) -> Tensor {
    func invalid(_ field: String, _ reason: String) -> ONNXError {
      .invalid(file: file, place: "\(place), \(field)", reason: reason)
    }
    guard proto.segment == nil else { throw .unsupported(file: file, place: place, reason: "is stored in segments") }
    guard let type = ElementType(rawValue: proto.data_type) else {
      guard proto.data_type != 0 else { throw invalid("data_type", "is missing") }
      throw .unsupported(
        file: file, place: "\(place), data_type", reason: "ONNX's element type \(proto.data_type) is not read")
    }
    guard proto.n_dims <= Self.maximumRank else { throw invalid("dims", "are \(proto.n_dims) dimensions") }
    let shape = UnsafeBufferPointer(start: proto.dims, count: proto.n_dims).map { Int($0) }
    let name = Self.text(proto.name)
    let data: TensorData
    do throws(ONNXError) {
      data = try tensorData(proto, type, shape: shape, place: place, invalid)
      switch data {
      case .bytes(let bytes): return try Tensor(name: name, elementType: type, shape: shape, bytes: bytes)
      case .strings(let strings): return try Tensor(name: name, shape: shape, strings: strings)
      }
    } catch .tensor(_, let reason) {
      throw .invalid(file: file, place: place, reason: reason)
    } catch {
      throw error
    }
  }

  private enum TensorData {
    case bytes(TensorBytes)
    case strings([String])
  }

  private func tensorData(
    _ proto: Onnx__TensorProto, _ type: ElementType, shape: [Int], place: String,
    _ invalid: (_ field: String, _ reason: String) -> ONNXError
  ) throws(ONNXError) -> TensorData {
    let typedFields: [(name: String, count: Int)] = [
      ("float_data", proto.n_float_data), ("int32_data", proto.n_int32_data), ("int64_data", proto.n_int64_data),
      ("double_data", proto.n_double_data), ("uint64_data", proto.n_uint64_data),
      ("string_data", proto.n_string_data),
    ]
    let filled = typedFields.filter { $0.count > 0 }.map(\.name)
    var raw: TensorBytes?
    if proto.has_raw_data != 0 {
      guard let slot = ModelSkeleton.slot(in: proto.raw_data), payloads.indices.contains(slot),
        let bytes = source.slice(payloads[slot])
      else { throw invalid("raw_data", "cannot be found in the file") }
      raw = bytes
    }

    guard proto.data_location == 0 else {
      guard proto.data_location == 1 else { throw invalid("data_location", "is \(proto.data_location)") }
      guard filled.isEmpty, raw == nil else { throw invalid("data_location", "is external, but there is data inside") }
      guard let byteCount = type.byteCount(of: try Tensor.elementCount(of: shape, name: place)) else {
        throw invalid("data_type", "\(type) cannot be external, or the shape \(shape) is too large")
      }
      let entries = Self.list(proto.n_external_data, proto.external_data)
        .map { (key: Self.text($0.pointee.key), value: Self.text($0.pointee.value)) }
      return .bytes(try external.bytes(of: Self.text(proto.name), entries: entries, byteCount: byteCount))
    }
    if let raw, raw.count > 0 || filled.isEmpty {
      guard filled.isEmpty else { throw invalid(filled[0], "holds data, but raw_data does as well") }
      guard type != .string else { throw invalid("raw_data", "cannot hold strings") }
      return .bytes(raw)
    }
    let expected = Self.dataField(of: type)
    guard filled.allSatisfy({ $0 == expected }) else {
      let other = filled.first { $0 != expected } ?? expected
      throw invalid(other, "holds data, but elements of type \(type) belong into \(expected)")
    }
    switch type {
    case .string: return .strings(try strings(proto.n_string_data, proto.string_data, "\(place), string_data"))
    case .float: return .bytes(TensorBytes(Self.values(proto.float_data, proto.n_float_data)))
    case .double: return .bytes(TensorBytes(Self.values(proto.double_data, proto.n_double_data)))
    case .int64: return .bytes(TensorBytes(Self.values(proto.int64_data, proto.n_int64_data)))
    case .uint64: return .bytes(TensorBytes(Self.values(proto.uint64_data, proto.n_uint64_data)))
    case .uint32:
      return .bytes(
        try narrowed(Self.values(proto.uint64_data, proto.n_uint64_data), to: UInt32.self, expected, invalid))
    default: break
    }
    let words = Self.values(proto.int32_data, proto.n_int32_data)
    switch type {
    case .int8: return .bytes(try narrowed(words, to: Int8.self, expected, invalid))
    case .int16: return .bytes(try narrowed(words, to: Int16.self, expected, invalid))
    case .uint8, .uint4, .int4: return .bytes(try narrowed(words, to: UInt8.self, expected, invalid))
    case .uint16, .float16, .bfloat16: return .bytes(try narrowed(words, to: UInt16.self, expected, invalid))
    case .bool:
      guard let wrong = words.first(where: { $0 != 0 && $0 != 1 }) else {
        return .bytes(try narrowed(words, to: UInt8.self, expected, invalid))
      }
      throw invalid(expected, "\(wrong) is not a truth value")
    default: return .bytes(TensorBytes(words))
    }
  }

  /// The field that holds the elements of a type one by one.
  private static func dataField(of type: ElementType) -> String {
    switch type {
    case .float: "float_data"
    case .double: "double_data"
    case .int64: "int64_data"
    case .uint32, .uint64: "uint64_data"
    case .string: "string_data"
    case .int32, .int16, .int8, .int4, .uint16, .uint8, .uint4, .bool, .float16, .bfloat16: "int32_data"
    }
  }

  private func narrowed<Wide: BinaryInteger, Narrow: FixedWidthInteger & BitwiseCopyable>(
    _ values: [Wide], to type: Narrow.Type, _ field: String,
    _ invalid: (_ field: String, _ reason: String) -> ONNXError
  ) throws(ONNXError) -> TensorBytes {
    var result: [Narrow] = []
    result.reserveCapacity(values.count)
    for value in values {
      guard let narrow = Narrow(exactly: value) else { throw invalid(field, "\(value) does not fit the element type") }
      result.append(narrow)
    }
    return TensorBytes(result)
  }

  // MARK: protobuf-c's representation

  private func string(_ data: ProtobufCBinaryData, _ place: String) throws(ONNXError) -> String {
    let bytes = UnsafeBufferPointer(start: data.data, count: data.len)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .unsupported(file: file, place: place, reason: "holds a string that is not UTF-8")
    }
    return text
  }

  private func strings(
    _ count: Int, _ base: UnsafeMutablePointer<ProtobufCBinaryData>?, _ place: String
  ) throws(ONNXError) -> [String] {
    var result: [String] = []
    for data in Self.bytes(count, base) { result.append(try string(data, place)) }
    return result
  }

  private static func bytes(
    _ count: Int, _ base: UnsafeMutablePointer<ProtobufCBinaryData>?
  ) -> UnsafeBufferPointer<ProtobufCBinaryData> {
    UnsafeBufferPointer(start: base, count: base == nil ? 0 : count)
  }

  private static func list<Message>(
    _ count: Int, _ base: UnsafeMutablePointer<UnsafeMutablePointer<Message>?>?
  ) -> [UnsafeMutablePointer<Message>] {
    UnsafeBufferPointer(start: base, count: base == nil ? 0 : count).compactMap { $0 }
  }

  private static func values<Value>(_ base: UnsafeMutablePointer<Value>?, _ count: Int) -> [Value] {
    Array(UnsafeBufferPointer(start: base, count: base == nil ? 0 : count))
  }

  private static func texts(_ count: Int, _ base: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> [String] {
    UnsafeBufferPointer(start: base, count: base == nil ? 0 : count).map { text($0) }
  }

  private static func text(_ text: UnsafeMutablePointer<CChar>?) -> String { text.map { String(cString: $0) } ?? "" }

  private static func domain(_ name: UnsafeMutablePointer<CChar>?) -> String {
    let name = text(name)
    return name == "ai.onnx" ? "" : name
  }
}
