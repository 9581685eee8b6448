import SpanQADefaultModel
import Testing

@testable import SpanQA

struct PassageCacheTests {
  @Test func aPassageIsTokenisedOnce() throws {
    let tokenizer = try DefaultModel.tokenizer()
    var cache = PassageCache()
    var tokenized: [String] = []
    func passages(_ texts: [String]) -> [TokenizedPassage] {
      cache.passages(of: texts) { new in
        tokenized += new
        return new.map { TokenizedPassage($0, tokenizer: tokenizer) }
      }
    }
    let first = passages(["one", "two", "one", "one"])
    #expect(tokenized == ["one", "two"] && first.map(\.text) == ["one", "two", "one", "one"])
    #expect(first[0] === first[2] && first[0] === first[3])
    // What was asked about last is still there, what was before is not.
    #expect(passages(["one"])[0] === first[0])
    #expect(tokenized.count == 2)
    #expect(passages(["two"])[0] !== first[1])
    #expect(tokenized == ["one", "two", "two"])
  }

  @Test func equivalentTextsAreApart() throws {
    let tokenizer = try DefaultModel.tokenizer()
    var cache = PassageCache()
    let found = cache.passages(of: ["\u{E9}", "e\u{301}", "\u{E9}"]) { $0.map { TokenizedPassage($0, tokenizer: tokenizer) } }
    #expect(found.map(\.text.utf8.count) == [2, 3, 2] && found[0] === found[2])
  }
}
