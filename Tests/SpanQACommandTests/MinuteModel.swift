import Encoder
import Export
import Foundation
import ONNX
import RandomModels
import SeededRandom

/// The minute random model as a folder that `--model` takes, with the embedded model's vocabulary.
enum MinuteModel {
  static func write(to folder: URL) throws {
    let resources = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Sources/CDefaultModel/Resources").standardized
    for name in ["vocab.txt", "tokenizer_config.json"] {
      try FileManager.default.copyItem(at: resources.appending(path: name), to: folder.appending(path: name))
    }
    try Model(.minute).write(to: folder.appending(path: "model.onnx"))
  }

  /// Words of the vocabulary, `count` bytes of them at least; the same for the same seed.
  static func text(bytes count: Int, seed: UInt64) -> String {
    var generator = SplitMix64(seed: seed)
    let words = ["river", "stone", "the", "of", "committee", "weather", "again", "1924", "blue", "wrote", "mountains", "café", "and", "a"]
    var text = ""
    while text.utf8.count < count {
      for _ in 0..<Int.random(in: 4...14, using: &generator) {
        text += (words.randomElement(using: &generator) ?? "") + " "
      }
      text.removeLast()
      text += ". "
    }
    return text
  }
}
