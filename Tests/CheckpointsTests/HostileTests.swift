import Encoder
import Foundation
import Testing

@testable import Checkpoints

/// Files that lie: each is refused in one line that says why, and none crashes.
@Suite struct HostileTests {
  static func entry(_ name: String, _ shape: String, _ offsets: String, type: String = "F32") -> String {
    #""\#(name)":{"dtype":"\#(type)","shape":[\#(shape)],"data_offsets":[\#(offsets)]}"#
  }

  static let safetensors: [(bytes: [UInt8], reason: String)] = [
    ([1, 2, 3], "less than a header's length"),
    (Files.safetensors("{}", length: 3), "more than the file"),
    (Files.safetensors("{}", length: .max), "more than the file"),
    (Files.safetensors("[]"), "is not JSON"),
    (Files.safetensors("{"), "a member's name expected"),
    (Files.safetensors(#"{"a":1}"#), "dtype is missing"),
    (Files.safetensors("{\(entry("a", "2", "0,8", type: "F99"))}", data: 8), "F99 is not read"),
    (Files.safetensors("{\(entry("a", "2", "0,8")),\(entry("b", "2", "4,12"))}", data: 12), "overlap"),
    (Files.safetensors("{\(entry("a", "2", "0,8")),\(entry("b", "2", "0,8"))}", data: 8), "overlap"),
    (Files.safetensors("{\(entry("a", "2", "0,8")),\(entry("a", "2", "8,16"))}", data: 16), "is there twice"),
    (Files.safetensors("{\(entry("a", "2", "4,12"))}", data: 12), "nobody's"),
    (Files.safetensors("{\(entry("a", "2", "0,8"))}", data: 12), "nobody's"),
    (Files.safetensors("{\(entry("a", "4", "0,16"))}", data: 12), "ends at byte 16 of 12"),
    (Files.safetensors("{\(entry("a", "2", "8,0"))}", data: 8), "not a beginning and an end"),
    (Files.safetensors("{\(entry("a", "3", "0,8"))}", data: 8), "the shape takes 12 bytes"),
    (Files.safetensors("{\(entry("a", "-2,-1", "0,8"))}", data: 8), "no size"),
    (Files.safetensors("{\(entry("a", "4611686018427387904,4", "0,8"))}", data: 8), "no size"),
    (Files.safetensors("{\(entry("a", "4294967296,4294967296", "0,8"))}", data: 8), "overflows"),
    (Files.safetensors("{\(entry("a", "2", "0,18446744073709551624"))}", data: 8), "no size"),
    (Files.safetensors("{\(entry("a", "1.5", "0,8"))}", data: 8), "no size"),
    (Files.safetensors(#"{"__metadata__":{"a":[]}}"#), "a string expected"),
    (Files.safetensors(String(repeating: #"{"a":"#, count: 500)), "levels of nesting"),
  ]

  @Test func safetensorsHeadersThatLieAreRefused() throws {
    for (bytes, reason) in Self.safetensors {
      let error = try Files.with(bytes) { path in
        #expect(throws: CheckpointError.self) { try Checkpoint(safetensors: path) }
      }
      let line = error.map { "\($0)" } ?? ""
      #expect(line.contains(reason) && !line.contains("\n"), "\(line), expected: \(reason)")
    }
  }

  static func opcodes(_ parts: Any...) -> [UInt8] {
    parts.flatMap { part -> [UInt8] in
      if let text = part as? String { return Array(text.utf8) }
      return (part as? Int).map { [UInt8($0)] } ?? []
    }
  }

  static let pickles: [(pickle: [UInt8], reason: String)] = [
    // os.system("true"), as pickle writes it, in the old protocol and in the new.
    (opcodes(0x80, 2, "cposix\nsystem\n", "X", 4, 0, 0, 0, "true", 0x85, "R."), "the global 'posix.system' is refused"),
    (opcodes(0x80, 4, 0x8C, 5, "posix", 0x8C, 6, "system", 0x93, "."), "the global 'posix.system' is refused"),
    (opcodes("cbuiltins\neval\n."), "the global 'builtins.eval' is refused"),
    (opcodes("ctorch._utils\n_rebuild_tensor\n."), "_rebuild_tensor' is refused"),
    (opcodes("(iposix\nsystem\n."), "INST (0x69) is refused"),
    (opcodes("]."), "EMPTY_LIST (0x5d) is refused"),
    (opcodes(")\u{1}."), "(0x1) is refused"),
    (opcodes("ccollections\nOrderedDict\n", ")", 0x81, "."), "NEWOBJ (0x81) is refused"),
    (opcodes("ctorch\nFloatStorage\n)R."), "a storage's type is called"),
    (opcodes("}}b}."), "more than one value"),
    (opcodes("Nb."), "the stack is empty"),
    (opcodes("N}b."), "BUILD of something else"),
    (opcodes("."), "the stack is empty"),
    (opcodes("h", 3, "."), "nothing was kept"),
    (opcodes("X", 0xFF, 0xFF, 0xFF, 0xFF), "cut off"),
    (opcodes("K"), "cut off"),
    (opcodes("u."), "there is no mark"),
    (opcodes("N."), "not a dictionary of tensors"),
    (opcodes("}X", 1, 0, 0, 0, "a", "K", 1, "s."), "'a': not a tensor"),
    // A dictionary in itself, and a tuple in a tuple in a tuple …
    (opcodes("}q", 0, "X", 1, 0, 0, 0, "a", "h", 0, "sX", 1, 0, 0, 0, "b", "Ns."), "changes after"),
    (opcodes(")") + [UInt8](repeating: 0x85, count: 1000) + opcodes("."), "levels of nesting"),
    (tensor(shape: [5, 5]), "needs more than its storage's 64 bytes"),
    (tensor(shape: [2, 3], strides: [1, 2]), "rows are not in order"),
    (tensor(shape: [4], strides: [0]), "rows are not in order"),
    (tensor(key: "7", shape: [2]), "its bytes are missing"),
    (tensor(shape: [255, 255, 255, 255, 255, 255, 255, 255]), "rows are not in order"),
    // A call within a call's arguments, a name from the memo, and a text as long as it likes to be.
    (opcodes("ctorch._utils\n_rebuild_tensor_v2\n(cnt\nsystem\ntR."), "the global 'nt.system' is refused"),
    (opcodes("ctorch\nFloatStorage\nq", 0, "h", 0, "(tR."), "a storage's type is called"),
    (opcodes("X", 5, 0, 0, 0, "posixq", 0, "X", 6, 0, 0, 0, "systemq", 1, "h", 0, "h", 1, 0x93, "."), "the global 'posix.system' is refused"),
    (opcodes("c__main__\n", String(repeating: "x", count: 5000), "\n."), "xxx…"),
    // Twice itself in every step: 2⁶⁴ elements, were they not shared, and deeper than is read.
    (opcodes(")q", 0) + [[UInt8]](repeating: opcodes("h", 0, "h", 0, 0x86, "q", 0), count: 64).flatMap { $0 } + opcodes("."), "levels of nesting"),
    (opcodes("((((((((t."), "more than one value"),
    (opcodes(0x8A, 9), "a number of 9 bytes"),
  ]

  /// A checkpoint's pickle of one tensor, as torch.save writes it.
  static func tensor(key: String = "0", shape: [Int], strides: [Int]? = nil) -> [UInt8] {
    var expected: [Int] = []
    for size in shape.reversed() { expected.insert((expected.first ?? 1) * (expected.isEmpty ? 1 : size) & 0xFF, at: 0) }
    if shape.count == 2 { expected = [shape[1], 1] }
    func numbers(_ values: [Int]) -> [UInt8] { opcodes("(") + values.flatMap { opcodes("K", $0) } + opcodes("t") }
    return opcodes("}X", 1, 0, 0, 0, "a", "ctorch._utils\n_rebuild_tensor_v2\n", "((X", 7, 0, 0, 0, "storagectorch\nFloatStorage\n")
      + opcodes("X", 1, 0, 0, 0, key, "X", 3, 0, 0, 0, "cpuK", 16, "tQK", 0) + numbers(shape) + numbers(strides ?? expected)
      + opcodes(0x89, "ccollections\nOrderedDict\n)Rt", "Rs.")
  }

  @Test func picklesThatDoMoreThanTensorsAreRefused() throws {
    for (pickle, reason) in Self.pickles {
      let error = try Files.with(Files.checkpoint(pickle: pickle)) { path in
        #expect(throws: CheckpointError.self, "\(reason)") { try Checkpoint(pyTorch: path) }
      }
      let line = error.map { "\($0)" } ?? ""
      #expect(line.contains(reason) && !line.contains("\n"), "\(line), expected: \(reason)")
    }
    // The same pickle with a true tensor is read.
    let tensor = try Files.with(Files.checkpoint(pickle: Self.tensor(shape: [2, 3]))) { try Checkpoint(pyTorch: $0)["a"] }
    #expect(tensor?.shape == [2, 3] && tensor?.parameter?.floats() == [Float](repeating: 0, count: 6))
  }

  @Test func archivesThatLieAreRefused() throws {
    let pickle = Self.tensor(shape: [2, 3])
    let entries = [("a/data.pkl", pickle), ("a/data/0", [UInt8](repeating: 0, count: 64))]
    // The directory's second entry points to the first one's bytes.
    var overlapping = Files.zip([("a/1", [1, 2]), ("a/2", [1, 2])])
    let secondEntry = overlapping.count - 22 - 49
    overlapping.replaceSubrange(secondEntry + 42..<secondEntry + 46, with: [0, 0, 0, 0])
    // Sixteen tensors, each of them all of the one storage.
    let storage = [UInt8](repeating: 0, count: 255 * 255 * 4)
    var sharing = Self.opcodes("}(")
    for index in 0..<16 {
      // Without the dictionary before it, under a name of its own, and without the end.
      sharing += Self.opcodes("X", 2, 0, 0, 0) + Array(String(10 + index).utf8) + Self.tensor(shape: [255, 255])[7...].dropLast(2)
    }
    sharing += Self.opcodes("u.")
    let cases: [([UInt8], String)] = [
      (Files.zip([("a/data.pkl", sharing), ("a/data/0", storage)]), "share one storage"),
      (Array("\u{80}\u{2}".utf8), "not a zip file"),
      (Files.zip(entries, method: 8), "is compressed"),
      (Files.zip(entries + entries), "is there twice"),
      (Files.zip([("a/data", [])]), "holds no data.pkl"),
      (Files.zip(entries + [("a/byteorder", Array("big".utf8))]), "little-endian"),
      (Array(Files.zip(entries).dropLast(30)), "no directory"),
      (Files.zip([("a/data.pkl", [UInt8](repeating: UInt8(ascii: ")"), count: 17 << 20))]), "more than the names of a model's tensors"),
      (overlapping, "overlap another's"),
    ]
    for (bytes, reason) in cases {
      let error = try Files.with(bytes) { path in
        #expect(throws: CheckpointError.self) { try Checkpoint(pyTorch: path) }
      }
      #expect(error.map { "\($0)".contains(reason) } == true, "\(String(describing: error)), expected: \(reason)")
    }
  }

  /// Every byte of real files wrong in turn, and every end: read or refused, but never a crash.
  @Test func damageNeverCrashes() throws {
    let configuration = try ModelConfiguration(contentsOf: Files.golden("distilbert.json"))
    var (read, refused) = (0, 0)
    func attempt(_ bytes: [UInt8], isPyTorch: Bool) throws {
      try Files.with(bytes) { path in
        do {
          let checkpoint = try isPyTorch ? Checkpoint(pyTorch: path) : Checkpoint(safetensors: path)
          var ignored: [String] = []
          _ = try DistilBERT(checkpoint, configuration: configuration, ignored: &ignored)
          read += 1
        } catch is CheckpointError {
          refused += 1
        }
      }
    }
    let safetensors = try Checkpoint.bytes(Files.golden("distilbert.safetensors"))
    for index in 0..<min(3600, safetensors.count) {
      var bytes = safetensors
      bytes[index] ^= 1 << (index % 8)
      try attempt(bytes, isPyTorch: false)
    }
    let pyTorch = try Checkpoint.bytes(Files.golden("distilbert.bin"))
    for index in stride(from: 0, to: pyTorch.count, by: 3) {
      var bytes = pyTorch
      bytes[index] ^= UInt8(truncatingIfNeeded: 1 << (index / 3 % 8))
      try attempt(bytes, isPyTorch: true)
      if index % 30 == 0 { try attempt(Array(pyTorch[..<index]), isPyTorch: true) }
    }
    print("damage: \(refused) files refused, \(read) read")
    #expect(refused > 2000 && read > 0)
  }
}

extension Checkpoint {
  static func bytes(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }
}
