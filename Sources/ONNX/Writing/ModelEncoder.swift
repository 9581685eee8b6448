import CONNXProto
import CProtobufC

/// Builds the protobuf-c messages of a model. The bytes of its tensors are pointed to, not copied.
final class ModelEncoder {
  private let file: String
  private let model: Model
  private var blocks: [UnsafeMutableRawPointer] = []

  /// An encoder of `model`, which is to be written to `file`. Messages live as long as the encoder.
  init(_ model: Model, file: String) {
    self.model = model
    self.file = file
  }

  deinit {
    for block in blocks { block.deallocate() }
  }

  /// The initialisers became independent of the inputs with this version of the format.
  private static let firstVersionWithSeparateInitializers = 4

  /// The model's message.
  func message() throws(ONNXError) -> UnsafeMutablePointer<Onnx__ModelProto> {
    let proto = make(Onnx__ModelProto(), onnx__model_proto__init)
    proto.pointee.has_ir_version = 1
    proto.pointee.ir_version = model.irVersion
    proto.pointee.producer_name = try optionalText(model.producerName)
    proto.pointee.producer_version = try optionalText(model.producerVersion)
    var imports: [UnsafeMutablePointer<Onnx__OperatorSetIdProto>?] = []
    for (domain, version) in model.opsetImports.sorted(by: { $0.key < $1.key }) {
      let entry = make(Onnx__OperatorSetIdProto(), onnx__operator_set_id_proto__init)
      entry.pointee.domain = try text(domain)
      entry.pointee.has_version = 1
      entry.pointee.version = version
      imports.append(entry)
    }
    (proto.pointee.n_opset_import, proto.pointee.opset_import) = array(imports)
    var metadata: [UnsafeMutablePointer<Onnx__StringStringEntryProto>?] = []
    for (key, value) in model.metadata.sorted(by: { $0.key < $1.key }) {
      let entry = make(Onnx__StringStringEntryProto(), onnx__string_string_entry_proto__init)
      entry.pointee.key = try text(key)
      entry.pointee.value = try text(value)
      metadata.append(entry)
    }
    (proto.pointee.n_metadata_props, proto.pointee.metadata_props) = array(metadata)
    proto.pointee.graph = try graph(model.graph)
    return proto
  }

  private func graph(_ graph: Graph) throws(ONNXError) -> UnsafeMutablePointer<Onnx__GraphProto> {
    let proto = make(Onnx__GraphProto(), onnx__graph_proto__init)
    proto.pointee.name = try text(graph.name)
    var nodes: [UnsafeMutablePointer<Onnx__NodeProto>?] = []
    for node in graph.nodes { nodes.append(try self.node(node)) }
    (proto.pointee.n_node, proto.pointee.node) = array(nodes)

    var inputs = graph.inputs
    var initializers: [UnsafeMutablePointer<Onnx__TensorProto>?] = []
    for (name, value) in graph.initializers.sorted(by: { $0.key < $1.key }) {
      initializers.append(try tensor(value, name: name))
      if model.irVersion < Self.firstVersionWithSeparateInitializers {
        inputs.append(ValueInfo(name: name, elementType: value.elementType, shape: value.shape.map { .fixed($0) }))
      }
    }
    (proto.pointee.n_initializer, proto.pointee.initializer) = array(initializers)
    (proto.pointee.n_input, proto.pointee.input) = array(try valueInfos(inputs))
    (proto.pointee.n_output, proto.pointee.output) = array(try valueInfos(graph.outputs))
    let inner = graph.valueInfos.sorted { $0.key < $1.key }.map(\.value)
    (proto.pointee.n_value_info, proto.pointee.value_info) = array(try valueInfos(inner))
    return proto
  }

  private func node(_ node: Node) throws(ONNXError) -> UnsafeMutablePointer<Onnx__NodeProto> {
    let proto = make(Onnx__NodeProto(), onnx__node_proto__init)
    proto.pointee.name = try optionalText(node.name)
    proto.pointee.op_type = try text(node.operatorType)
    proto.pointee.domain = try optionalText(node.domain)
    (proto.pointee.n_input, proto.pointee.input) = array(try texts(node.inputs))
    (proto.pointee.n_output, proto.pointee.output) = array(try texts(node.outputs))
    var attributes: [UnsafeMutablePointer<Onnx__AttributeProto>?] = []
    for (name, value) in node.attributes.sorted(by: { $0.key < $1.key }) {
      attributes.append(try attribute(name, value))
    }
    (proto.pointee.n_attribute, proto.pointee.attribute) = array(attributes)
    return proto
  }

  private func attribute(
    _ name: String, _ value: Attribute
  ) throws(ONNXError) -> UnsafeMutablePointer<Onnx__AttributeProto> {
    let proto = make(Onnx__AttributeProto(), onnx__attribute_proto__init)
    proto.pointee.name = try text(name)
    proto.pointee.has_type = 1
    proto.pointee.type = AttributeKind(value).rawValue
    switch value {
    case .int(let value):
      proto.pointee.has_i = 1
      proto.pointee.i = value
    case .float(let value):
      proto.pointee.has_f = 1
      proto.pointee.f = value
    case .string(let value):
      proto.pointee.has_s = 1
      proto.pointee.s = bytes(value)
    case .tensor(let value): proto.pointee.t = try tensor(value, name: value.name)
    case .graph(let value): proto.pointee.g = try graph(value)
    case .ints(let values): (proto.pointee.n_ints, proto.pointee.ints) = array(values)
    case .floats(let values): (proto.pointee.n_floats, proto.pointee.floats) = array(values)
    case .strings(let values): (proto.pointee.n_strings, proto.pointee.strings) = array(values.map { bytes($0) })
    case .tensors(let values):
      var tensors: [UnsafeMutablePointer<Onnx__TensorProto>?] = []
      for value in values { tensors.append(try tensor(value, name: value.name)) }
      (proto.pointee.n_tensors, proto.pointee.tensors) = array(tensors)
    case .graphs(let values):
      var graphs: [UnsafeMutablePointer<Onnx__GraphProto>?] = []
      for value in values { graphs.append(try graph(value)) }
      (proto.pointee.n_graphs, proto.pointee.graphs) = array(graphs)
    }
    return proto
  }

