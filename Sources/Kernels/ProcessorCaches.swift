#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A cache of the processor, as the system describes it.
public struct ProcessorCache: Sendable, Equatable {
  public let level: Int
  /// `Data`, `Instruction` or `Unified`.
  public let kind: String
  public let byteCount: Int

  /// The caches of the first processor, nearest first; empty where the system does not tell.
  public static var all: [ProcessorCache] {
    // Linux: Documentation/ABI/testing/sysfs-devices-system-cpu.
    let folder = "/sys/devices/system/cpu/cpu0/cache"
    return (0..<16).compactMap { index -> ProcessorCache? in
      func field(_ name: String) -> String? {
        (try? String(contentsOfFile: "\(folder)/index\(index)/\(name)", encoding: .utf8))?
          .split(whereSeparator: \.isWhitespace).first.map(String.init)
      }
      guard let level = field("level").flatMap({ Int($0) }), let kind = field("type"),
        let size = field("size").flatMap(byteCount)
      else { return nil }
      return ProcessorCache(level: level, kind: kind, byteCount: size)
    }
  }

  /// `48K`, `2M` or a number of bytes.
  static func byteCount(_ text: String) -> Int? {
    let factors: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
    guard let factor = text.last.flatMap({ factors[$0] }) else { return Int(text) }
    guard let (count, overflow) = Int(text.dropLast())?.multipliedReportingOverflow(by: factor), !overflow else { return nil }
    return count
  }
}
