import Foundation
import ONNX
import Testing

@Suite struct ValueTests {
  @Test func tensorsHoldWhatTheyAreMadeOf() throws {
    let tensor = try Tensor(name: "t", shape: [2, 2], elements: [1, 2, 3, 4] as [Float])
    #expect(tensor.count == 4)
    #expect(try tensor.floats() == [1, 2, 3, 4])
    #expect(try tensor.doubles() == [1, 2, 3, 4])
    #expect(try Tensor(shape: [], elements: [-7] as [Int8]).scalarInt() == -7)
    #expect(try Tensor(shape: [2], booleans: [true, false]).booleans() == [true, false])
    #expect(try Tensor(shape: [0, 5], strings: []).strings() == [])
  }

  @Test func tensorsRefuseWhatTheyDoNotHold() throws {
    #expect(throws: ONNXError.self) { try Tensor(shape: [3], elements: [1, 2] as [Float]) }
    #expect(throws: ONNXError.self) { try Tensor(shape: [-1, -2], elements: [1, 2] as [Float]) }
    #expect(throws: ONNXError.self) { try Tensor(shape: [.max, 2], elements: [1, 2] as [Float]) }
    #expect(throws: ONNXError.self) { try Tensor(shape: [1], strings: []) }
    #expect(throws: ONNXError.self) { try Tensor(elementType: .string, shape: [0], bytes: TensorBytes([UInt8]())) }
    let floats = try Tensor(name: "weights", shape: [2], elements: [1, 2] as [Float])
    #expect(throws: ONNXError.tensor(name: "weights", reason: "has elements of type float, expected integers")) {
      try floats.int64s()
    }
    #expect(throws: ONNXError.self) { try floats.elements(as: Int32.self) }
    #expect(throws: ONNXError.self) { try floats.scalarFloat() }
    #expect(throws: ONNXError.self) { try Tensor(shape: [1], elements: [UInt64.max]).int64s() }
    #expect(throws: ONNXError.self) { try Tensor(shape: [1], elements: [1 as Int32]).floats() }
  }

  @Test func everyHalfIsConvertedExactly() throws {
    let halves = (0...UInt16.max).map { $0 }
    let bytes = TensorBytes(halves)
    let floats = try Tensor(elementType: .float16, shape: [halves.count], bytes: bytes).floats()
    for (half, float) in zip(halves, floats) {
      let sign: Float = half & 0x8000 == 0 ? 1 : -1
      let exponent = Int(half >> 10 & 0x1F)
      let fraction = Float(half & 0x3FF)
      switch (exponent, fraction) {
      case (31, 0): #expect(float == sign * .infinity)
      case (31, _): #expect(float.isNaN)
      case (0, _): #expect(float == sign * fraction * 0x1p-24 && float.sign == (sign < 0 ? .minus : .plus))
      default: #expect(float == sign * Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024))
      }
    }
  }

  @Test func attributesAreTyped() throws {
    let node = Node(
      name: "n", operatorType: "Op", inputs: ["a", ""], outputs: ["b"],
      attributes: ["axis": .int(-1), "alpha": .float(0.5), "perm": .ints([1, 0]), "mode": .string("linear")])
    #expect(try node.int("axis") == -1)
    #expect(try node.int("missing", default: 3) == 3)
    #expect(try node.float("alpha") == 0.5)
    #expect(try node.ints("perm") == [1, 0])
    #expect(try node.string("mode", default: "") == "linear")
    #expect(try node.optionalFloat("missing") == nil)
    #expect(throws: ONNXError.attribute(node: "n", attribute: "axis", reason: "is an integer, expected a float")) {
      try node.float("axis", default: 1)
    }
    #expect(throws: ONNXError.attribute(node: "n", attribute: "k", reason: "is missing from a node of type Op")) {
      try node.int("k")
    }
    #expect(node.input(0) == "a")
    #expect(node.input(1) == nil)
    #expect(node.input(2) == nil)
    #expect(Node(operatorType: "Op", inputs: [], outputs: ["", "b"]).label == "Op → b")
  }

  @Test func messagesStayOnOneLine() {
    let error = ONNXError.tensor(name: "a\nb\u{2028}c\u{1B}[0m", reason: String(repeating: "x", count: 5000))
    #expect(!"\(error)".contains { $0.isNewline || $0 == "\u{1B}" })
    #expect("\(error)".count < 1100)
  }

  /// The owner lives exactly as long as somebody holds the bytes.
  @Test func bytesKeepTheirOwnerAlive() throws {
    final class Owner: Sendable {}
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 8)
    defer { memory.deallocate() }
    weak var watched: Owner?
    var tensor: Tensor?
    do {
      let owner = Owner()
      watched = owner
      memory.copyBytes(from: [1, 0, 0, 0, 2, 0, 0, 0])
      let bytes = TensorBytes(unowned: UnsafeRawBufferPointer(memory), owner: owner)
      tensor = try Tensor(elementType: .int32, shape: [2], bytes: bytes)
    }
    #expect(watched != nil)
    #expect(try tensor?.int64s() == [1, 2])
    tensor = nil
    #expect(watched == nil)
  }

  /// Bytes that are in no file cannot come back, so they stay.
  @Test func memoryOfItsOwnIsNeverReleased() throws {
    let values = (0..<100_000).map { Int32($0) }
    let tensor = try Tensor(elementType: .int32, shape: [values.count], bytes: TensorBytes(values))
    tensor.bytes.releasePages()
    #expect(try tensor.int64s() == values.map { Int64($0) })
  }
}
