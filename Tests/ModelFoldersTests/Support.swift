import Foundation

/// The goldens: see `make_sources.py`.
enum Goldens {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens")

  static func source(_ name: String) -> URL { folder.appending(path: name) }

  struct Expected: Decodable {
    var ids: [Int32]
    var distilbert: [[Float]]
    var bertQuestionAnswering: [[Float]]
    /// The hidden state, `[tokens, hidden]`.
    var bert: [Float]

    enum CodingKeys: String, CodingKey {
      case ids, distilbert, bert
      case bertQuestionAnswering = "bert-qa"
    }
  }

  static func expected() throws -> Expected {
    try JSONDecoder().decode(Expected.self, from: Data(contentsOf: folder.appending(path: "expected.json")))
  }
}

func withTemporaryFolder(_ body: (URL) throws -> Void) throws {
  let folder = FileManager.default.temporaryDirectory.appending(path: "spanqa-folders-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  try body(folder)
}

/// The names in a folder, in order; hidden ones too.
func names(in folder: URL) throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }
