#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A file that appears whole or not at all: written under another name in the same folder, synced, then renamed.
package final class ReplacementFile {
  private let path: String
  private let temporaryPath: String
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  /// The error number of the first write that failed.
  private var failure: Int32?

  private static let bufferSize = 1 << 16

  /// Begins a file that is going to be at `path`.
  package init(path: String) throws(FileError) {
    self.path = path
    let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
    let name = path.dropFirst(folder.count)
    temporaryPath = "\(folder).\(name).\(String(UInt64.random(in: 0...UInt64.max), radix: 36)).partial"
    descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw .cannotWrite(file: path, reason: String(cString: strerror(errno))) }
    buffer.reserveCapacity(Self.bufferSize)
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(temporaryPath)
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
    if failure == nil, fsync(descriptor) != 0 { failure = errno }
    if let failure { throw .cannotWrite(file: path, reason: String(cString: strerror(failure))) }
    guard rename(temporaryPath, path) == 0 else {
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
