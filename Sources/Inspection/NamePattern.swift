/// Names chosen by patterns as shells have them: `*` for any characters, `?` for one, several patterns between commas.
public struct NamePattern: Sendable {
  private let patterns: [[Character]]

  public init(_ text: String) {
    patterns = text.split(separator: ",").map { Array($0.filter { $0 != " " }) }
  }

  public func matches(_ name: String) -> Bool {
    let name = Array(name)
    return patterns.contains { Self.matches($0, name) }
  }

  private static func matches(_ pattern: [Character], _ name: [Character]) -> Bool {
    var (p, n) = (0, 0)
    // Where the last star stands, and how far it reaches so far.
    var star: (pattern: Int, name: Int)?
    while n < name.count {
      if p < pattern.count, pattern[p] == "*" {
        star = (p, n)
        p += 1
      } else if p < pattern.count, pattern[p] == "?" || pattern[p] == name[n] {
        (p, n) = (p + 1, n + 1)
      } else if let last = star {
        star = (last.pattern, last.name + 1)
        (p, n) = (last.pattern + 1, last.name + 1)
      } else {
        return false
      }
    }
    return pattern[p...].allSatisfy { $0 == "*" }
  }
}
