import ArgumentParser
import Inspection

/// `spanqa trace`
struct TraceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trace",
    abstract: "Writes a timeline of one pass, for Perfetto or chrome://tracing.",
    discussion: """
      The file is in Chrome's trace event format: a track of the pass's operations with their shapes, kernels and GFLOP/s, a track for \
      each thread, and counters. Open it at https://ui.perfetto.dev. Of several runs the shortest is written.
      """)

  @OptionGroup var input: InspectionInput

  @Option(help: ArgumentHelp("Where the trace goes, as JSON.", valueName: "file"))
  var output: String

  @Option(help: "How many runs to choose the shortest of.")
  var runs = 5

  @OptionGroup var model: ModelOption

  func validate() throws {
    if !(1...10_000).contains(runs) { throw ValidationError("--runs takes a number from 1 to 10000") }
  }

  func run() throws {
    try Output.checkWritable(output)
    let batch = try input.batch(model)
    let timeline = try PassTimeline(of: model.runner(), batch: batch, runs: runs)
    try Output.write(ChromeTrace(timeline, name: "spanqa, \(batch.tokenCount) tokens").text(), toFile: output)
  }
}
