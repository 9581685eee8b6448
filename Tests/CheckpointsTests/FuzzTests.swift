import Encoder
import Foundation
import SeededRandom
import Testing

@testable import Checkpoints

/// Real files with random damage, and random programs for the pickle reader: read or refused in one line, never a crash.
///
/// SPANQA_FUZZ_RUNS sets the number of runs a kind, SPANQA_FUZZ_SEED where they begin.
@Suite struct FuzzTests {
  private static let runs = ProcessInfo.processInfo.environment["SPANQA_FUZZ_RUNS"].flatMap { Int($0) } ?? 3000
  private static let seed = ProcessInfo.processInfo.environment["SPANQA_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1

  @Test(arguments: ["distilbert.safetensors", "distilbert.bin", "bert.bin"])
  func damagedFiles(_ name: String) throws {
    let whole = try Checkpoint.bytes(Files.golden(name))
    let configuration = try ModelConfiguration(contentsOf: Files.golden(String(name.prefix { $0 != "." }) + ".json"))
    // Where the format speaks of sizes and places: the header, the pickle and the directory, not the numbers.
    let speaking =
      name.hasSuffix(".bin")
      ? Array(0..<1600) + Array((whole.count - 4000)..<whole.count) : Array(0..<3600)
    let url = FileManager.default.temporaryDirectory.appending(path: "spanqa-fuzz-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: url) }
    var random = SplitMix64(seed: Self.seed)
    var (read, refused) = (0, 0)
    for _ in 0..<Self.runs {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...4, using: &random) { Self.damage(&bytes, at: speaking, &random) }
      try Data(bytes).write(to: url)
      do {
        let checkpoint = try name.hasSuffix(".bin") ? Checkpoint(pyTorch: url.path) : Checkpoint(safetensors: url.path)
        var ignored: [String] = []
        _ = try DistilBERT(checkpoint, configuration: configuration, ignored: &ignored)
        read += 1
      } catch {
        #expect(!"\(error)".contains("\n"))
        refused += 1
      }
    }
    print("\(name): of \(Self.runs) damaged files \(refused) refused, \(read) read")
    #expect(refused > Self.runs / 3)
  }

  /// One wound: a byte, a number, a piece that is gone, doubled or somewhere else, or an end.
  private static func damage(_ bytes: inout [UInt8], at places: [Int], _ random: inout SplitMix64) {
    guard let place = places.randomElement(using: &random).map({ min($0, bytes.count - 1) }), place >= 0 else { return }
    let count = min(Int.random(in: 1...40, using: &random), bytes.count - place)
    switch Int.random(in: 0..<8, using: &random) {
    case 0, 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
    case 2: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 3:
      // The numbers that overflow sums and products, or their digits.
      let numbers: [UInt64] = [.max, 1 << 63, 1 << 32, UInt64(UInt32.max), 1 << 31, 0, UInt64(bytes.count)]
      let number = numbers.randomElement(using: &random) ?? 0
      let width = [2, 4, 8].randomElement(using: &random) ?? 8
      let text = Bool.random(using: &random) ? Array(String(number).utf8) : withUnsafeBytes(of: number.littleEndian) { Array($0.prefix(width)) }
      bytes.replaceSubrange(place..<min(bytes.count, place + text.count), with: text)
    case 4: bytes.removeSubrange(place..<place + count)
    case 5: bytes.insert(contentsOf: bytes[place..<place + count], at: place)
    case 6:
      let piece = bytes[place..<place + count]
      let target = min(places.randomElement(using: &random) ?? 0, bytes.count - count)
      bytes.replaceSubrange(target..<target + count, with: piece)
    default: bytes.removeLast(Int.random(in: 0...200, using: &random) % bytes.count)
    }
  }

  /// Opcodes that are read, in any order, with the operands that they take: mostly nonsense, sometimes deep.
  @Test func randomPickles() throws {
    var random = SplitMix64(seed: Self.seed)
    let parts: [[UInt8]] = [
      Array("(".utf8), Array("N".utf8), [0x88], Array("K".utf8) + [3], Array("M".utf8) + [255, 255], Array("J".utf8) + [255, 255, 255, 255],
      [0x8A, 8, 255, 255, 255, 255, 255, 255, 255, 127], Array("X".utf8) + [1, 0, 0, 0, 0x61], Array("X".utf8) + [7, 0, 0, 0] + Array("storage".utf8),
      [0x8C, 1, 0x30], Array(")".utf8), [0x85], [0x86], [0x87], Array("t".utf8), Array("}".utf8), Array("s".utf8), Array("u".utf8),
      Array("q".utf8) + [0], Array("q".utf8) + [1], Array("r".utf8) + [255, 255, 255, 255], [0x94], Array("h".utf8) + [0], Array("h".utf8) + [1],
      Array("j".utf8) + [255, 255, 255, 255], Array("ccollections\nOrderedDict\n".utf8), Array("ctorch\nFloatStorage\n".utf8),
      Array("ctorch._utils\n_rebuild_tensor_v2\n".utf8), Array("ctorch._utils\n_rebuild_parameter\n".utf8), Array("Q".utf8), Array("R".utf8),
      Array("b".utf8), [0x93], Array("0".utf8), Array("cos\nsystem\n".utf8),
    ]
    var outcomes: [String: Int] = [:]
    for _ in 0..<Self.runs * 10 {
      var pickle: [UInt8] = [0x80, 2]
      for _ in 0..<Int.random(in: 1...60, using: &random) { pickle += parts.dropLast(2).randomElement(using: &random) ?? [] }
      if Int.random(in: 0..<20, using: &random) == 0 { pickle += parts.suffix(2).randomElement(using: &random) ?? [] }
      pickle += Array(".".utf8)
      let result = pickle.withUnsafeBytes { bytes in Result { () throws(Pickle.Failure) in try Pickle.value(of: bytes) } }
      let outcome: String
      switch result {
      case .success: outcome = "read"
      case .failure(let error): outcome = String(error.reason.prefix(12))
      }
      outcomes[outcome, default: 0] += 1
    }
    print("random pickles: \(outcomes.sorted { $0.value > $1.value }.prefix(8).map { "\($0.value) \($0.key)" })")
    #expect(outcomes.count > 5 && outcomes["read"] != nil)
  }
}
