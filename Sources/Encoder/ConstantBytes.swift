/// Bytes that never change and whose memory somebody else owns: a file mapping, an array, a message.
///
/// A model's weights are handed on as views, so that a loader need not copy what a backend is about to pack.
public struct ConstantBytes: @unchecked Sendable {
  // Sendable: the memory is read only from here on, and `owner` (itself `Sendable`) keeps it alive.
  private let base: UnsafeRawPointer
  private let owner: any Sendable
  private let release: (@Sendable () -> Void)?

  /// The number of bytes.
  public let count: Int

  /// A view of `buffer`, which must stay valid and unchanged for as long as `owner` lives.
  ///
  /// - Parameter release: what `releasePages` does, where the memory can be given back and had again with the same content.
  public init(unowned buffer: UnsafeRawBufferPointer, owner: some Sendable, release: (@Sendable () -> Void)? = nil) {
    // An empty buffer may have no address; any address serves for zero bytes.
    self.base = buffer.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
    self.count = buffer.count
    self.owner = owner
    self.release = release
  }

  /// Says that the bytes will hardly be read again: those of a mapped file leave the process's memory, until they are.
  public func releasePages() { release?() }

  /// A copy of an array's elements.
  public init<Element: BitwiseCopyable & Sendable>(_ array: [Element]) {
    let storage = Storage(byteCount: array.count * MemoryLayout<Element>.stride)
    array.withUnsafeBytes { storage.bytes.copyMemory(from: $0) }
    self.init(unowned: UnsafeRawBufferPointer(storage.bytes), owner: storage)
  }

  /// Calls `body` with the bytes, valid during the call. The address may have any alignment.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(owner) {
      try body(UnsafeRawBufferPointer(start: base, count: count))
    }
  }

  private final class Storage: @unchecked Sendable {
    // Sendable: written once, by the initialiser that makes it, before anyone else sees it.
    let bytes: UnsafeMutableRawBufferPointer
    init(byteCount: Int) { bytes = .allocate(byteCount: byteCount, alignment: 64) }
    deinit { bytes.deallocate() }
  }
}
