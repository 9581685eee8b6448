#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// How far a long job is, on one line of standard error that is written over: only where that is a terminal, elsewhere nothing.
///
///     questions 41 % |████████▏           | 4312/10570  131.7/s  23,180 tokens/s  0:47 left
struct ProgressBar {
  /// What is counted, in the plural.
  private let unit: String
  /// How many there are; `nil` where that is not known.
  private let total: Int?
  /// How many were done before.
  private let doneBefore: Int
  private let isShown: Bool
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant
  private var lastDrawn: ContinuousClock.Instant?

  init(_ unit: String, total: Int?, doneBefore: Int = 0, isShown: Bool = Self.standardErrorIsTerminal) {
    self.unit = unit
    self.total = total
    self.doneBefore = doneBefore
    self.isShown = isShown
    start = clock.now
  }

  static var standardErrorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// Tells how many are done. Cheap: the line is drawn ten times a second at most.
  ///
  /// - Parameter details: what else there is to say, for example a second rate.
  mutating func update(_ done: Int, details: @autoclosure () -> [String] = []) {
    guard isShown else { return }
    let now = clock.now
    if let lastDrawn, now - lastDrawn < .milliseconds(100) { return }
    lastDrawn = now
    let state = State(
      unit: unit, done: done, doneBefore: doneBefore, total: total, seconds: (now - start).seconds, details: details())
    draw(state.line(width: Self.terminalWidth))
  }

  /// Takes the line away, to make room for the result.
  mutating func finish() {
    if isShown, lastDrawn != nil { draw("") }
    lastDrawn = nil
  }

  private func draw(_ line: String) {
    // Back to the line's start, and clear what was there.
    let bytes = Array("\r\u{1b}[K\(line)".utf8)
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }

  private static var terminalWidth: Int {
    var size = winsize()
    let request = UInt(TIOCGWINSZ)
    return ioctl(STDERR_FILENO, request, &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
  }
}

extension ProgressBar {
  /// What a line shows.
  struct State {
    var unit: String
    var done: Int
    /// How many of these were done before the time began.
    var doneBefore = 0
    var total: Int?
    var seconds: Double
    var details: [String] = []

    /// The line, in at most `width` − 1 columns: a terminal breaks a full one.
    func line(width: Int) -> String {
      let rate = seconds > 0 ? Double(done - doneBefore) / seconds : 0
      var facts = ["\(rate.short)/s"] + details
      guard let total, total > 0 else {
        return String("\(unit) \(done)  \(facts.joined(separator: "  "))".prefix(max(0, width - 1)))
      }
      let share = min(1, max(0, Double(done) / Double(total)))
      if rate > 0, done <= total { facts.append("\(Self.clockTime((Double(total - done) / rate).rounded())) left") }
      let head = "\(unit) \(Int(share * 100)) % "
      let tail = " \(done)/\(total)  \(facts.joined(separator: "  "))"
      let room = min(30, width - 1 - head.count - tail.count - 2)
      let bar = room < 5 ? "" : "|" + Self.bar(share, columns: room) + "|"
      return String((head + bar + tail).prefix(max(0, width - 1)))
    }

    private static func bar(_ share: Double, columns: Int) -> String {
      let eighths = Int((share * Double(columns * 8)).rounded(.down))
      let (full, part) = eighths.quotientAndRemainder(dividingBy: 8)
      let text = String(repeating: "█", count: full) + (part > 0 ? ["▏", "▎", "▍", "▌", "▋", "▊", "▉"][part - 1] : "")
      return text + String(repeating: " ", count: columns - text.count)
    }

    /// Seconds as `1:02:03` or `2:03`.
    private static func clockTime(_ seconds: Double) -> String {
      let seconds = Int(min(seconds, 359_999))
      func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
      let (hours, minutes) = (seconds / 3600, seconds / 60 % 60)
      return hours > 0 ? "\(hours):\(two(minutes)):\(two(seconds % 60))" : "\(minutes):\(two(seconds % 60))"
    }
  }
}

extension Double {
  /// A rate as a person reads it: one decimal below 1,000, whole thousands parted by commas from there on.
  var short: String {
    guard isFinite, magnitude < 1e15 else { return "\(self)" }
    if self < 1000 { return "\((self * 10).rounded() / 10)" }
    var digits = String(Int(rounded()))
    var end = digits.endIndex
    while let comma = digits.index(end, offsetBy: -3, limitedBy: digits.startIndex), comma > digits.startIndex {
      digits.insert(",", at: comma)
      end = comma
    }
    return digits
  }
}

extension Duration {
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
