#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A file's bytes, mapped read-only for as long as the object lives.
///
/// As with every mapping, a file that somebody shortens while it is mapped ends the process when the lost part is read;
/// writers that replace files (write aside, then rename) do no harm.
package final class FileMapping: @unchecked Sendable {
  // Sendable: the mapping is private and read-only, and nothing changes after `init`.

  /// The whole file; valid for as long as the object lives, which its last use may end: see `withExtendedLifetime`.
  package let bytes: UnsafeRawBufferPointer

  /// Maps the file at `path`.
  package init(path: String) throws(FileError) {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .unreadable(file: path, reason: String(cString: strerror(errno))) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw .unreadable(file: path, reason: String(cString: strerror(errno)))
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .unreadable(file: path, reason: "is not a regular file") }
    guard let count = Int(exactly: status.st_size), count > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let base = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw .unreadable(file: path, reason: "cannot be mapped: \(String(cString: strerror(errno)))")
    }
    bytes = UnsafeRawBufferPointer(start: base, count: count)
  }

  /// Says that a part of the file will hardly be read again: its pages leave the process's memory. A byte of them that is read after all
  /// is fetched from the file.
  package func releasePages(of part: UnsafeRawBufferPointer) {
    guard let base = part.baseAddress else { return }
    // Whole pages only: what lies before and behind may be in use.
    let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
    let start = (UInt(bitPattern: base) + page - 1) / page * page
    let end = (UInt(bitPattern: base) + UInt(part.count)) / page * page
    guard start < end else { return }
    madvise(UnsafeMutableRawPointer(bitPattern: start), Int(end - start), MADV_DONTNEED)
  }

  deinit {
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }
}
