/// A reader of Python's pickle format (Lib/pickletools.py) that can build tensors and dictionaries and nothing else.
///
/// A pickle is a program, and Python runs whatever it names. Here an opcode that is not in the list below, and a name that is none of the
/// few that PyTorch needs for tensors, is refused by its name; nothing is ever called. Depth is bounded, and a value takes no more memory
/// than its bytes in the pickle.
struct Pickle {
  struct Failure: Error { var reason: String }

  indirect enum Value {
    case none
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(String)
    /// With how deep it is nested.
    case tuple([Value], depth: Int)
    case dictionary(Dictionary)
    case name(Name)
    case storage(Storage)
    case tensor(Tensor)
  }

  /// A dictionary; shared by all who hold it, as in Python.
  final class Dictionary {
    var members: [(key: String, value: Value)] = []
    /// Nobody writes to a dictionary that stands in another value: so none can hold itself, and depth stays bounded.
    var isHeld = false
    var depth = 1
  }

  /// The names that a checkpoint may use.
  enum Name: Equatable {
    case orderedDictionary
    case rebuildTensor
    case rebuildParameter
    case storage(Checkpoint.ElementType)

    init?(_ module: String, _ name: String) {
      switch "\(module) \(name)" {
      case "collections OrderedDict": self = .orderedDictionary
      case "torch._utils _rebuild_tensor_v2": self = .rebuildTensor
      case "torch._utils _rebuild_parameter": self = .rebuildParameter
      case "torch DoubleStorage": self = .storage(.float64)
      case "torch FloatStorage": self = .storage(.float32)
      case "torch HalfStorage": self = .storage(.float16)
      case "torch BFloat16Storage": self = .storage(.bfloat16)
      case "torch LongStorage": self = .storage(.int64)
      case "torch IntStorage": self = .storage(.int32)
      case "torch ShortStorage": self = .storage(.int16)
      case "torch CharStorage": self = .storage(.int8)
      case "torch ByteStorage": self = .storage(.uint8)
      case "torch BoolStorage": self = .storage(.bool)
      default: return nil
      }
    }
  }

  /// An entry of the archive, by its key.
  struct Storage: Equatable {
    var type: Checkpoint.ElementType
    var key: String
  }

  struct Tensor {
    var storage: Storage
    /// In elements.
    var offset: Int
    var shape: [Int]
    var strides: [Int]
  }

  private static let maxDepth = 16

  private let bytes: UnsafeRawBufferPointer
  private var position = 0
  private var stack: [Value] = []
  private var marks: [Int] = []
  private var memo: [Int: Value] = [:]

  /// The one value that a pickle makes.
  static func value(of bytes: UnsafeRawBufferPointer) throws(Failure) -> Value {
    var pickle = Pickle(bytes: bytes)
    return try pickle.run()
  }

  private init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  // MARK: Opcodes

  private mutating func run() throws(Failure) -> Value {
    while true {
      let place = position
      let opcode = try byte()
      switch opcode {
      case 0x80:  // PROTO
        let version = try byte()
        guard version <= 5 else { throw Failure(reason: "protocol \(version) is not known") }
      case 0x95: try skip(8)  // FRAME
      case UInt8(ascii: "."):  // STOP
        let result = try pop()
        guard stack.isEmpty, marks.isEmpty else { throw Failure(reason: "byte \(place): more than one value is left") }
        return result
      case UInt8(ascii: "("): marks.append(stack.count)  // MARK
      case UInt8(ascii: "N"): stack.append(.none)
      case 0x88: stack.append(.bool(true))
      case 0x89: stack.append(.bool(false))
      case UInt8(ascii: "K"): stack.append(.int(Int(try byte())))  // BININT1
      case UInt8(ascii: "M"): stack.append(.int(Int(try number(UInt16.self))))  // BININT2
      case UInt8(ascii: "J"): stack.append(.int(Int(try number(Int32.self))))  // BININT
      case 0x8A: stack.append(.int(try long()))  // LONG1
      case UInt8(ascii: "G"):  // BINFLOAT
        stack.append(.float(Double(bitPattern: UInt64(bigEndian: try number(UInt64.self, asStored: true)))))
      case UInt8(ascii: "X"): stack.append(.string(try text(count: Int(try number(UInt32.self)))))  // BINUNICODE
      case 0x8C: stack.append(.string(try text(count: Int(try byte()))))  // SHORT_BINUNICODE
      case UInt8(ascii: ")"): stack.append(.tuple([], depth: 1))
      case 0x85: try tuple(1)
      case 0x86: try tuple(2)
      case 0x87: try tuple(3)
      case UInt8(ascii: "t"): try tuple(stack.count - popMark())  // TUPLE
      case UInt8(ascii: "}"): stack.append(.dictionary(Dictionary()))  // EMPTY_DICT
      case UInt8(ascii: "s"): try set(pairsFrom: stack.count - 2)  // SETITEM
      case UInt8(ascii: "u"): try set(pairsFrom: popMark())  // SETITEMS
      case UInt8(ascii: "q"): memo[Int(try byte())] = try top()  // BINPUT
      case UInt8(ascii: "r"): memo[Int(try number(UInt32.self))] = try top()  // LONG_BINPUT
      case 0x94: memo[memo.count] = try top()  // MEMOIZE
      case UInt8(ascii: "h"): try recall(Int(try byte()))  // BINGET
      case UInt8(ascii: "j"): try recall(Int(try number(UInt32.self)))  // LONG_BINGET
      case UInt8(ascii: "c"): try push(name: (try line(), try line()))  // GLOBAL
      case 0x93:  // STACK_GLOBAL
        guard case .string(let name) = try pop(), case .string(let module) = try pop() else {
          throw Failure(reason: "byte \(place): a name that is no text")
        }
        try push(name: (module, name))
      case UInt8(ascii: "Q"): try persistentID()  // BINPERSID
      case UInt8(ascii: "R"): try reduce()
      case UInt8(ascii: "b"):  // BUILD: an ordered dictionary's attributes, which hold no tensors
        _ = try pop()
        guard case .dictionary = try top() else { throw Failure(reason: "byte \(place): BUILD of something else than a dictionary") }
      default:
        let name = Self.refusedOpcodes[opcode].map { "\($0) " } ?? ""
        throw Failure(
          reason: "byte \(place): the opcode \(name)(0x\(String(opcode, radix: 16))) is refused: only tensors and dictionaries are read")
      }
      guard stack.count <= bytes.count else { throw Failure(reason: "byte \(place): the stack is too deep") }
    }
  }

