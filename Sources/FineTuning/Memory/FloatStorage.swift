/// Floats at an address aligned to a cache line, zero at first. One owner writes them; the memory stays where it is.
final class FloatStorage {
  let start: UnsafeMutablePointer<Float>
  let count: Int

  init(count: Int) {
    self.count = count
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(1, count) * MemoryLayout<Float>.stride, alignment: 64)
    start = raw.bindMemory(to: Float.self, capacity: max(1, count))
    start.initialize(repeating: 0, count: max(1, count))
  }

  deinit { UnsafeMutableRawPointer(start).deallocate() }

  var floats: UnsafeMutableBufferPointer<Float> { UnsafeMutableBufferPointer(start: start, count: count) }

  /// Elements `offset ..< offset + rows · columns` as a matrix.
  func matrix(_ rows: Int, _ columns: Int, offset: Int = 0) -> Matrix {
    precondition(offset >= 0 && offset + rows * columns <= count)
    return Matrix(start + offset, rows: rows, columns: columns)
  }
}
