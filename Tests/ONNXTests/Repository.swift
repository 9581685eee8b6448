import Foundation

/// Places in the repository, found from this file.
enum Repository {
  /// The top folder.
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// The golden models and what they hold.
  static let goldens = root.appending(path: "Tests/ONNXTests/Goldens")

  /// The mini model, which stands beside the repository and is not part of it.
  static let miniModel = root.appending(path: "../shared/models/spanqa-mini/onnx").standardizedFileURL

  /// Whether the mini model is there.
  static let hasMiniModel = FileManager.default.fileExists(atPath: miniModel.path)
}

/// The parts of this process's memory, one a line, with the files mapped there.
func memoryMap() throws -> String { try processFile("maps") }

/// What the system tells this process of itself.
func processFile(_ name: String) throws -> String {
  // Foundation's readers stop after a page of a file that, like this one, has no size.
  let file = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/\(name)"))
  return String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
}
