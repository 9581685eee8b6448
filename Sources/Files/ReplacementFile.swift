#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A file that appears whole or not at all: written under another name in the same folder, synced, then renamed.
///
/// What is no regular file is never replaced: a device or a pipe is written to as it is, and a link stays while the file that it leads to
/// is replaced.
package final class ReplacementFile {
  private let path: String
  /// `nil` where the bytes go straight to `path`.
  private let temporaryPath: String?
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  /// The error number of the first write that failed.
  private var failure: Int32?

  private static let bufferSize = 1 << 16

  /// Begins a file that is going to be at `path`.
  package init(path: String) throws(FileError) {
    let place = Self.place(path)
    self.path = place.path
    switch place.kind {
    case .folder: throw .cannotWrite(file: path, reason: String(cString: strerror(EISDIR)))
    case .stream:
      temporaryPath = nil
      descriptor = open(place.path, O_WRONLY | O_APPEND | O_CLOEXEC)
    case .file:
      let folder = place.path.lastIndex(of: "/").map { place.path[...$0] } ?? ""
      let name = place.path.dropFirst(folder.count)
      let aside = "\(folder).\(name).\(String(UInt64.random(in: 0...UInt64.max), radix: 36)).partial"
      temporaryPath = aside
      descriptor = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    }
    guard descriptor >= 0 else { throw .cannotWrite(file: path, reason: String(cString: strerror(errno))) }
    buffer.reserveCapacity(Self.bufferSize)
  }

  /// Whether a file could be begun at `path`, as far as permissions tell.
  package static func canBegin(at path: String) -> Bool {
    let place = place(path)
    switch place.kind {
    case .folder: return false
    case .stream: return access(place.path, W_OK) == 0
    case .file:
      let folder = place.path.lastIndex(of: "/").map { place.path[...$0] } ?? "./"
      return !place.path.isEmpty && access(String(folder), W_OK) == 0
    }
  }

  private enum Kind { case file, folder, stream }

  /// What is at `path` or going to be there, and where links lead.
  private static func place(_ path: String) -> (path: String, kind: Kind) {
    var status = stat()
    guard stat(path, &status) == 0 else { return (path, .file) }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return (path, .folder)
    // Names of descriptors that are open already, such as /dev/stdout, lead to a file that somebody writes to.
    case S_IFREG where !path.hasPrefix("/dev/"):
      guard let resolved = realpath(path, nil) else { return (path, .file) }
      defer { free(resolved) }
      return (String(cString: resolved), .file)
    default: return (path, .stream)
    }
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    if let temporaryPath { unlink(temporaryPath) }
  }

  /// Appends bytes. A failure is kept for ``commit()``.
  package func append(_ bytes: UnsafeRawBufferPointer) {
    if buffer.count + bytes.count > Self.bufferSize { flush() }
    if bytes.count > Self.bufferSize {
      write(bytes)
    } else {
      buffer.append(contentsOf: bytes)
    }
  }

  /// Puts the file in its place.
  package func commit() throws(FileError) {
    flush()
    if failure == nil, temporaryPath != nil, fsync(descriptor) != 0 { failure = errno }
    if let failure { throw .cannotWrite(file: path, reason: String(cString: strerror(failure))) }
    if let temporaryPath, rename(temporaryPath, path) != 0 {
      throw .cannotWrite(file: path, reason: String(cString: strerror(errno)))
    }
    close(descriptor)
    descriptor = -1
  }

  private func flush() {
    buffer.withUnsafeBytes { write($0) }
    buffer.removeAll(keepingCapacity: true)
  }

  private func write(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes[...]
    while failure == nil, !rest.isEmpty {
      // Linux writes at most 2 GiB - 4 KiB at once; less is fine anywhere.
      let chunk = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
      #if canImport(Glibc)
      let written = Glibc.write(descriptor, chunk.baseAddress, chunk.count)
      #else
      let written = Darwin.write(descriptor, chunk.baseAddress, chunk.count)
      #endif
      if written >= 0 {
        rest = rest.dropFirst(written)
      } else if errno != EINTR {
        failure = errno
      }
    }
  }
}
