/// The best distinct spans seen so far, at most `capacity` of them, best first.
struct CandidateRanking: Sendable {
  /// A span with the logits of the window that likes it best.
  struct Candidate: Sendable {
    var tokens: ClosedRange<Int>
    var startLogit: Float
    var endLogit: Float
    var window: Int

    /// What spans are ranked by. Exact: a sum of two floats fits a double unless their sizes are far apart.
    var sum: Double { Double(startLogit) + Double(endLogit) }

    func precedes(_ other: Candidate) -> Bool {
      (-sum, tokens.lowerBound, tokens.upperBound) < (-other.sum, other.tokens.lowerBound, other.tokens.upperBound)
    }
  }

  private let capacity: Int
  private(set) var entries: [Candidate] = []
  /// What stands in `entries`, by its place in the passage.
  private var known: [ClosedRange<Int>: Candidate] = [:]

  init(capacity: Int) {
    self.capacity = capacity
  }

  /// Ranks all spans of a window: `starts` and `ends` are the logits of its passage tokens, the first of which is
  /// `firstToken`.
  ///
  /// First every start with its best end; that leaves, of all starts, at most `capacity` whose other ends can still
  /// rank, for an end that ranks stands behind its start's best.
  mutating func insert(starts: [Float], ends: [Float], firstToken: Int, maxAnswerLength: Int, window: Int) {
    func candidate(_ start: Int, _ end: Int) -> Candidate {
      Candidate(
        tokens: firstToken + start...firstToken + end, startLogit: starts[start], endLogit: ends[end], window: window)
    }
    let bestEnds = Self.bestEnds(ends, within: maxAnswerLength)
    for start in starts.indices { insert(candidate(start, bestEnds[start])) }
    for start in starts.indices where accepts(candidate(start, bestEnds[start])) {
      for end in start..<min(start + min(maxAnswerLength, ends.count), ends.count) where end != bestEnds[start] {
        insert(candidate(start, end))
      }
    }
  }

  /// Whether a candidate that is not better than the last one would still have a place, or has one.
  private func accepts(_ candidate: Candidate) -> Bool {
    guard entries.count == capacity, let last = entries.last else { return true }
    return !last.precedes(candidate)
  }

  private mutating func insert(_ candidate: Candidate) {
    guard accepts(candidate) else { return }
    if let old = known[candidate.tokens] {
      guard candidate.sum > old.sum else { return }
      entries.remove(at: place(of: old))
    } else if entries.count == capacity, let last = entries.popLast() {
      known[last.tokens] = nil
    }
    entries.insert(candidate, at: place(of: candidate))
    known[candidate.tokens] = candidate
  }

  /// Where in `entries` a candidate stands or belongs.
  private func place(of candidate: Candidate) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].precedes(candidate) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// For each start the best of the `length` ends from it on, the first of equal ones: linear time, by a queue of
  /// the ends that no later and better one has put out of play.
  private static func bestEnds(_ ends: [Float], within length: Int) -> [Int] {
    var best = [Int](repeating: 0, count: ends.count)
    var queue = [Int](repeating: 0, count: ends.count)
    var head = 0
    var tail = 0
    var next = 0
    for start in ends.indices {
      while next < ends.count, next - start < length {
        while tail > head, ends[queue[tail - 1]] < ends[next] { tail -= 1 }
        queue[tail] = next
        tail += 1
        next += 1
      }
      if queue[head] < start { head += 1 }
      best[start] = queue[head]
    }
    return best
  }
}
