import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Lines of output that an interruption (SIGINT, SIGTERM, SIGHUP) does not cut: it takes effect between two of them.
///
/// A reader that stops reading holds a write up for ever; a second signal ends the process then.
enum WholeLines {
  private enum State {
    static let idle = 0
    static let writing = 1
    /// A signal came during a write.
    static let interrupted = 2
  }

  private static let state = Atomic<Int>(State.idle)
  /// The signal to die of once the line is whole.
  private static let pending = Atomic<Int32>(0)

  /// To be called once, before the first line.
  static func begin() {
    // Static values are made on first use, which must not be in a handler.
    state.store(State.idle, ordering: .relaxed)
    pending.store(0, ordering: .relaxed)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      // What the caller has ignored, nohup for one, stays ignored.
      let previous = signal(number, handle)
      if unsafeBitCast(previous, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { signal(number, SIG_IGN) }
    }
  }

  static func write(_ line: String) throws(OutputError) {
    // From idle it goes on only where no handler has begun to end the process.
    while !state.compareExchange(expected: State.idle, desired: State.writing, ordering: .acquiring).exchanged { pause() }
    defer {
      if !state.compareExchange(expected: State.writing, desired: State.idle, ordering: .releasing).exchanged {
        die(of: pending.load(ordering: .acquiring))
      }
    }
    try Output.write(line)
  }

  /// The handler: only atomics and system calls that a handler may use.
  private static let handle: @convention(c) (Int32) -> Void = { number in
    pending.store(number, ordering: .releasing)
    while true {
      let (exchanged, found) = state.compareExchange(
        expected: State.writing, desired: State.interrupted, ordering: .acquiringAndReleasing)
      // The writer is going to see it.
      if exchanged { return }
      // From here on no thread starts a line.
      if found == State.interrupted
        || state.compareExchange(expected: State.idle, desired: State.interrupted, ordering: .acquiringAndReleasing).exchanged
      {
        die(of: number)
        return
      }
    }
  }

  private static func die(of number: Int32) {
    signal(number, SIG_DFL)
    // A handler's own signal is blocked in it, and all are in the threads that run tasks: raised there it would wait for ever.
    var mask = sigset_t()
    sigemptyset(&mask)
    sigaddset(&mask, number)
    pthread_sigmask(SIG_UNBLOCK, &mask, nil)
    raise(number)
  }
}
