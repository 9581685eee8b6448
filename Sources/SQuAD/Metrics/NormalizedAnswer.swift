/// An answer as SQuAD's official scripts compare it: lower case, without ASCII punctuation and without the articles
/// *a*, *an* and *the*, as its words.
///
/// Works on Unicode scalars with Python's notions of lower case, word and white space, so that the scores are those
/// of the scripts: "e" with a combining accent is not "é".
public struct NormalizedAnswer: Sendable, Equatable {
  /// The words, in UTF-8.
  public let words: [[UInt8]]

  /// Linear in the text's length.
  public init(_ text: String) {
    let scalars = Self.lowercased(Array(text.unicodeScalars)).filter { !Self.isPunctuation($0) }
    var words: [[UInt8]] = []
    var word: [UInt8] = []
    func finishWord() {
      if !word.isEmpty { words.append(word) }
      word = []
    }
    var index = 0
    while index < scalars.count {
      // A run of word characters is what stands between two `\b` of a regular expression.
      var end = index
      while end < scalars.count, Self.isWordCharacter(scalars[end]) { end += 1 }
      if end == index {
        if Self.isSpace(scalars[index]) { finishWord() } else { word += UTF8.encode(scalars[index]) ?? .init() }
        index += 1
      } else {
        let run = scalars[index..<end].flatMap { UTF8.encode($0) ?? .init() }
        if Self.articles.contains(run) { finishWord() } else { word += run }
        index = end
      }
    }
    finishWord()
    self.words = words
  }

  /// The overlap of two answers' words as the scripts count it: the harmonic mean of precision and recall over the
  /// words as multisets; 0 where nothing is shared.
  public func f1(gold: NormalizedAnswer) -> Double {
    var counts: [[UInt8]: Int] = [:]
    for word in gold.words { counts[word, default: 0] += 1 }
    var shared = 0
    for word in words {
      guard let count = counts[word], count > 0 else { continue }
      counts[word] = count - 1
      shared += 1
    }
    guard shared > 0 else { return 0 }
    let precision = Double(shared) / Double(words.count)
    let recall = Double(shared) / Double(gold.words.count)
    return (2 * precision * recall) / (precision + recall)
  }

  private static let articles: Set<[UInt8]> = [Array("a".utf8), Array("an".utf8), Array("the".utf8)]

  /// Python's `string.punctuation`.
  private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
    default: false
    }
  }

  /// What `\w` matches in Python, but for the underscore, which is punctuation.
  private static func isWordCharacter(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar) }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return true
    default: return scalar.properties.numericType != nil
    }
  }

  /// What `str.split()` splits at in Python.
  private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
    default: false
    }
  }

  /// Python's `str.lower()`: the full mapping of each scalar, and a final sigma at the end of a word.
  private static func lowercased(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    result.reserveCapacity(scalars.count)
    for (index, scalar) in scalars.enumerated() {
      if scalar.isASCII {
        result.append(("A"..."Z").contains(scalar) ? Unicode.Scalar(UInt8(scalar.value) | 0x20) : scalar)
      } else if scalar == "Σ" {
        let isCased = { (scalar: Unicode.Scalar) in scalar.properties.isCased }
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        result.append(before.map(isCased) == true && after.map(isCased) != true ? "ς" : "σ")
      } else {
        result += scalar.properties.lowercaseMapping.unicodeScalars
      }
    }
    return result
  }
}
