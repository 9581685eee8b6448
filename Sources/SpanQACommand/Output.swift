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
    let kind = kind(of: path)
    if kind == S_IFDIR { throw OutputError(name: path) }
    // A file is replaced, which is its folder's business.
    let place = kind == nil || kind == S_IFREG ? URL(filePath: path).deletingLastPathComponent().path : path
    if access(place, W_OK) != 0 { throw OutputError(name: path) }
  }

  /// Writes `text` to the file `path`, which is there whole at the end or as it was before.
  static func write(_ text: String, toFile path: String) throws(OutputError) {
    try write(Data(text.utf8), toFile: path)
  }

  static func write(_ data: Data, toFile path: String) throws(OutputError) {
    if let kind = kind(of: path), kind != S_IFREG { return try write(data, toDevice: path) }
    do throws(FileError) {
      let file = try ReplacementFile(path: path)
      data.withUnsafeBytes { file.append($0) }
      try file.commit()
    } catch {
      throw OutputError(name: path)
    }
  }

  /// Writes to a terminal, a pipe or another device, which cannot be replaced.
  private static func write(_ data: Data, toDevice path: String) throws(OutputError) {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    if descriptor < 0 { throw OutputError(name: path) }
    defer { close(descriptor) }
    try write([UInt8](data), to: descriptor, name: path)
  }

  /// The file type bits of what is at `path`; nil where there is nothing.
  private static func kind(of path: String) -> mode_t? {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
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
