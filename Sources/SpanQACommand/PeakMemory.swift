#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The most memory this process has had so far (its resident set).
enum PeakMemory {
  static var bytes: Int {
    var usage = rusage()
    #if canImport(Glibc)
      guard getrusage(Int32(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
      // Linux counts kibibytes, Darwin bytes.
      return usage.ru_maxrss << 10
    #else
      guard getrusage(RUSAGE_SELF, &usage) == 0 else { return 0 }
      return usage.ru_maxrss
    #endif
  }
}
