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

/// The most memory this process has had so far (its resident set).
enum PeakMemory {
  static var bytes: Int {
    #if canImport(Glibc)
      // What getrusage gives on Linux includes the process that started this one, up to the moment when it became this program.
      if let bytes = FileManager.default.contents(atPath: "/proc/self/status").flatMap({ highWaterMark(inStatus: $0) }) {
        return bytes
      }
    #endif
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

  /// The bytes in the line `VmHWM:   12345 kB` of a process's status as Linux tells it.
  static func highWaterMark(inStatus status: Data) -> Int? {
    let line = status.split(separator: UInt8(ascii: "\n")).first { $0.starts(with: "VmHWM:".utf8) }
    let fields = line.map { String(decoding: $0, as: UTF8.self).split(whereSeparator: \.isWhitespace) } ?? []
    return fields.count > 1 ? Int(fields[1]).map { $0 << 10 } : nil
  }
}
