/// Memory aligned to a cache line, written once when it is made and read from then on.
public final class AlignedBuffer<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
  // Sendable: nobody writes after `init`.

  public let count: Int
  public let pointer: UnsafePointer<Element>
  private let raw: UnsafeMutableRawPointer

  /// Memory for `count` elements, which `fill` must write.
  public init(count: Int, fill: (UnsafeMutablePointer<Element>) throws -> Void) rethrows {
    self.count = count
    raw = AlignedMemory.allocate(byteCount: count * MemoryLayout<Element>.stride)
    let typed = raw.bindMemory(to: Element.self, capacity: count)
    pointer = UnsafePointer(typed)
    do {
      try fill(typed)
    } catch {
      raw.deallocate()
      throw error
    }
  }

  deinit { raw.deallocate() }
}
