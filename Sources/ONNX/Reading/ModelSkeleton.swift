import CONNXProto
import CProtobufC

/// A model's bytes without the raw bytes of its tensors and without the fields that are not read.
///
/// Weights are nearly all of a model file. protobuf-c copies what it unpacks, so it gets this instead: the same
/// message, checked, in which each tensor's `raw_data` is only the number of a slot in `payloads`.
struct ModelSkeleton {
  /// A serialised `ModelProto`.
  private(set) var bytes: [UInt8] = []
  /// Where in the file each tensor's raw bytes lie.
  private(set) var payloads: [Range<Int>] = []

  /// Why the bytes are not a message, and in which field.
  struct Failure: Error {
    var path: [String] = []
    var reason: String
  }

  /// How deep messages may be nested. A graph in an attribute of a node of a graph is three levels.
  private static let maximumDepth = 64

  private let input: UnsafeRawBufferPointer
  private let tensorDescriptor: UnsafePointer<ProtobufCMessageDescriptor>?

  /// Walks over a serialised `ModelProto`.
  init(of input: UnsafeRawBufferPointer) throws(Failure) {
    self.input = input
    // The generated initialisers store the addresses of the message descriptors, the only place where the fields'
    // numbers and types stand.
    var tensor = Onnx__TensorProto()
    onnx__tensor_proto__init(&tensor)
    tensorDescriptor = tensor.base.descriptor
    var model = Onnx__ModelProto()
    onnx__model_proto__init(&model)
    guard let descriptor = model.base.descriptor else { return }
    try copyMessage(0..<input.count, descriptor, depth: 0)
  }

  /// The slot number that stands for a tensor's raw bytes.
  static func slot(in data: ProtobufCBinaryData) -> Int? {
    guard let bytes = data.data, data.len == MemoryLayout<UInt64>.size else { return nil }
    return Int(exactly: UnsafeRawPointer(bytes).loadUnaligned(as: UInt64.self))
  }

  private mutating func copyMessage(
    _ range: Range<Int>, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>, depth: Int
  ) throws(Failure) {
    guard depth < Self.maximumDepth else { throw Failure(reason: "messages are nested too deeply") }
    var position = range.lowerBound
    var seenFields = Set<UInt32>()
    var occurrences: [UInt32: Int] = [:]
    while position < range.upperBound {
      let start = position
      let tag = try varint(at: &position, end: range.upperBound)
      guard let number = UInt32(exactly: tag >> 3), number > 0, let wireType = WireType(rawValue: tag & 7) else {
        throw Failure(reason: "byte \(start) does not begin a field")
      }
      let content = try value(wireType, at: &position, end: range.upperBound)
      guard let field = protobuf_c_message_descriptor_get_field(descriptor, number)?.pointee else { continue }

      var name = String(cString: field.name)
      let isRepeated = field.label == PROTOBUF_C_LABEL_REPEATED
      if isRepeated, wireType == .lengthDelimited, field.type == PROTOBUF_C_TYPE_MESSAGE {
        let index = occurrences[number, default: 0]
        occurrences[number] = index + 1
        name += "[\(index)]"
      }
      do throws(Failure) {
        guard Self.accepts(wireType, field) else { throw Failure(reason: "has the wrong wire type") }
        if field.type == PROTOBUF_C_TYPE_MESSAGE, let child = field.descriptor {
          // Merging, which protobuf allows here, costs time quadratic in the number of occurrences.
          guard isRepeated || seenFields.insert(number).inserted else { throw Failure(reason: "appears twice") }
          let lengthPosition = beginMessage(tag)
          let childDescriptor = child.assumingMemoryBound(to: ProtobufCMessageDescriptor.self)
          try copyMessage(content, childDescriptor, depth: depth + 1)
          try endMessage(lengthPosition)
        } else if descriptor == tensorDescriptor, name == "raw_data" {
          appendPayload(content, tag)
        } else {
          if field.type == PROTOBUF_C_TYPE_STRING { try checkText(content) }
          bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: input[start..<position]))
        }
      } catch {
        throw Failure(path: [name] + error.path, reason: error.reason)
      }
    }
  }

  // MARK: Reading the wire format

  private enum WireType: UInt64 {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case fixed32 = 5
  }

  private static func accepts(_ wireType: WireType, _ field: ProtobufCFieldDescriptor) -> Bool {
    let own: WireType
    switch field.type {
    case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_MESSAGE: return wireType == .lengthDelimited
    case PROTOBUF_C_TYPE_FLOAT, PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32: own = .fixed32
    case PROTOBUF_C_TYPE_DOUBLE, PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64: own = .fixed64
    default: own = .varint
    }
    return wireType == own || wireType == .lengthDelimited && field.label == PROTOBUF_C_LABEL_REPEATED
  }

  /// Steps over a value and returns the range of its content.
  private func value(_ wireType: WireType, at position: inout Int, end: Int) throws(Failure) -> Range<Int> {
    let length: UInt64
    switch wireType {
    case .varint:
      let start = position
      _ = try varint(at: &position, end: end)
      return start..<position
    case .fixed32: length = 4
    case .fixed64: length = 8
    case .lengthDelimited: length = try varint(at: &position, end: end)
    }
    guard length <= UInt64(end - position) else {
      throw Failure(reason: "a field at byte \(position) needs \(length) bytes, but \(end - position) are left")
    }
    let start = position
    position += Int(length)
    return start..<position
  }

  private func varint(at position: inout Int, end: Int) throws(Failure) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard position < end else { throw Failure(reason: "ends in the middle of a number at byte \(position)") }
      let byte = UInt64(input[position])
      position += 1
      value |= (byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw Failure(reason: "a number before byte \(position) is longer than ten bytes")
  }

  private func checkText(_ range: Range<Int>) throws(Failure) {
    let text = input[range]
    // protobuf-c hands out strings that end with a zero byte: one inside would silently shorten a name.
    guard !text.contains(0), String(validating: text, as: UTF8.self) != nil else {
      throw Failure(reason: "is not UTF-8 text")
    }
  }

  // MARK: Writing the skeleton

  /// The size of a submessage's length, which is written when the submessage is complete: a varint may be padded.
  private static let lengthSize = 5

  private mutating func appendVarint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func beginMessage(_ tag: UInt64) -> Int {
    appendVarint(tag)
    bytes.append(contentsOf: repeatElement(0, count: Self.lengthSize))
    return bytes.count - Self.lengthSize
  }

  private mutating func endMessage(_ lengthPosition: Int) throws(Failure) {
    let length = bytes.count - lengthPosition - Self.lengthSize
    guard length <= Int32.max else { throw Failure(reason: "is larger than 2 GiB without the tensors' raw bytes") }
    for index in 0..<Self.lengthSize {
      let isLast = index == Self.lengthSize - 1
      bytes[lengthPosition + index] = UInt8(length >> (7 * index) & 0x7F) | (isLast ? 0 : 0x80)
    }
  }

  private mutating func appendPayload(_ content: Range<Int>, _ tag: UInt64) {
    appendVarint(tag)
    appendVarint(UInt64(MemoryLayout<UInt64>.size))
    withUnsafeBytes(of: UInt64(payloads.count)) { bytes.append(contentsOf: $0) }
    payloads.append(content)
  }
}
