import Files

extension TensorBytes {
  /// All bytes of a mapped file.
  init(_ mapping: FileMapping) { self.init(unowned: mapping.bytes, owner: mapping) }

  /// Says that the bytes will hardly be read again: those of a mapped file leave the process's memory, until they are.
  public func releasePages() { (owner as? FileMapping)?.releasePages(of: unmanagedBuffer) }

  /// A part of these bytes, with the same owner, or nil where the range is not inside.
  func slice(_ range: Range<Int>) -> TensorBytes? {
    guard range.lowerBound >= 0, range.upperBound <= count else { return nil }
    return TensorBytes(unowned: UnsafeRawBufferPointer(rebasing: unmanagedBuffer[range]), owner: owner)
  }
}

extension ONNXError {
  init(_ error: FileError) {
    switch error {
    case .unreadable(let file, let reason): self = .unreadableFile(file: file, reason: reason)
    case .cannotWrite(let file, let reason): self = .cannotWrite(file: file, reason: reason)
    }
  }
}
