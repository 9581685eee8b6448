import ONNX

/// What a model holds, in the form in which `make_models.py` writes it down.
struct ModelDescription: Codable, Equatable {
  var irVersion: Int64
  var producerName: String
  var producerVersion: String
  var opsetImports: [String: Int64]
  var metadata: [String: String]
  /// Whether the names of nodes and of the values between them are free to differ.
  var renamed: Bool
  var graph: GraphDescription

  init(_ model: Model, renamed: Bool) throws {
    irVersion = model.irVersion
    producerName = model.producerName
    producerVersion = model.producerVersion
    opsetImports = model.opsetImports
    metadata = model.metadata
    self.renamed = renamed
    graph = try GraphDescription(model.graph)
    if renamed { self = renamingValues() }
  }

  /// The same with values named in the order in which nodes mention them, and nodes without names.
  func renamingValues() -> ModelDescription {
    var names: [String: String] = ["": ""]
    for name in graph.inputs.map(\.name) + graph.outputs.map(\.name) + graph.initializers.map(\.name) {
      names[name] = name
    }
    func rename(_ name: String) -> String {
      if let known = names[name] { return known }
      let new = "value \(names.count)"
      names[name] = new
      return new
    }
    var result = self
    for index in result.graph.nodes.indices {
      result.graph.nodes[index].name = ""
      result.graph.nodes[index].inputs = graph.nodes[index].inputs.map(rename)
      result.graph.nodes[index].outputs = graph.nodes[index].outputs.map(rename)
    }
    return result
  }
}

struct GraphDescription: Codable, Equatable {
  var name: String
  var inputs: [ValueDescription]
  var outputs: [ValueDescription]
  var valueInfos: [ValueDescription]
  var initializers: [TensorDescription]
  var nodes: [NodeDescription]

  init(_ graph: Graph) throws {
    name = graph.name
    inputs = graph.inputs.map { ValueDescription($0) }
    outputs = graph.outputs.map { ValueDescription($0) }
    valueInfos = graph.valueInfos.sorted { $0.key < $1.key }.map { ValueDescription($0.value) }
    initializers = try graph.initializers.sorted { $0.key < $1.key }.map { try TensorDescription($0.value) }
    nodes = try graph.nodes.map { try NodeDescription($0) }
  }
}

struct ValueDescription: Codable, Equatable {
  var name: String
  var type: String?
  var shape: [String]?

  init(_ info: ValueInfo) {
    name = info.name
    type = info.elementType?.description
    shape = info.shape?.map(\.description)
  }
}

struct TensorDescription: Codable, Equatable {
  var name: String
  var type: String
  var shape: [Int]
  var floatBits: [UInt32]?
  var ints: [String]?
  var strings: [String]?

  init(_ tensor: Tensor) throws {
    name = tensor.name
    type = tensor.elementType.description
    shape = tensor.shape
    if tensor.elementType == .string {
      strings = try tensor.strings()
    } else if tensor.elementType.isFloatingPoint {
      floatBits = try tensor.floats().map(\.bitPattern)
    } else {
      ints = try tensor.int64s().map { "\($0)" }
    }
  }
}

struct NodeDescription: Codable, Equatable {
  var name: String
  var operatorType: String
  var domain: String
  var inputs: [String]
  var outputs: [String]
  var attributes: [String: AttributeDescription]

  init(_ node: Node) throws {
    name = node.name
    operatorType = node.operatorType
    domain = node.domain
    inputs = node.inputs
    outputs = node.outputs
    attributes = try node.attributes.mapValues { try AttributeDescription($0) }
  }
}

struct AttributeDescription: Codable, Equatable {
  var int: Int64?
  var float: UInt32?
  var string: String?
  var tensor: TensorDescription?
  var graph: GraphDescription?
  var ints: [Int64]?
  var floats: [UInt32]?
  var strings: [String]?
  var tensors: [TensorDescription]?
  var graphs: [GraphDescription]?

  init(_ attribute: Attribute) throws {
    switch attribute {
    case .int(let value): int = value
    case .float(let value): float = value.bitPattern
    case .string(let value): string = value
    case .tensor(let value): tensor = try TensorDescription(value)
    case .graph(let value): graph = try GraphDescription(value)
    case .ints(let values): ints = values
    case .floats(let values): floats = values.map(\.bitPattern)
    case .strings(let values): strings = values
    case .tensors(let values): tensors = try values.map { try TensorDescription($0) }
    case .graphs(let values): graphs = try values.map { try GraphDescription($0) }
    }
  }
}
