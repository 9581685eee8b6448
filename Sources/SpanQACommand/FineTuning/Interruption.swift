import ArgumentParser
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A person's wish to end a long job, which it grants at the next good moment. The second Ctrl-C ends the process at once.
enum Interruption {
  /// The signal; 0 for none.
  private static let received = Atomic<Int32>(0)

  /// To be called once, before the job.
  static func begin() {
    // Static values are made on first use, which must not be in a handler.
    received.store(0, ordering: .relaxed)
    for number in [SIGINT, SIGTERM] {
      let previous = signal(number, handle)
      // What the caller has ignored, nohup for one, stays ignored.
      if unsafeBitCast(previous, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { signal(number, SIG_IGN) }
    }
  }

  /// The handler: only an atomic and `signal`, which a handler may use.
  private static let handle: @convention(c) (Int32) -> Void = { number in
    received.store(number, ordering: .releasing)
    signal(number, SIG_DFL)
  }

  static var isRequested: Bool { received.load(ordering: .acquiring) != 0 }

  /// The exit code that shells give a process that a signal ended.
  static var exitCode: ExitCode { ExitCode(128 + received.load(ordering: .acquiring)) }
}
