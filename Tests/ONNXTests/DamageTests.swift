import Foundation
import ONNX
import Testing

/// Damaged files never crash the process: they are read as something else or give an `ONNXError`.
@Suite struct DamageTests {
  @Test(arguments: GoldenTests.names) func truncatedAnywhere(name: String) throws {
    let bytes = try Self.bytes(name)
    let whole = try GoldenTests.model(name)
    for count in 0..<bytes.count {
      let model: Model
      do {
        model = try Self.read(Array(bytes[..<count]))
      } catch is ONNXError {
        continue
      }
      // What is cut off between two fields may be something that a model can do without, never part of the graph.
      #expect(model.graph == whole.graph, "cut to \(count) bytes")
    }
  }

  @Test(arguments: GoldenTests.names) func withRandomBytesChanged(name: String) throws {
    let bytes = try Self.bytes(name)
    var generator = SplitMix64(state: UInt64(bytes.count))
    var readable = 0
    let rounds = 3000
    for _ in 0..<rounds {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let index = Int.random(in: 0..<damaged.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: damaged[index] = UInt8.random(in: 0...255, using: &generator)
        case 1: damaged[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 2: damaged.remove(at: index)
        default: damaged.insert(UInt8.random(in: 0...255, using: &generator), at: index)
        }
      }
      do {
        let model = try Self.read(damaged)
        readable += 1
        // Whatever was accepted keeps its promises.
        for tensor in model.graph.initializers.values {
          #expect(tensor.elementType == .string || tensor.elementType.byteCount(of: tensor.count) == tensor.bytes.count)
          _ = try? tensor.floats()
          _ = try? tensor.int64s()
        }
      } catch is ONNXError {
        continue
      }
    }
    print("\(name): \(readable) of \(rounds) damaged copies could still be read")
    #expect(readable < rounds)
  }

  @Test func emptyMessagesTakeBoundedMemory() throws {
    // Two bytes each in the file, more than a hundred in memory. The error has to come before they are all there:
    // afterwards it would be about the first one's missing operator or name.
    for field: UInt8 in [0x0A, 0x2A] {
      let content = (0..<4_000_000).map { $0 % 2 == 0 ? field : 0 }
      let error = try #require(throws: ONNXError.self) { try Self.read(WireMessage.model(.raw(content)).bytes) }
      guard case .notAModel = error else {
        Issue.record("\(error)")
        continue
      }
    }
  }

  @Test func aLongChainOfNodesIsNoDepth() throws {
    let count = 50_000
    // In the wrong order, so that sorting goes from one end to the other.
    let nodes = (0..<count).reversed().map { WireMessage.node("Neg", ["v\($0)"], ["v\($0 + 1)"]).bytes }
    let graph = WireMessage.input("v0") + .raw(nodes.flatMap { $0 }) + .output("v\(count)")
    let model = try Self.read(WireMessage.model(graph).bytes)
    #expect(model.graph.nodes.map { $0.outputs[0] } == (1...count).map { "v\($0)" })
  }

  private static func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: Repository.goldens.appending(path: "\(name).onnx")))
  }

  private static func read(_ bytes: [UInt8]) throws -> Model {
    try Model(bytes: TensorBytes(bytes), name: "damaged.onnx", folder: Repository.goldens)
  }
}

/// A small generator with a seed (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
