#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// Reads a whole regular file that is not larger than any tokeniser's. Nil if there is no such file.
func readFileBytes(_ path: String) throws(TokenizerError) -> [UInt8]? {
  let limit = 256 << 20
  func failure() -> TokenizerError {
    .unreadableFile(file: path, reason: "\(String(cString: strerror(errno))); check the path and its permissions")
  }
  // Not blocking, so that a named pipe in the file's place is refused below and not waited for.
  let file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
  guard file >= 0 else {
    if errno == ENOENT { return nil }
    throw failure()
  }
  defer { _ = close(file) }
  var status = stat()
  guard fstat(file, &status) == 0 else { throw failure() }
  guard status.st_mode & S_IFMT == S_IFREG else {
    throw .unreadableFile(file: path, reason: "not a regular file; give the file itself")
  }
  guard status.st_size <= limit else {
    throw .unreadableFile(file: path, reason: "over \(limit >> 20) MiB; is this a tokeniser's file?")
  }
  var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
  var filled = 0
  while filled < bytes.count {
    let count = bytes.withUnsafeMutableBytes { bytes in
      read(file, bytes.baseAddress.map { $0 + filled }, bytes.count - filled)
    }
    if count < 0 && errno == EINTR { continue }
    guard count >= 0 else { throw failure() }
    if count == 0 { break }
    filled += count
  }
  bytes.removeLast(bytes.count - filled)
  return bytes
}
