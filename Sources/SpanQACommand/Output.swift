import Files

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Results: standard output a whole line at a time, and files that appear whole or not at all.
enum Output {
  enum Stream: String {
    case standardOutput = "standard output"
    case standardError = "standard error"
  }

  /// Writes `line` and a line feed with one system call where the system takes it, so that a reader never sees half a line.
  static func write(_ line: String, to stream: Stream = .standardOutput) throws(OutputError) {
    try write(
      [UInt8](line.utf8) + [UInt8(ascii: "\n")], to: stream == .standardOutput ? STDOUT_FILENO : STDERR_FILENO,
      name: stream.rawValue)
  }

  /// Says what a user should know, on standard error.
  static func warn(_ text: String) throws(OutputError) { try write("spanqa: warning: \(text)", to: .standardError) }

  /// Fails early where a file could not be written at the end of a long job.
  static func checkWritable(_ path: String) throws(OutputError) {
    if !ReplacementFile.canBegin(at: path) { throw OutputError(name: path) }
  }

  /// Writes `text` to the file `path`, which appears whole or not at all.
  static func write(_ text: String, toFile path: String) throws(OutputError) {
    try write(Data(text.utf8), toFile: path)
  }

  static func write(_ data: Data, toFile path: String) throws(OutputError) {
    do throws(FileError) {
      let file = try ReplacementFile(path: path)
      data.withUnsafeBytes { file.append($0) }
      try file.commit()
    } catch {
      throw OutputError(name: path)
    }
  }

  /// Writes all of `bytes`, or fails by the file's `name`.
  static func write(_ bytes: [UInt8], to descriptor: Int32, name: String) throws(OutputError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
      if written < 0 {
        if errno == EINTR { continue }
        throw OutputError(name: name)
      }
      rest = rest.dropFirst(written)
    }
  }
}

/// `write`, under a name that the methods above do not hide.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}

/// Why a result could not be written.
struct OutputError: Error, CustomStringConvertible {
  let name: String

  var description: String { "\(name): cannot be written; check the folder, its permissions and the free space" }
}
