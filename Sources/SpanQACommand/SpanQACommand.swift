import ArgumentParser
import Encoder
import Kernels
import SpanQA

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The command `spanqa`: one subcommand a file.
@main
struct SpanQACommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "spanqa",
    abstract: "Answers questions from a passage: text in, the answer's exact characters out.",
    discussion: """
      The model is a DistilBERT in ONNX that runs in this process. Without --model the embedded one answers.

      Results go to standard output, errors in one line to standard error. Exit codes: 0 success, 1 failure, 2 wrong usage.
      """,
    version: SpanQAVersion.current,
    subcommands: [
      AnswerCommand.self, TokenizeCommand.self, LogitsCommand.self, VerifyCommand.self, ModelCommand.self,
      EvaluateCommand.self, ScoreCommand.self, DatasetCommand.self, QuantizeCommand.self, FineTuneCommand.self, ExportCommand.self,
      BenchmarkCommand.self, BackendsCommand.self, InspectCommand.self, DumpCommand.self, TraceCommand.self,
    ])

  static func main() async {
    do {
      var command = try parseAsRoot()
      try ThreadCountError.check()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      finish(with: error)
    }
  }

  /// Ends the process as the command line's rules have it: help to standard output, one line to standard error for the rest.
  private static func finish(with error: any Error) -> Never {
    switch exitCode(for: error) {
    case .success:
      do {
        try Output.write(fullMessage(for: error))
      } catch {
        writeError("\(error)")
        endProcess(1)
      }
      endProcess(0)
    case .validationFailure:
      writeError(message(for: error))
      endProcess(2)
    case let code:
      if !(error is ExitCode) { writeError(message(for: error)) }
      endProcess(code.rawValue)
    }
  }

  private static func writeError(_ message: String) {
    let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    try? Output.write("spanqa: \(line)", to: .standardError)
  }
}

/// `exit`, under a name that the command's own methods do not hide.
private func endProcess(_ code: Int32) -> Never { exit(code) }

/// A number of threads in the environment that is none: the library takes its own count then, and a person would wonder.
private struct ThreadCountError: Error, CustomStringConvertible {
  let value: String

  static func check() throws(ThreadCountError) {
    guard let value = Environment[.threads], !(1...CPUBackend.mostThreads).contains(Int(value) ?? 0) else { return }
    throw ThreadCountError(value: value)
  }

  var description: String { "SPANQA_THREADS is '\(value)'; it takes a number from 1 to \(CPUBackend.mostThreads)" }
}
