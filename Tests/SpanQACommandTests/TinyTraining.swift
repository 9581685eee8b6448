import Checkpoints
import Encoder
import FineTuning
import Foundation

/// A folder with a very small random model and questions that it can learn in seconds.
struct TinyTraining {
  let folder: URL
  var model: String { path("model") }
  var train: String { path("train.json") }
  var dev: String { path("dev.json") }

  func path(_ name: String) -> String { folder.appending(path: name).path }

  private static let things = ["ball", "box", "book", "cup", "hat", "key", "pen", "shoe"]
  private static let places = ["garden", "kitchen", "cellar", "attic", "hall", "yard", "shed", "tower"]
  private static let words = ["where", "is", "the", "in", ".", "?"] + things + places

  init(in folder: URL) throws {
    self.folder = folder
    try FileManager.default.createDirectory(atPath: model, withIntermediateDirectories: true)
    let vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + Self.words
    try write((vocabulary.joined(separator: "\n") + "\n"), "model/vocab.txt")
    try write(#"{"do_lower_case": true}"#, "model/tokenizer_config.json")
    let sizes = DistilBERT.Configuration(
      layers: 2, hidden: 32, heads: 4, feedForward: 48, vocabulary: vocabulary.count, positions: 48)
    try write(ModelConfiguration(heads: sizes.heads).json(sizes), "model/config.json")
    var random = SplitMix64(state: 7)
    let tensors = ParameterTable(sizes).entries.map { entry in
      let isScale = entry.name.hasSuffix("orm.weight")
      return Checkpoint.Tensor(
        name: entry.name, shape: entry.shape, values: (0..<entry.count).map { _ in isScale ? 1 : random.next() * 0.3 })
    }
    try Checkpoint.writeSafetensors(tensors, to: path("model/model.safetensors"))
    try write(Self.dataset(articles: 0..<6), "train.json")
    try write(Self.dataset(articles: 6..<8), "dev.json")
  }

  func write(_ text: String, _ name: String) throws { try Data(text.utf8).write(to: folder.appending(path: name)) }

  /// Articles of four passages with two questions each.
  static func dataset(articles: Range<Int>) -> String {
    let data = articles.map { article in
      let paragraphs = (0..<4).map { number in
        let (thing, place) = (article + number, article * 3 + number * 5)
        let names = (0..<2).map { (things[(thing + $0 * 3) % 8], places[(place + $0) % 8]) }
        let context = names.map { "the \($0.0) is in the \($0.1) ." }.joined(separator: " ")
        let questions = names.enumerated().map { index, name in
          let start = context.range(of: name.1).map { context.distance(from: context.startIndex, to: $0.lowerBound) } ?? 0
          return #"{"id": "\#(article)-\#(number)-\#(index)", "question": "where is the \#(name.0) ?", "#
            + #""answers": [{"text": "\#(name.1)", "answer_start": \#(start)}]}"#
        }
        return #"{"context": "\#(context)", "qas": [\#(questions.joined(separator: ", "))]}"#
      }
      return #"{"title": "article \#(article)", "paragraphs": [\#(paragraphs.joined(separator: ", "))]}"#
    }
    return #"{"version": "1.1", "data": [\#(data.joined(separator: ", "))]}"#
  }

  static let steps = 600

  /// The command's arguments for a training of `steps` steps, of which no two are alike.
  func arguments(_ output: String, _ more: [String] = []) -> [String] {
    [
      "finetune", "--model", model, "--train", train, "--output", path(output), "--epochs", "50", "--batch-size", "4",
      "--learning-rate", "3e-3", "--max-length", "40", "--dropout", "0.1", "--checkpoint-every", "7", "--threads", "1",
    ] + more
  }

  /// The trained weights.
  func weights(_ output: String) throws -> Data { try Data(contentsOf: URL(filePath: path(output + "/model.safetensors"))) }
}

/// Numbers between −1 and 1, the same every time (Steele et al. 2014).
private struct SplitMix64 {
  var state: UInt64

  mutating func next() -> Float {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    z ^= z >> 31
    return Float(z >> 40) * 0x1p-23 - 1
  }
}
