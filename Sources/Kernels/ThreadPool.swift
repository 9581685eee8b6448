import CKernels
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The process's one pool of threads for computing: fork, compute, join.
///
/// The caller works too. Between two jobs the workers watch for the next one for some microseconds, then sleep. A job is a number
/// of tasks that any thread may take; which thread takes which must not matter to the result, and so the number of threads never
/// does.
public final class ThreadPool: Sendable {
  public static let shared = ThreadPool()

  /// Only one job runs at a time. A caller that finds the pool busy computes on its own thread instead of waiting: with
  /// several callers the processors are busy anyway.
  private let isBusy = Atomic<Bool>(false)
  private let board = Board()
  /// Where threads note what they do, while somebody records.
  private let recorder = Mutex<ThreadRecorder?>(nil)
  private let isRecording = Atomic<Bool>(false)

  private init() {}

  /// Calls `body` with 0, 1, …, `tasks` − 1, on at most `threads` threads at once, and returns when all calls have returned.
  ///
  /// `body` must be safe to call from several threads at once. Cost: some microseconds, where more than one thread takes part.
  public func run(tasks: Int, threads: Int, _ body: (Int) -> Void) {
    let threads = min(threads, tasks)
    guard threads > 1, !isBusy.exchange(true, ordering: .acquiring) else {
      for task in 0..<tasks { body(task) }
      return
    }
    defer { isBusy.store(false, ordering: .releasing) }
    let recorder = isRecording.load(ordering: .relaxed) ? self.recorder.withLock { $0 } : nil
    withoutActuallyEscaping(body) { body in
      withUnsafePointer(to: body) { pointer in
        board.run(Job(tasks: tasks, body: pointer, recorder: recorder), threads: threads)
      }
    }
  }
}

/// A thread's part in one job of the pool.
public struct ThreadSpan: Sendable, Equatable {
  /// 0 is the caller.
  public var thread: Int
  /// From the recording's origin.
  public var start: Duration
  public var duration: Duration
  /// How many of the job's tasks it took.
  public var tasks: Int

  public init(thread: Int, start: Duration, duration: Duration, tasks: Int) {
    self.thread = thread
    self.start = start
    self.duration = duration
    self.tasks = tasks
  }
}

extension ThreadPool {
  /// What `body` returns, and what each thread did meanwhile for jobs of more than one thread, in the order of time.
  ///
  /// - Parameter origin: times are told from here.
  ///
  /// One recording at a time: of two at once, the later one sees all.
  public func recording<Result>(
    since origin: ContinuousClock.Instant = .now, _ body: () throws -> Result
  ) rethrows -> (Result, [ThreadSpan]) {
    let recorder = ThreadRecorder(start: origin)
    self.recorder.withLock { $0 = recorder }
    isRecording.store(true, ordering: .relaxed)
    defer {
      isRecording.store(false, ordering: .relaxed)
      self.recorder.withLock { $0 = nil }
    }
    return (try body(), recorder.spans)
  }
}

private final class ThreadRecorder: Sendable {
  private let start: ContinuousClock.Instant
  private let found = Mutex<[ThreadSpan]>([])

  init(start: ContinuousClock.Instant) { self.start = start }

  var spans: [ThreadSpan] { found.withLock { $0.sorted { ($0.start, $0.thread) < ($1.start, $1.thread) } } }

  func add(thread: Int, since began: ContinuousClock.Instant, tasks: Int) {
    let span = ThreadSpan(thread: thread, start: began - start, duration: ContinuousClock.now - began, tasks: tasks)
    found.withLock { $0.append(span) }
  }
}

extension ThreadPool {
  /// How many threads a matrix product deserves: waking one costs some microseconds, in which a thread multiplies and adds about two
  /// hundred thousand pairs.
  static func worthwhile(_ threads: Int, products: Int) -> Int {
    products < 200_000 ? 1 : threads
  }

  /// Calls `body` with each task and the number of the thread it runs on, from 0 to `threads` − 1: for work that needs memory of its own
  /// on every thread.
  public func shareOut(_ tasks: Int, threads: Int, _ body: (_ thread: Int, _ task: Int) -> Void) {
    let threads = min(threads, tasks)
    guard threads > 1 else {
      for task in 0..<tasks { body(0, task) }
      return
    }
    let next = Atomic<Int>(0)
    run(tasks: threads, threads: threads) { thread in
      while true {
        let task = next.add(1, ordering: .relaxed).oldValue
        if task >= tasks { return }
        body(thread, task)
      }
    }
  }
}

