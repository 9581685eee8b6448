import Testing

@testable import SpanQACommand

struct ProgressBarTests {
  private let state = ProgressBar.State(
    unit: "questions", done: 4312, total: 10570, seconds: 32.75, details: ["23,180 tokens/s"])

  @Test func aLineSaysHowFarAndHowLong() {
    #expect(
      state.line(width: 100)
        == "questions 40 % |████████████▏                 | 4312/10570  131.7/s  23,180 tokens/s  0:48 left")
  }

  @Test func aLineFitsTheTerminal() {
    for width in 1...200 {
      let line = state.line(width: width)
      #expect(line.count < width || line.isEmpty)
    }
    #expect(!state.line(width: 70).contains("|") && state.line(width: 70).hasSuffix("left"))
  }

  @Test(arguments: [(0, "0.0/s"), (20, "2.0/s  5:00 left"), (620, "62.0/s  0:00 left")])
  func beginningAndEnd(_ done: Int, _ end: String) {
    let line = ProgressBar.State(unit: "steps", done: done, total: 620, seconds: 10).line(width: 80)
    #expect(line.hasPrefix("steps \(done * 100 / 620) % ") && line.hasSuffix(end), "\(line)")
  }

  @Test func withoutATotalThereIsNoBar() {
    let line = ProgressBar.State(unit: "lines", done: 7, total: nil, seconds: 2).line(width: 80)
    #expect(line == "lines 7  3.5/s")
  }

  @Test(arguments: [(0.04, "0.0"), (131.66, "131.7"), (999.94, "999.9"), (1000, "1,000"), (23180.4, "23,180"), (1_234_567, "1,234,567")])
  func rates(_ value: Double, _ text: String) {
    #expect(value.short == text)
  }
}
