import Foundation

@testable import Checkpoints

/// The golden files, and files made for a test.
enum Files {
  static let goldens = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens")

  static func golden(_ name: String) -> String { goldens.appending(path: name).path }

  /// Calls `body` with the path of a file that holds `bytes`.
  static func with<Result>(_ bytes: [UInt8], _ body: (String) throws -> Result) throws -> Result {
    let url = FileManager.default.temporaryDirectory.appending(path: "spanqa-checkpoint-\(UUID().uuidString)")
    try Data(bytes).write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    return try body(url.path)
  }

  /// A safetensors file with this header and so many bytes of data.
  static func safetensors(_ header: String, data: Int = 0, length: UInt64? = nil) -> [UInt8] {
    let text = Array(header.utf8)
    return withUnsafeBytes(of: (length ?? UInt64(text.count)).littleEndian) { Array($0) } + text + [UInt8](repeating: 0, count: data)
  }

  /// A zip file with stored entries.
  static func zip(_ entries: [(name: String, bytes: [UInt8])], method: UInt16 = 0) -> [UInt8] {
    func two(_ value: Int) -> [UInt8] { [UInt8(value & 0xFF), UInt8(value >> 8 & 0xFF)] }
    func four(_ value: Int) -> [UInt8] { two(value & 0xFFFF) + two(value >> 16) }
    var (file, directory): ([UInt8], [UInt8]) = ([], [])
    for (name, bytes) in entries {
      let sizes = four(0) + four(bytes.count) + four(bytes.count) + two(name.utf8.count)
      directory += [0x50, 0x4B, 1, 2] + two(20) + two(20) + two(0) + two(Int(method)) + four(0) + sizes
      directory += two(0) + two(0) + two(0) + two(0) + four(0) + four(file.count) + Array(name.utf8)
      file += [0x50, 0x4B, 3, 4] + two(20) + two(0) + two(Int(method)) + four(0) + sizes + two(0) + Array(name.utf8) + bytes
    }
    let end = two(0) + two(0) + two(entries.count) + two(entries.count) + four(directory.count) + four(file.count) + two(0)
    return file + directory + [0x50, 0x4B, 5, 6] + end
  }

  /// A checkpoint with this pickle, and one storage of 64 bytes.
  static func checkpoint(pickle: [UInt8]) -> [UInt8] {
    zip([("a/data.pkl", pickle), ("a/data/0", [UInt8](repeating: 0, count: 64))])
  }
}
