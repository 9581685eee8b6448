#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Where the tests find their files.
enum Repository {
  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  static let goldens = root.appendingPathComponent("Tests/SQuADTests/Goldens")
  /// Data that is not part of the project, beside its folder.
  static let shared = root.appendingPathComponent("../shared")
  static let hasShared = FileManager.default.fileExists(
    atPath: shared.appendingPathComponent("data/squad/dev-v1.1.json").path)
}
