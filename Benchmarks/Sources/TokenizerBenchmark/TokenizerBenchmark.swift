import WordPiece

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif
#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Encodes the texts of a file (a JSON array of strings) on one thread, once for every line on standard input, and
/// answers each with a line of tokens and seconds. peers/tokenizer.py drives it.
@main
struct TokenizerBenchmark {
  static func main() throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 3 else {
      print("usage: TokenizerBenchmark MODEL-FOLDER TEXTS.json")
      return
    }
    let tokenizer = try Tokenizer(folder: URL(filePath: arguments[1]))
    let texts = try JSONDecoder().decode([String].self, from: Data(contentsOf: URL(filePath: arguments[2])))
    while readLine() != nil {
      let clock = ContinuousClock()
      var tokens = 0
      let duration = clock.measure {
        for text in texts { tokens += tokenizer.encode(text).count }
      }
      let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
      print(tokens, seconds)
      // A pipe would hold the line back.
      fflush(nil)
    }
  }
}
