/// Losses and scores over the steps of a run, drawn as SVG.
public struct LossCurve: Sendable {
  public struct Line: Sendable {
    public var title: String
    public var points: [(step: Int, value: Double)]

    public init(_ title: String, points: [(step: Int, value: Double)]) {
      self.title = title
      self.points = points
    }
  }

  public var title: String
  /// Losses, by the axis on the left.
  public var losses: [Line]
  /// Percentages, by the axis on the right.
  public var scores: [Line]

  public init(title: String, losses: [Line], scores: [Line] = []) {
    self.title = title
    self.losses = losses
    self.scores = scores
  }

  private static let colors = ["#1f5fa8", "#c2571a", "#3a7d44", "#7a4fa3"]
  private static let (width, height) = (720.0, 400.0)
  private static let (left, right, top, bottom) = (60.0, 60.0, 40.0, 50.0)

  public var svg: String {
    let steps = Double(max(1, (losses + scores).flatMap(\.points).map(\.step).max() ?? 1))
    let highest = Self.roundUp((losses.flatMap(\.points).map(\.value).max() ?? 1) * 1.02)
    func x(_ step: Double) -> Double { Self.left + step / steps * (Self.width - Self.left - Self.right) }
    func y(_ share: Double) -> Double { Self.height - Self.bottom - share * (Self.height - Self.top - Self.bottom) }

    var parts = [
      #"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \#(Int(Self.width)) \#(Int(Self.height))" "#
        + #"font-family="sans-serif" font-size="12">"#,
      #"<rect width="100%" height="100%" fill="white"/>"#, Self.text(Self.left, 24, title, extra: #" font-size="15""#),
    ]
    for tick in 0...5 {
      let share = Double(tick) / 5
      parts.append(
        #"<line x1="\#(Self.short(Self.left))" x2="\#(Self.short(Self.width - Self.right))" "#
          + #"y1="\#(Self.short(y(share)))" y2="\#(Self.short(y(share)))" stroke="lightgray"/>"#)
      parts.append(Self.text(Self.left - 8, y(share) + 4, Self.short(highest * share), extra: #" text-anchor="end""#))
      if !scores.isEmpty { parts.append(Self.text(Self.width - Self.right + 8, y(share) + 4, "\(Int(share * 100)) %")) }
      parts.append(
        Self.text(x(steps * share), Self.height - Self.bottom + 18, "\(Int(steps * share))", extra: #" text-anchor="middle""#))
    }
    parts.append(Self.text(Self.width / 2, Self.height - 12, "step", extra: #" text-anchor="middle""#))
    var color = 0
    for (lines, scale, isScore) in [(losses, highest, false), (scores, 100, true)] {
      for line in lines {
        let stroke = Self.colors[color % Self.colors.count]
        let points = line.points.map { (x(Double($0.step)), y($0.value / scale)) }
        let path = points.map { Self.short($0.0) + "," + Self.short($0.1) }.joined(separator: " ")
        parts.append(#"<polyline fill="none" stroke="\#(stroke)" stroke-width="1.5" points="\#(path)"/>"#)
        if isScore {
          for point in points {
            parts.append(#"<circle cx="\#(Self.short(point.0))" cy="\#(Self.short(point.1))" r="4" fill="\#(stroke)"/>"#)
          }
        }
        let place = Self.top + 8 + Double(color) * 18
        parts.append(#"<rect x="\#(Self.short(Self.width - 300))" y="\#(Self.short(place - 8))" width="12" height="8" fill="\#(stroke)"/>"#)
        parts.append(Self.text(Self.width - 282, place, line.title))
        color += 1
      }
    }
    return parts.joined(separator: "\n") + "\n</svg>\n"
  }

  /// Means over neighbouring steps, so that a line of many points can be read.
  public static func smoothed(_ points: [(step: Int, value: Double)], over count: Int) -> [(step: Int, value: Double)] {
    stride(from: 0, to: points.count, by: max(1, count)).map { first in
      let part = points[first..<min(first + max(1, count), points.count)]
      return (part[part.index(before: part.endIndex)].step, part.reduce(0) { $0 + $1.value } / Double(part.count))
    }
  }

  private static func text(_ x: Double, _ y: Double, _ text: String, extra: String = "") -> String {
    let escaped = text.flatMap { character -> String in
      switch character {
      case "&": "&amp;"
      case "<": "&lt;"
      default: String(character)
      }
    }
    return #"<text x="\#(short(x))" y="\#(short(y))"\#(extra)>\#(String(escaped))</text>"#
  }

  /// Two decimals at most.
  private static func short(_ value: Double) -> String {
    let hundredths = Int((value * 100).rounded())
    return hundredths % 100 == 0 ? "\(hundredths / 100)" : "\(Double(hundredths) / 100)"
  }

  /// To a number with one or two digits that is easy to read.
  private static func roundUp(_ value: Double) -> Double {
    var unit = 0.001
    while unit * 10 < value { unit *= 10 }
    return [1, 2, 2.5, 5, 10].map { $0 * unit }.first { $0 >= value } ?? value
  }
}
