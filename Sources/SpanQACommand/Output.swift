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

  /// Fails where `path` is one of the files that a job reads, by whatever name.
  static func checkIsNone(of inputs: [String], _ path: String) throws(OverwrittenInput) {
    guard let file = identity(of: path) else { return }
    if inputs.contains(where: { identity(of: $0) == file }) { throw OverwrittenInput(path: path) }
  }

  /// What makes a file the same under two names; `nil` where there is none.
  private static func identity(of path: String) -> [UInt64]? {
    var status = stat()
    return stat(path, &status) == 0 ? [UInt64(status.st_dev), UInt64(status.st_ino)] : nil
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

/// A result would take the place of what it is made from.
struct OverwrittenInput: Error, CustomStringConvertible {
  let path: String

  var description: String { "\(path): is read for this result, which would replace it; name another file" }
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
