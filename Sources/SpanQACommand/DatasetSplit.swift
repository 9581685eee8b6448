import Files
import FineTuning
import SQuAD

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A dataset in two parts, to train and to judge by: no article is in both, so that no passage is known from training.
///
/// In a file of lines, which has no articles, the lines of one passage stay together.
struct DatasetSplit {
  /// What a part holds.
  struct Part {
    let path: String
    var articles = 0
    var questions = 0
  }

  private let path: String
  private let format: DatasetReader.Format
  private let version: String?
  /// The articles that belong to the part to judge by, in the order of the file.
  private let judged: Set<Int>

  /// Reads the file once, to count.
  ///
  /// - Parameter share: of the questions, about that many are for judging; what an article has decides how near it gets.
  init(path: String, share: Double, seed: UInt64) throws {
    let reader = try DatasetReader(path: path)
    var articles = Articles()
    var counts: [Int] = []
    while let paragraph = try reader.next() {
      let article = articles.number(of: paragraph)
      if article == counts.count { counts.append(0) }
      counts[article] += paragraph.questions.count
    }
    let total = counts.reduce(0, +)
    guard total > 0 else { throw EmptyDataset(path: path) }
    var (judged, taken) = (Set<Int>(), 0)
    // An article that brings the part nearer to its size is taken.
    for article in Permutation(count: counts.count, seed: seed, epoch: 0).order
    where abs(Double(taken + counts[article]) - share * Double(total)) < abs(Double(taken) - share * Double(total)) {
      judged.insert(article)
      taken += counts[article]
    }
    guard taken > 0, taken < total else { throw UnsplittableDataset(path: path, articles: counts.count) }
    (self.path, self.judged, format, version) = (path, judged, reader.format ?? .squad, reader.version)
  }

  /// Writes `train` and `dev` into a folder, as the file is: `.json` or `.jsonl`. Members that SQuAD does not have are left out.
  func write(to folder: String) throws -> (train: Part, dev: Part) {
    let location = URL(filePath: folder)
    do {
      try FileManager.default.createDirectory(at: location, withIntermediateDirectories: true)
    } catch {
      throw OutputError(name: folder)
    }
    let ending = format == .lines ? "jsonl" : "json"
    let writers = try ["train", "dev"].map {
      try Writer(path: location.appending(path: "\($0).\(ending)").path, format: format, version: version)
    }
    let reader = try DatasetReader(path: path)
    var articles = Articles()
    while let paragraph = try reader.next() {
      let article = articles.number(of: paragraph)
      writers[judged.contains(article) ? 1 : 0].append(paragraph, article: article)
    }
    for writer in writers { try writer.commit() }
    return (writers[0].part, writers[1].part)
  }

  /// Numbers a dataset's articles from 0 on as they come.
  private struct Articles {
    private var passages: [[UInt8]: Int] = [:]

    mutating func number(of paragraph: Paragraph) -> Int {
      if let article = paragraph.place.article { return article - 1 }
      // By the bytes: Swift's strings are equal to their canonical equivalents.
      let passage = Array(paragraph.context.utf8)
      if let known = passages[passage] { return known }
      passages[passage] = passages.count
      return passages.count - 1
    }
  }

  /// Writes paragraphs as they come.
  private final class Writer {
    private(set) var part: Part
    private let format: DatasetReader.Format
    private let file: ReplacementFile
    private var articles: Set<Int> = []
    private var openArticle: Int?

    init(path: String, format: DatasetReader.Format, version: String?) throws {
      part = Part(path: path)
      self.format = format
      file = try ReplacementFile(path: path)
      if format == .squad { append("{\"version\": \(JSON.string(version ?? "1.1").text), \"data\": [") }
    }

    func append(_ paragraph: Paragraph, article: Int) {
      if articles.insert(article).inserted { part.articles += 1 }
      part.questions += paragraph.questions.count
      if format == .lines {
        for question in paragraph.questions {
          append(JSON.object(question.members + [("context", .string(paragraph.context))]).text + "\n")
        }
        return
      }
      if openArticle == article {
        append(",\n")
      } else {
        if openArticle != nil { append("]},\n") }
        openArticle = article
        append("{\"title\": \(JSON.string(paragraph.place.title ?? "").text), \"paragraphs\": [")
      }
      append(
        JSON.object([
          ("qas", .array(paragraph.questions.map { .object($0.members) })), ("context", .string(paragraph.context)),
        ]).text)
    }

    func commit() throws {
      if format == .squad { append(openArticle == nil ? "]}\n" : "]}]}\n") }
      try file.commit()
    }

    private func append(_ text: String) { Array(text.utf8).withUnsafeBytes { file.append($0) } }
  }
}

extension Paragraph.Question {
  fileprivate var members: [(String, JSON)] {
    let answers = answers.map { answer -> JSON in
      .object([("text", .string(answer.text))] + (answer.start.map { [("answer_start", .integer($0))] } ?? []))
    }
    return [("id", .string(id)), ("question", .string(text)), ("answers", .array(answers))]
      + (isImpossible.map { [("is_impossible", .bool($0))] } ?? [])
  }
}

/// A dataset whose articles do not part as asked.
struct UnsplittableDataset: Error, CustomStringConvertible {
  let path: String
  let articles: Int

  var description: String {
    "\(path): its \(articles) article\(articles == 1 ? "" : "s") cannot be parted that way, as no article is cut; choose another share"
  }
}
