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

/// A folder that appears whole or not at all: filled under another name beside its place, synced, then renamed.
package final class ReplacementFolder {
  private let path: String
  /// Where the folder is filled.
  package let temporaryPath: String
  private var isCommitted = false

  /// Begins a folder that is going to be at `path`.
  ///
  /// - Throws: `FileError` where something is at `path` that is no empty folder, unless it is a folder and `replaces` is true.
  package init(path: String, replaces: Bool) throws(FileError) {
    // The folder itself where a link leads to it, so that the link stays.
    let resolved = URL(filePath: path).standardizedFileURL.resolvingSymlinksInPath().path
    func refusal(_ reason: String) -> FileError { .cannotWrite(file: path, reason: reason) }
    var isFolder = false
    if FileManager.default.fileExists(atPath: resolved, isDirectory: &isFolder) {
      guard isFolder else { throw refusal("it is a file; name a folder") }
      guard resolved != FileManager.default.currentDirectoryPath, resolved != "/" else {
        throw refusal("it is the working folder; name another one, or one within it")
      }
      guard let names = try? FileManager.default.contentsOfDirectory(atPath: resolved) else {
        throw refusal(String(cString: strerror(EACCES)))
      }
      guard names.isEmpty || replaces else { throw refusal("it holds files already; name another folder, or replace it (--force)") }
    }
    self.path = resolved
    let place = URL(filePath: resolved)
    let name = ".\(place.lastPathComponent).\(String(UInt64.random(in: 0...UInt64.max), radix: 36)).partial"
    temporaryPath = place.deletingLastPathComponent().appending(path: name).path
    guard mkdir(temporaryPath, 0o777) == 0 else { throw refusal(String(cString: strerror(errno))) }
  }

  deinit {
    if !isCommitted { try? FileManager.default.removeItem(atPath: temporaryPath) }
  }

  /// Puts the folder in its place. What stood there is removed afterwards.
  package func commit() throws(FileError) {
    try Self.sync(temporaryPath)
    if rename(temporaryPath, path) == 0 {
      isCommitted = true
    } else if errno == ENOTEMPTY || errno == EEXIST, Self.exchange(temporaryPath, path) {
      // The old folder has the temporary name now, and `deinit` removes it.
    } else {
      let reason = String(cString: strerror(errno))
      throw .cannotWrite(file: path, reason: "\(reason); name a folder that is not there yet")
    }
    try Self.sync(URL(filePath: path).deletingLastPathComponent().path)
  }

  /// Makes a folder's entries outlast a power failure.
  private static func sync(_ folder: String) throws(FileError) {
    let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .cannotWrite(file: folder, reason: String(cString: strerror(errno))) }
    defer { close(descriptor) }
    // Some file systems do not sync folders; they say so with EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw .cannotWrite(file: folder, reason: String(cString: strerror(errno))) }
  }

  /// Gives two folders each other's name in one step.
  private static func exchange(_ a: String, _ b: String) -> Bool {
    #if canImport(Glibc)
      // Declared for C with _GNU_SOURCE only, so that Swift does not see it: int renameat2(int, const char *, int, const char *, unsigned).
      typealias RenameAt2 = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
      let exchanging: UInt32 = 2
      guard let symbol = dlsym(nil, "renameat2") else { return false }
      return unsafeBitCast(symbol, to: RenameAt2.self)(AT_FDCWD, a, AT_FDCWD, b, exchanging) == 0
    #else
      return renamex_np(a, b, UInt32(RENAME_SWAP)) == 0
    #endif
  }
}
