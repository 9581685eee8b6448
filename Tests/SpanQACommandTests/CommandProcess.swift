import Foundation

@testable import SpanQACommand

/// The built command in a process of its own, which may be stopped in any way.
struct CommandProcess {
  /// The command lies beside the tests' own program.
  static let executable: URL? = {
    let folder = URL(filePath: ProcessInfo.processInfo.arguments[0]).deletingLastPathComponent()
    return [folder, Bundle.main.bundleURL].map { $0.appending(path: "spanqa") }
      .first { FileManager.default.isExecutableFile(atPath: $0.path) }
  }()

  /// How a process ended.
  struct End {
    /// The exit code; nil where a signal ended it.
    var code: Int32?
    /// The signal that ended it.
    var signal: Int32?
  }

  private let id: pid_t

  /// Starts the command; standard input is empty unless `input` names a file, and standard error is dropped.
  ///
  /// - Parameter output: where standard output goes; stays the caller's, to be closed.
  init(_ arguments: [String], input: String = "/dev/null", output: Int32) throws {
    guard let executable = Self.executable else { throw CocoaError(.fileNoSuchFile) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input, O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
    // Signals as a shell leaves them, whatever the tests' own process does with them.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&signals, number) }
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    let words = ([executable.path] + arguments).map { strdup($0) }
    let environment = ProcessInfo.processInfo.environment.map { strdup("\($0)=\($1)") }
    defer { for word in words + environment { free(word) } }
    var id = pid_t()
    let failure = posix_spawn(&id, executable.path, &actions, &attributes, words + [nil], environment + [nil])
    guard failure == 0 else { throw POSIXError(POSIXErrorCode(rawValue: failure) ?? .EIO) }
    self.id = id
  }

  func send(_ signal: Int32) { kill(id, signal) }

  /// The most memory it has had so far, in bytes; nil where the system does not tell.
  var peakMemory: Int? {
    FileManager.default.contents(atPath: "/proc/\(id)/status").flatMap { PeakMemory.highWaterMark(inStatus: $0) }
  }

  /// Waits for its end; once only.
  func wait() -> End {
    var status: Int32 = 0
    while waitpid(id, &status, 0) < 0 && errno == EINTR {}
    let signal = status & 0x7F
    return End(code: signal == 0 ? (status >> 8) & 0xFF : nil, signal: signal == 0 ? nil : signal)
  }
}

/// A pipe whose writing end goes to a process.
final class OutputPipe {
  private(set) var writing: Int32 = -1
  private var reading: Int32 = -1
  private var buffer = [UInt8](repeating: 0, count: 1 << 20)

  init() throws {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw POSIXError(.EMFILE) }
    (reading, writing) = (ends[0], ends[1])
    // No other process that is started meanwhile shall hold it open.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
  }

  deinit {
    closeWriting()
    closeReading()
  }

  /// To be called once the process has it: the end is seen only when nobody can write any more.
  func closeWriting() {
    if writing >= 0 { close(writing) }
    writing = -1
  }

  func closeReading() {
    if reading >= 0 { close(reading) }
    reading = -1
  }

  /// All there is for now, at least a byte; empty at the end.
  func read() -> [UInt8] {
    while true {
      let count = Foundation.read(reading, &buffer, buffer.count)
      if count >= 0 { return Array(buffer.prefix(count)) }
      if errno != EINTR { return [] }
    }
  }
}

/// Calls `body` with a folder that is gone afterwards.
func withFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
  let folder = URL(filePath: NSTemporaryDirectory()).appending(path: "spanqa-command-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder)
}
