import Encoder
import Foundation
import Inspection
import SpanQADefaultModel
import Testing

/// The trace against the schema of Chrome's trace event format, and against the clock.
struct TraceTests {
  struct Event: Decodable {
    var name, ph: String
    var ts, dur: Double?
    var pid, tid: Int
    var args: [String: Value]

    enum Value: Decodable, Equatable {
      case text(String), number(Double)

      init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Double.self) { self = .number(number) } else { self = .text(try container.decode(String.self)) }
      }
    }
  }

  struct Trace: Decodable {
    var traceEvents: [Event]
    var displayTimeUnit: String
  }

  @Test func schemaAndTimes() throws {
    let answerer = try DefaultModel.questionAnswerer()
    let batch = PackedBatch([[101] + (0..<200).map { 2000 + $0 * 7 } + [102]])
    // A busy machine may stop the pass between two operations; of some passes one is left alone.
    var timeline = try PassTimeline(of: answerer.encoder, batch: batch, runs: 5)
    for _ in 0..<50 where timeline.operations.reduce(.zero, { $0 + $1.duration }) < timeline.duration * 0.97 {
      timeline = try PassTimeline(of: answerer.encoder, batch: batch, runs: 3)
    }
    let trace = try JSONDecoder().decode(Trace.self, from: Data(ChromeTrace(timeline, name: "a \"name\"").text().utf8))

    #expect(trace.displayTimeUnit == "ms" && !trace.traceEvents.isEmpty)
    for event in trace.traceEvents {
      switch event.ph {
      case "M":
        #expect(["process_name", "thread_name"].contains(event.name))
        if case .text? = event.args["name"] {} else { Issue.record("\(event.name) names nothing") }
      case "X":
        #expect((event.ts ?? -1) >= 0 && (event.dur ?? -1) >= 0, "\(event.name)")
      case "C":
        #expect((event.ts ?? -1) >= 0 && !event.args.isEmpty)
        #expect(event.args.values.allSatisfy { if case .number = $0 { true } else { false } })
      case let other: Issue.record("an event of type \(other)")
      }
    }

    let pass = try #require(trace.traceEvents.first { $0.name == "forward" && $0.ph == "X" }?.dur)
    let operations = trace.traceEvents.filter { $0.ph == "X" && $0.tid == 1 && $0.name != "forward" }
    #expect(operations.count == 2 + 4 * 6)
    let sum = operations.reduce(0) { $0 + ($1.dur ?? 0) }
    print("operations take \(sum) of \(pass) microseconds: \(100 * sum / pass) %")
    #expect(sum <= pass && sum >= 0.95 * pass)
    for event in operations {
      let (start, end) = (event.ts ?? 0, (event.ts ?? 0) + (event.dur ?? 0))
      #expect(start >= 0 && end <= pass + 1, "\(event.name) lies outside the pass")
    }
    // Threads work on nothing outside the pass, and on one job at a time.
    for (_, spans) in Dictionary(grouping: timeline.threads, by: \.thread) {
      for (a, b) in zip(spans, spans.dropFirst()) { #expect(a.start + a.duration <= b.start) }
      #expect(spans.allSatisfy { $0.start >= .zero && $0.start + $0.duration <= timeline.duration && $0.tasks > 0 })
    }
  }
}