  /// The names of opcodes that are not read, for messages.
  private static let refusedOpcodes: [UInt8: String] = [
    UInt8(ascii: "i"): "INST", UInt8(ascii: "o"): "OBJ", 0x81: "NEWOBJ", 0x92: "NEWOBJ_EX", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4",
    UInt8(ascii: "P"): "PERSID", UInt8(ascii: "]"): "EMPTY_LIST", UInt8(ascii: "l"): "LIST", UInt8(ascii: "a"): "APPEND",
    UInt8(ascii: "e"): "APPENDS", UInt8(ascii: "d"): "DICT", UInt8(ascii: "0"): "POP", UInt8(ascii: "1"): "POP_MARK",
    UInt8(ascii: "2"): "DUP", UInt8(ascii: "I"): "INT", UInt8(ascii: "L"): "LONG", UInt8(ascii: "F"): "FLOAT",
    UInt8(ascii: "S"): "STRING", UInt8(ascii: "T"): "BINSTRING", UInt8(ascii: "U"): "SHORT_BINSTRING", UInt8(ascii: "V"): "UNICODE",
    UInt8(ascii: "g"): "GET", UInt8(ascii: "p"): "PUT", UInt8(ascii: "B"): "BINBYTES", UInt8(ascii: "C"): "SHORT_BINBYTES",
    0x8B: "LONG4", 0x8D: "BINUNICODE8", 0x8E: "BINBYTES8", 0x8F: "EMPTY_SET", 0x90: "ADDITEMS", 0x91: "FROZENSET", 0x96: "BYTEARRAY8",
    0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER",
  ]

  /// Calls nothing: the three functions that a checkpoint names are known by what they make.
  private mutating func reduce() throws(Failure) {
    guard case .tuple(let arguments, _) = try pop(), case .name(let function) = try pop() else {
      throw Failure(reason: "REDUCE of something else than a name and its arguments")
    }
    switch function {
    case .orderedDictionary:
      guard arguments.isEmpty else { throw Failure(reason: "an OrderedDict with arguments") }
      stack.append(.dictionary(Dictionary()))
    case .rebuildTensor:
      guard arguments.count >= 4, case .storage(let storage) = arguments[0], case .int(let offset) = arguments[1],
        let shape = Self.sizes(arguments[2]), let strides = Self.sizes(arguments[3]), offset >= 0, shape.count == strides.count
      else { throw Failure(reason: "_rebuild_tensor_v2 has arguments that are none of its own") }
      stack.append(.tensor(Tensor(storage: storage, offset: offset, shape: shape, strides: strides)))
    case .rebuildParameter:
      guard case .tensor(let tensor) = arguments.first else { throw Failure(reason: "_rebuild_parameter without a tensor") }
      stack.append(.tensor(tensor))
    case .storage:
      throw Failure(reason: "a storage's type is called")
    }
  }

  /// ("storage", type, key, device, elements)
  private mutating func persistentID() throws(Failure) {
    guard case .tuple(let parts, _) = try pop(), parts.count == 5, case .string("storage") = parts[0],
      case .name(.storage(let type)) = parts[1], case .string(let key) = parts[2]
    else { throw Failure(reason: "a persistent id that is no storage") }
    stack.append(.storage(Storage(type: type, key: key)))
  }

