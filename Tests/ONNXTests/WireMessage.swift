import ONNX

/// A protobuf message put together field by field, right or wrong.
struct WireMessage {
  private(set) var bytes: [UInt8] = []

  init(_ fields: WireMessage...) { bytes = fields.flatMap(\.bytes) }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  static func + (left: WireMessage, right: WireMessage) -> WireMessage { WireMessage(bytes: left.bytes + right.bytes) }

  static func int(_ field: Int, _ value: Int64) -> WireMessage {
    WireMessage(bytes: varint(UInt64(field << 3)) + varint(UInt64(bitPattern: value)))
  }

  static func data(_ field: Int, _ content: [UInt8]) -> WireMessage {
    WireMessage(bytes: varint(UInt64(field << 3 | 2)) + varint(UInt64(content.count)) + content)
  }

  static func text(_ field: Int, _ text: String) -> WireMessage { data(field, Array(text.utf8)) }

  static func message(_ field: Int, _ message: WireMessage) -> WireMessage { data(field, message.bytes) }

  static func raw(_ bytes: [UInt8]) -> WireMessage { WireMessage(bytes: bytes) }

  private static func varint(_ value: UInt64) -> [UInt8] {
    var rest = value
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }
}

/// Messages of ONNX, by their field numbers.
extension WireMessage {
  static func model(_ graph: WireMessage, opset: WireMessage = .opset("", 17), more: WireMessage = .init())
    -> WireMessage
  {
    int(1, 8) + opset + message(7, graph) + more
  }

  static func opset(_ domain: String, _ version: Int64) -> WireMessage {
    message(8, text(1, domain) + int(2, version))
  }

  /// A graph of one `Identity` from `x` to `y`, and what else is given.
  static func graph(_ more: WireMessage...) -> WireMessage {
    more.reduce(input("x") + node("Identity", ["x"], ["y"]) + output("y"), +)
  }

  static func input(_ name: String, _ type: WireMessage = .init()) -> WireMessage { message(11, text(1, name) + type) }

  static func output(_ name: String) -> WireMessage { message(12, text(1, name)) }

  static func node(
    _ type: String, _ inputs: [String], _ outputs: [String], domain: String = "", _ attributes: WireMessage...
  ) -> WireMessage {
    message(1, nodeContent(type, inputs, outputs, domain: domain, attributes))
  }

  static func nodeContent(
    _ type: String, _ inputs: [String], _ outputs: [String], domain: String = "", _ attributes: [WireMessage] = []
  ) -> WireMessage {
    var content = inputs.map { text(1, $0) }.reduce(WireMessage(), +)
    content = outputs.map { text(2, $0) }.reduce(content, +)
    content = content + text(4, type) + text(7, domain)
    return attributes.reduce(content) { $0 + message(5, $1) }
  }

  static func initializer(
    _ name: String, dims: [Int64], type: Int64 = 1, _ data: WireMessage = .init()
  ) -> WireMessage {
    message(5, tensor(name, dims: dims, type: type, data))
  }

  static func tensor(_ name: String, dims: [Int64], type: Int64 = 1, _ data: WireMessage = .init()) -> WireMessage {
    dims.map { int(1, $0) }.reduce(WireMessage(), +) + int(2, type) + text(8, name) + data
  }

  static func rawData(_ count: Int) -> WireMessage { data(9, [UInt8](repeating: 1, count: count)) }

  static func external(_ entries: KeyValuePairs<String, String>) -> WireMessage {
    entries.map { message(13, text(1, $0.key) + text(2, $0.value)) }.reduce(int(14, 1), +)
  }
}
