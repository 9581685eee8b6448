import Kernels
import Observation

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A timeline in Chrome's trace event format (the "JSON Object Format" of its document), which Perfetto and chrome://tracing open.
public struct ChromeTrace: Encodable {
  /// One event. `X` is a stretch of time, `C` a counter, `M` a name.
  public struct Event: Encodable {
    var name: String
    var ph: String
    var cat: String?
    /// Microseconds.
    var ts: Double?
    var dur: Double?
    var pid = 1
    var tid: Int
    var args: [String: Argument]
  }

  enum Argument: Encodable {
    case text(String)
    case number(Double)

    func encode(to encoder: any Swift.Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .text(let text): try container.encode(text)
      case .number(let number): try container.encode(number)
      }
    }
  }

  let traceEvents: [Event]
  let displayTimeUnit = "ms"

  /// The track of the pass and its operations; a thread has the track behind it by its number.
  private static let operationTrack = 1

  public init(_ timeline: PassTimeline, name: String) {
    func metadata(_ kind: String, _ track: Int, _ name: String) -> Event {
      Event(name: kind, ph: "M", tid: track, args: ["name": .text(name)])
    }
    var events = [metadata("process_name", 0, name), metadata("thread_name", Self.operationTrack, "operations")]
    for thread in Set(timeline.threads.map(\.thread)).sorted() {
      events.append(metadata("thread_name", Self.operationTrack + 1 + thread, thread == 0 ? "thread 0 (the caller)" : "thread \(thread)"))
    }
    events.append(
      Event(
        name: "forward", ph: "X", cat: "pass", ts: 0, dur: timeline.duration.microseconds, tid: Self.operationTrack, args: [:]))
    for operation in timeline.operations {
      var arguments: [String: Argument] = [
        "kernels": .text(operation.kernels.joined(separator: ", ")),
        "inputs": .text(operation.inputs.map(\.description).joined(separator: " ")),
        "output": .text(operation.output.description),
      ]
      if let layer = operation.layer { arguments["layer"] = .number(Double(layer)) }
      let (begin, time) = (operation.start.microseconds, operation.duration.microseconds)
      if let speed = operation.gigaoperationsPerSecond {
        arguments["GFLOP/s"] = .number(speed)
        events.append(
          Event(name: "GFLOP/s", ph: "C", ts: begin, tid: Self.operationTrack, args: ["GFLOP/s": .number(speed)]))
      }
      events.append(
        Event(
          name: operation.name, ph: "X", cat: "operation", ts: begin, dur: time, tid: Self.operationTrack, args: arguments))
    }
    events.append(
      Event(
        name: "GFLOP/s", ph: "C", ts: timeline.duration.microseconds, tid: Self.operationTrack, args: ["GFLOP/s": .number(0)]))
    for span in timeline.threads {
      // A job is named after the operation that it is part of.
      let operation = timeline.operations.last { $0.start <= span.start }
      events.append(
        Event(
          name: operation?.name ?? "job", ph: "X", cat: "thread", ts: span.start.microseconds, dur: span.duration.microseconds,
          tid: Self.operationTrack + 1 + span.thread,
          args: ["tasks": .number(Double(span.tasks)), "kernels": .text(operation?.kernels.joined(separator: ", ") ?? "")]))
    }
    let bytes = timeline.memory.map { $0.offset + $0.byteCount }.max() ?? 0
    events.append(
      Event(name: "workspace", ph: "C", ts: 0, tid: Self.operationTrack, args: ["bytes": .number(Double(bytes))]))
    traceEvents = events
  }

  /// The file's text.
  public func text() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}

extension Duration {
  public var microseconds: Double { self / .microseconds(1) }
}

extension ObservedOperation {
  /// Products and additions in a second, in thousands of millions; `nil` where it multiplies nothing.
  public var gigaoperationsPerSecond: Double? {
    let time = duration / .seconds(1)
    return arithmetic > 0 && time > 0 ? Double(arithmetic) / time / 1e9 : nil
  }
}
