#if canImport(Glibc)
  import Glibc
#endif

/// Memory for what kernels read and write.
public enum AlignedMemory {
  /// Bytes of a cache line, and of an AVX-512 register.
  public static let alignment = 64

  /// The bytes from one row of `byteCount` to the next: an odd number of cache lines, so that neighbouring rows do not all fall into the same
  /// few sets of the caches.
  public static func rowStride(byteCount: Int) -> Int { ((byteCount + alignment - 1) / alignment | 1) * alignment }

  private static let hugePage = 2 << 20

  /// At least one byte, aligned to a cache line, to be given back by `deallocate()`.
  ///
  /// Large memory is aligned to huge pages, which Linux is asked to use: a kernel that walks down a panel, or writes a column of a
  /// result, touches a page every few kilobytes, more than the processor's table of small pages holds.
  public static func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
    guard byteCount >= hugePage else { return .allocate(byteCount: max(1, byteCount), alignment: alignment) }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: hugePage)
    #if canImport(Glibc)
      // Advice: where the system has no huge pages the memory is as good as any.
      madvise(memory, byteCount, MADV_HUGEPAGE)
    #endif
    return memory
  }
}
