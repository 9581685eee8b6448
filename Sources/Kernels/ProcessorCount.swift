import CKernels

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
/// How many threads this process should compute on.
public enum ProcessorCount {
  /// `SPANQA_THREADS`, or else as many as the processors that this process may run on and the processor time that its container
  /// is granted, whichever is less; at least 1.
  public static let usable: Int = {
    if let value = Environment[.threads], let threads = Int(value), threads > 0 { return threads }
    return max(1, min(Int(sq_usable_processors()), cgroupLimit ?? .max))
  }()

  /// The container's limit in whole processors, rounded up; `nil` without one.
  static var cgroupLimit: Int? {
    let own = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)).flatMap { text in
      // Version 2 has the one line `0::/path`.
      text.split(separator: "\n").first { $0.hasPrefix("0::") }.map { String($0.dropFirst(3)) }
    }
    return limitFiles(of: own ?? "/")
      .compactMap { try? String(contentsOfFile: $0, encoding: .utf8) }
      .compactMap(limit(cpuMax:))
      .min()
  }

  /// Where the limits of a group stand, its own and those of the groups that it is in.
  static func limitFiles(of group: String) -> [String] {
    let names = group.split(separator: "/")
    return (0...names.count).reversed().map { depth in
      (["/sys/fs/cgroup"] + names.prefix(depth).map(String.init) + ["cpu.max"]).joined(separator: "/")
    }
  }

  /// The content of `cpu.max`: granted and whole microseconds, or `max` for no limit.
  static func limit(cpuMax text: String) -> Int? {
    let fields = text.split(whereSeparator: \.isWhitespace)
    guard fields.count == 2, let granted = Int(fields[0]), let period = Int(fields[1]), granted > 0, period > 0 else {
      return nil
    }
    return max(1, (granted + period - 1) / period)
  }
}
