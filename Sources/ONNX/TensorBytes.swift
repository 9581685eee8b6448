/// A tensor's bytes, little-endian, which never change: a range of a mapped file or memory of their own.
///
/// A value is a view and its owner. Copying it copies no bytes; the owner (a file mapping, say) goes away with the last
/// view on it.
public struct TensorBytes: @unchecked Sendable {
  // Sendable: the memory is never written after the value is made, and `owner` (itself `Sendable`) keeps it alive.

  /// The bytes, valid only for as long as `owner` lives. Their address may have any alignment.
  ///
  /// For code that keeps a view of its own together with the owner; everything else wants ``withUnsafeBytes(_:)``.
  public let unmanagedBuffer: UnsafeRawBufferPointer

  /// What keeps the bytes alive.
  public let owner: any Sendable

  /// The number of bytes.
  public var count: Int { unmanagedBuffer.count }

  /// A view of `buffer`, which must stay valid and unchanged for as long as `owner` lives.
  public init(unowned buffer: UnsafeRawBufferPointer, owner: some Sendable) {
    self.unmanagedBuffer = buffer
    self.owner = owner
  }

  /// A copy of an array's elements.
  public init<Element: BitwiseCopyable>(_ array: [Element]) {
    self.init(byteCount: array.count * MemoryLayout<Element>.stride) { bytes in
      array.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
  }

  /// New memory of `byteCount` bytes, aligned to 64, zero at first and then written once by `fill`.
  public init(byteCount: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
    let storage = Storage(byteCount: byteCount)
    try fill(storage.bytes)
    self.init(unowned: UnsafeRawBufferPointer(storage.bytes), owner: storage)
  }

  /// Calls `body` with the bytes, valid during the call. The address may have any alignment.
  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(owner) {} }
    return try body(unmanagedBuffer)
  }

  private final class Storage: @unchecked Sendable {
    // Sendable: written once, by the initialiser that makes it, before anyone else sees it.
    let bytes: UnsafeMutableRawBufferPointer

    init(byteCount: Int) {
      bytes = .allocate(byteCount: byteCount, alignment: 64)
      bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { bytes.deallocate() }
  }
}

extension TensorBytes: Equatable {
  /// Whether both hold the same bytes.
  public static func == (left: TensorBytes, right: TensorBytes) -> Bool {
    left.withUnsafeBytes { left in right.withUnsafeBytes { right in left.elementsEqual(right) } }
  }
}
