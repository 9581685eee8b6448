import Encoder
import Inspection

extension AblationStudy {
  /// What `spanqa answer` and `spanqa inspect` print.
  var lines: [String] {
    let parts = without.joined(separator: ", ")
    let width = max("whole model".count, "without \(parts)".count)
    func cell(_ text: String) -> String { text + String(repeating: " ", count: width - text.count) }
    func number(_ value: Float) -> String { "\((value * 10_000).rounded() / 10_000)" }
    func answer(_ name: String, _ spans: [ReportedSpan]) -> String {
      guard let best = spans.first else { return cell(name) }
      return "\(cell(name))  \(best.text)  (score \((best.score * 10_000).rounded() / 10_000))"
    }
    func change(_ name: String, _ change: Change) -> String {
      "largest change of \(name) logit: \(number(change.whole)) to \(number(change.ablated)), token \(change.row) '\(change.token)'"
    }
    var lines = [answer("whole model", whole), answer("without \(parts)", ablated)]
    if let span = whole.first, let first = span.firstRow, let last = span.lastRow {
      lines.append(
        "the answer's start logit: \(number(wholeLogits.start[first])) to \(number(ablatedLogits.start[first])), "
          + "end logit: \(number(wholeLogits.end[last])) to \(number(ablatedLogits.end[last]))")
    }
    return lines + [change("a start", largestChanges.start), change("an end", largestChanges.end)]
  }
}

extension JSON {
  /// The object that `spanqa answer --json` prints beside an ablation.
  init(_ study: AblationStudy) {
    func spans(_ spans: [ReportedSpan]) -> JSON {
      .array(
        spans.map { span in
          .object([
            ("answer", .string(span.text)), ("start", .integer(span.start)), ("end", .integer(span.end)), ("score", .number(span.score)),
            ("start_logit", .float(span.startLogit)), ("end_logit", .float(span.endLogit)),
          ])
        })
    }
    func logits(_ logits: PassageReading.Logits) -> JSON {
      .object([("start", .array(logits.start.map(JSON.float))), ("end", .array(logits.end.map(JSON.float)))])
    }
    self = .object([
      ("without", .array(study.without.map(JSON.string))), ("whole", spans(study.whole)), ("ablated", spans(study.ablated)),
      ("window", .integer(study.window)), ("whole_logits", logits(study.wholeLogits)), ("ablated_logits", logits(study.ablatedLogits)),
    ])
  }
}