/// What the threads of a pool share.
private final class Board: @unchecked Sendable {
  // Sendable: `job` and `workers` are written only by the one caller that holds `ThreadPool.isBusy`. A worker reads `job` only
  // between taking a place of the current job, which acquires what the caller released with it, and leaving it, for which the
  // caller waits before it writes again.
  private var job = Job(tasks: 0, body: nil)
  private var workers = 0

  /// The number of the current job, and in the low bits how many workers may still join it.
  private let ticket = Atomic<UInt>(0)
  private static let placeBits: UInt = 10
  private static let placeMask: UInt = 1 << placeBits - 1

  /// How many workers have left the current job.
  private let left = Atomic<UInt>(0)
  private let nextTask = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)

  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let wake: UnsafeMutablePointer<pthread_cond_t>

  init() {
    mutex = .allocate(capacity: 1)
    wake = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(wake, nil)
  }

  func run(_ job: Job, threads: Int) {
    startWorkers(upTo: threads - 1)
    let places = UInt(min(threads - 1, workers, Int(Self.placeMask)))
    self.job = job
    nextTask.store(0, ordering: .relaxed)
    left.store(0, ordering: .relaxed)
    let number = (ticket.load(ordering: .relaxed) >> Self.placeBits) &+ 1
    ticket.store(number << Self.placeBits | places, ordering: .sequentiallyConsistent)
    if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
      pthread_mutex_lock(mutex)
      pthread_cond_broadcast(wake)
      pthread_mutex_unlock(mutex)
    }

    work(on: job, thread: 0)

    // A worker that has not come by now need not come: with the places gone, nobody waits for it.
    let unused = ticket.bitwiseAnd(~Self.placeMask, ordering: .acquiringAndReleasing).oldValue & Self.placeMask
    var turns = 0
    while left.load(ordering: .acquiring) != places - unused {
      turns += 1
      // After many turns the processor goes to somebody else, who may be the one waited for.
      if turns % 1000 == 0 { sched_yield() } else { sq_relax() }
    }
  }

  private func work(on job: Job, thread: Int) {
    guard let body = job.body else { return }
    let began = job.recorder.map { _ in ContinuousClock.now }
    var taken = 0
    while true {
      let task = nextTask.add(1, ordering: .relaxed).oldValue
      if task >= job.tasks { break }
      body.pointee(task)
      taken += 1
    }
    if let began, taken > 0 { job.recorder?.add(thread: thread, since: began, tasks: taken) }
  }

  /// A worker's life.
  private func serve(as thread: Int) {
    var turns = 0
    while true {
      let current = ticket.load(ordering: .relaxed)
      if current & Self.placeMask == 0 {
        // Two jobs of one forward pass follow each other within microseconds; going to sleep and being woken costs more.
        turns += 1
        if turns < Self.watchTurns { sq_relax() } else { sleep(while: current) }
        continue
      }
      turns = 0
      if ticket.compareExchange(expected: current, desired: current - 1, ordering: .acquiring).exchanged {
        work(on: job, thread: thread)
        left.add(1, ordering: .releasing)
      }
    }
  }

  private static let watchTurns = 4000

  private func sleep(while current: UInt) {
    pthread_mutex_lock(mutex)
    sleepers.add(1, ordering: .sequentiallyConsistent)
    while ticket.load(ordering: .sequentiallyConsistent) == current { pthread_cond_wait(wake, mutex) }
    sleepers.subtract(1, ordering: .sequentiallyConsistent)
    pthread_mutex_unlock(mutex)
  }

  private func startWorkers(upTo count: Int) {
    while workers < count {
      // Without another thread the work is done by those there are.
      let number = workers + 1
      guard startThread({ [self] in serve(as: number) }) else { return }
      workers += 1
    }
  }
}

private struct Job {
  var tasks: Int
  var body: UnsafePointer<(Int) -> Void>?
  var recorder: ThreadRecorder?
}

/// Starts a thread of its own for `body`; false where the system gives none.
private func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
  final class Start: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  let start = Unmanaged.passRetained(Start(body))
  #if canImport(Darwin)
    var thread: pthread_t?
  #else
    var thread = pthread_t()
  #endif
  let failure = pthread_create(
    &thread, nil,
    { argument in
      let argument: UnsafeMutableRawPointer? = argument
      if let argument { Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body() }
      return nil
    }, start.toOpaque())
  if failure != 0 { start.release() }
  return failure == 0
}