  private mutating func push(name: (module: String, name: String)) throws(Failure) {
    guard let known = Name(name.module, name.name) else {
      throw Failure(reason: "the global '\(name.module).\(name.name)' is refused: only tensors and dictionaries are read")
    }
    stack.append(.name(known))
  }

  private mutating func set(pairsFrom start: Int) throws(Failure) {
    guard start >= 1, start <= stack.count, (stack.count - start) % 2 == 0, case .dictionary(let dictionary) = stack[start - 1] else {
      throw Failure(reason: "items without a dictionary")
    }
    guard !dictionary.isHeld else { throw Failure(reason: "a dictionary changes after it was put into another") }
    for index in stride(from: start, to: stack.count, by: 2) {
      guard case .string(let key) = stack[index] else { throw Failure(reason: "a dictionary's key is no text") }
      dictionary.depth = max(dictionary.depth, try hold(stack[index + 1]) + 1)
      dictionary.members.append((key, stack[index + 1]))
    }
    stack.removeSubrange(start...)
  }

  private mutating func tuple(_ count: Int) throws(Failure) {
    guard count >= 0, count <= stack.count - (marks.last ?? 0) else { throw Failure(reason: "the stack is empty") }
    let elements = Array(stack.suffix(count))
    var depth = 1
    for element in elements { depth = max(depth, try hold(element) + 1) }
    stack.removeLast(count)
    stack.append(.tuple(elements, depth: depth))
  }

  /// How deep a value is nested that goes into another one, where a dictionary changes no more.
  private func hold(_ value: Value) throws(Failure) -> Int {
    let depth: Int
    switch value {
    case .dictionary(let dictionary):
      dictionary.isHeld = true
      depth = dictionary.depth
    case .tuple(_, let own): depth = own
    default: depth = 0
    }
    guard depth < Self.maxDepth else { throw Failure(reason: "more than \(Self.maxDepth) levels of nesting") }
    return depth
  }

  // MARK: Parts

  private static func sizes(_ value: Value) -> [Int]? {
    guard case .tuple(let elements, _) = value else { return nil }
    let sizes = elements.compactMap { element -> Int? in
      guard case .int(let size) = element, size >= 0 else { return nil }
      return size
    }
    return sizes.count == elements.count ? sizes : nil
  }

  private mutating func pop() throws(Failure) -> Value {
    guard stack.count > (marks.last ?? 0), let value = stack.popLast() else { throw Failure(reason: "the stack is empty") }
    return value
  }

  private func top() throws(Failure) -> Value {
    guard let value = stack.last else { throw Failure(reason: "the stack is empty") }
    return value
  }

  private mutating func popMark() throws(Failure) -> Int {
    guard let mark = marks.popLast() else { throw Failure(reason: "there is no mark") }
    return mark
  }

  private mutating func recall(_ index: Int) throws(Failure) {
    guard let value = memo[index] else { throw Failure(reason: "nothing was kept under \(index)") }
    stack.append(value)
  }

  private mutating func skip(_ count: Int) throws(Failure) {
    guard count <= bytes.count - position else { throw Failure(reason: "the pickle is cut off") }
    position += count
  }

  private mutating func byte() throws(Failure) -> UInt8 { try number(UInt8.self) }

  private mutating func number<Number: FixedWidthInteger>(
    _: Number.Type, asStored: Bool = false
  ) throws(Failure) -> Number {
    let start = position
    try skip(MemoryLayout<Number>.size)
    let value = bytes.loadUnaligned(fromByteOffset: start, as: Number.self)
    return asStored ? value : Number(littleEndian: value)
  }

  /// A whole number of up to eight bytes, its length first.
  private mutating func long() throws(Failure) -> Int {
    let count = Int(try byte())
    guard count <= 8 else { throw Failure(reason: "a number of \(count) bytes") }
    let start = position
    try skip(count)
    var value: UInt64 = 0
    for index in (0..<count).reversed() { value = value << 8 | UInt64(bytes[start + index]) }
    if count > 0, count < 8, bytes[start + count - 1] & 0x80 != 0 { value |= UInt64.max << UInt64(8 * count) }
    return Int(Int64(bitPattern: value))
  }

  private mutating func text(count: Int) throws(Failure) -> String {
    let start = position
    try skip(count)
    guard let text = String(validating: bytes[start..<start + count], as: UTF8.self) else { throw Failure(reason: "a text is not UTF-8") }
    return text
  }

  private mutating func line() throws(Failure) -> String {
    let start = position
    while try byte() != UInt8(ascii: "\n") {}
    return String(decoding: bytes[start..<position - 1], as: UTF8.self)
  }
}
