import SQuAD
import WordPiece

/// A passage, its tokens, and the way from their offsets to the caller's string.
///
/// Takes 24 bytes a token, and of a passage that is not all ASCII a fifth of its length, beside the text itself.
final class TokenizedPassage: Sendable {
  let text: String
  let encoding: Encoding
  let offsets: ScalarOffsets

  init(_ text: String, tokenizer: Tokenizer) {
    self.text = text
    encoding = tokenizer.encode(text)
    offsets = ScalarOffsets(text)
  }

  func range(utf8 range: Range<Int>) -> Range<String.Index> {
    let utf8 = text.utf8
    let start = utf8.index(utf8.startIndex, offsetBy: range.lowerBound)
    return start..<utf8.index(start, offsetBy: range.count)
  }
}

/// The passages tokenised last: many questions on one passage tokenise it once.
struct PassageCache {
  private var passages: [ExactString: TokenizedPassage] = [:]

  /// The passages of `texts`, each of them tokenised once however often it occurs; what came before and is not among them is let go.
  ///
  /// - Parameter tokenize: is given the texts that are new, each once.
  mutating func passages(
    of texts: [String], tokenizing tokenize: ([String]) -> [TokenizedPassage]
  ) -> [TokenizedPassage] {
    var recent: [ExactString: TokenizedPassage] = [:]
    var unknown: [ExactString] = []
    var seen: Set<ExactString> = []
    let keys = texts.map(ExactString.init)
    for key in keys where seen.insert(key).inserted {
      if let passage = passages[key] { recent[key] = passage } else { unknown.append(key) }
    }
    for (key, passage) in zip(unknown, tokenize(unknown.map(\.text))) { recent[key] = passage }
    passages = recent
    return keys.compactMap { recent[$0] }
  }
}