  private func tensor(_ tensor: Tensor, name: String) throws(ONNXError) -> UnsafeMutablePointer<Onnx__TensorProto> {
    let proto = make(Onnx__TensorProto(), onnx__tensor_proto__init)
    proto.pointee.name = try optionalText(name)
    proto.pointee.has_data_type = 1
    proto.pointee.data_type = tensor.elementType.rawValue
    (proto.pointee.n_dims, proto.pointee.dims) = array(tensor.shape.map { Int64($0) })
    if tensor.elementType == .string {
      (proto.pointee.n_string_data, proto.pointee.string_data) = array(try tensor.strings().map { bytes($0) })
    } else {
      let buffer = tensor.bytes.unmanagedBuffer
      proto.pointee.has_raw_data = 1
      // The model, which this object holds, owns the bytes; protobuf-c only reads them.
      proto.pointee.raw_data = ProtobufCBinaryData(
        len: buffer.count,
        data: UnsafeMutableRawPointer(mutating: buffer.baseAddress)?.assumingMemoryBound(to: UInt8.self))
    }
    return proto
  }

  private func valueInfos(
    _ infos: [ValueInfo]
  ) throws(ONNXError) -> [UnsafeMutablePointer<Onnx__ValueInfoProto>?] {
    var protos: [UnsafeMutablePointer<Onnx__ValueInfoProto>?] = []
    for info in infos {
      let proto = make(Onnx__ValueInfoProto(), onnx__value_info_proto__init)
      proto.pointee.name = try text(info.name)
      if info.elementType != nil || info.shape != nil { proto.pointee.type = try type(info) }
      protos.append(proto)
    }
    return protos
  }

  private func type(_ info: ValueInfo) throws(ONNXError) -> UnsafeMutablePointer<Onnx__TypeProto> {
    let tensor = make(Onnx__TypeProto__Tensor(), onnx__type_proto__tensor__init)
    if let elementType = info.elementType {
      tensor.pointee.has_elem_type = 1
      tensor.pointee.elem_type = elementType.rawValue
    }
    if let dimensions = info.shape {
      let shape = make(Onnx__TensorShapeProto(), onnx__tensor_shape_proto__init)
      var protos: [UnsafeMutablePointer<Onnx__TensorShapeProto__Dimension>?] = []
      for dimension in dimensions {
        let proto = make(Onnx__TensorShapeProto__Dimension(), onnx__tensor_shape_proto__dimension__init)
        switch dimension {
        case .fixed(let size):
          proto.pointee.value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
          proto.pointee.dim_value = Int64(size)
        case .symbolic(let name):
          proto.pointee.value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
          proto.pointee.dim_param = try text(name)
        case .unknown: break
        }
        protos.append(proto)
      }
      (shape.pointee.n_dim, shape.pointee.dim) = array(protos)
      tensor.pointee.shape = shape
    }
    let type = make(Onnx__TypeProto(), onnx__type_proto__init)
    type.pointee.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
    type.pointee.tensor_type = tensor
    return type
  }

  // MARK: Memory of the messages

  private func make<Message>(
    _ empty: Message, _ initialize: (UnsafeMutablePointer<Message>) -> Void
  ) -> UnsafeMutablePointer<Message> {
    let pointer = UnsafeMutablePointer<Message>.allocate(capacity: 1)
    blocks.append(UnsafeMutableRawPointer(pointer))
    pointer.initialize(to: empty)
    initialize(pointer)
    return pointer
  }

  private func array<Element: BitwiseCopyable>(_ elements: [Element]) -> (Int, UnsafeMutablePointer<Element>?) {
    guard !elements.isEmpty else { return (0, nil) }
    let pointer = UnsafeMutablePointer<Element>.allocate(capacity: elements.count)
    blocks.append(UnsafeMutableRawPointer(pointer))
    _ = UnsafeMutableBufferPointer(start: pointer, count: elements.count).initialize(fromContentsOf: elements)
    return (elements.count, pointer)
  }

  private func bytes(_ text: String) -> ProtobufCBinaryData {
    let (count, pointer) = array(Array(text.utf8))
    return ProtobufCBinaryData(len: count, data: pointer)
  }

  private func text(_ text: String) throws(ONNXError) -> UnsafeMutablePointer<CChar>? {
    guard !text.utf8.contains(0) else {
      throw .cannotWrite(file: file, reason: "the name '\(text)' holds a zero character")
    }
    return array(text.utf8CString.map { $0 }).1
  }

  private func optionalText(_ text: String) throws(ONNXError) -> UnsafeMutablePointer<CChar>? {
    text.isEmpty ? nil : try self.text(text)
  }

  private func texts(_ texts: [String]) throws(ONNXError) -> [UnsafeMutablePointer<CChar>?] {
    var result: [UnsafeMutablePointer<CChar>?] = []
    for text in texts { result.append(try self.text(text)) }
    return result
  }
}
