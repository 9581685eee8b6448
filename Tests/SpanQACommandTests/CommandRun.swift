import Foundation

/// What a run of the command left.
struct CommandResult {
  var output, errors: String
  var code: Int32
}

/// The built command, not yet started, to be started by the same thread. `shell` goes before it, for example to limit what the process may do.
func command(
  _ arguments: some Collection<String>, environment: [String: String] = [:], shell: String? = nil
) -> Process {
  let executable = CommandProcess.executable
  // What this process ignores or this thread blocks, as threads of Dispatch do, the command would ignore or block too.
  var signals = sigset_t()
  sigemptyset(&signals)
  for number in [SIGINT, SIGTERM] {
    sigaddset(&signals, number)
    signal(number, SIG_DFL)
  }
  pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  let process = Process()
  if let shell {
    process.executableURL = URL(filePath: "/bin/bash")
    process.arguments = ["-c", shell + #"; exec "$0" "$@""#, executable?.path ?? ""] + arguments
  } else {
    process.executableURL = executable
    process.arguments = Array(arguments)
  }
  process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
  return process
}

/// Runs the built command to its end.
func run(
  _ arguments: some Collection<String>, input: Data = Data(), environment: [String: String] = [:], shell: String? = nil
) throws -> CommandResult {
  let process = command(arguments, environment: environment, shell: shell)
  let (standardInput, output, errors) = (Pipe(), Pipe(), Pipe())
  process.standardInput = standardInput
  process.standardOutput = output
  process.standardError = errors
  try process.run()
  try? standardInput.fileHandleForWriting.write(contentsOf: input)
  try standardInput.fileHandleForWriting.close()
  let printed = try output.fileHandleForReading.readToEnd() ?? Data()
  let complained = try errors.fileHandleForReading.readToEnd() ?? Data()
  process.waitUntilExit()
  return CommandResult(
    output: String(decoding: printed, as: UTF8.self), errors: String(decoding: complained, as: UTF8.self),
    code: process.terminationStatus)
}
