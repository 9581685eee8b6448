import Synchronization
import Testing

@testable import Kernels

struct ThreadPoolTests {
  @Test func everyTaskRunsOnce() {
    for threads in [1, 2, 3, 8] {
      for tasks in [0, 1, 2, 7, 1000] {
        let counts = Mutex([Int](repeating: 0, count: tasks))
        ThreadPool.shared.run(tasks: tasks, threads: threads) { task in counts.withLock { $0[task] += 1 } }
        #expect(counts.withLock { $0.allSatisfy { $0 == 1 } })
      }
    }
  }

  @Test func manyShortJobs() {
    let total = Atomic<Int>(0)
    for _ in 0..<20_000 {
      ThreadPool.shared.run(tasks: 4, threads: 4) { total.add($0, ordering: .relaxed) }
    }
    #expect(total.load(ordering: .relaxed) == 20_000 * 6)
  }

  @Test func jobsWithinJobsAndBesideJobs() async {
    final class Counter: Sendable { let value = Atomic<Int>(0) }
    let total = Counter()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<50 {
            ThreadPool.shared.run(tasks: 3, threads: 2) { _ in
              ThreadPool.shared.run(tasks: 5, threads: 2) { _ in total.value.add(1, ordering: .relaxed) }
            }
          }
        }
      }
    }
    #expect(total.value.load(ordering: .relaxed) == 8 * 50 * 15)
  }

  @Test func eachThreadHasItsOwnNumber() {
    let inUse = Mutex<Set<Int>>([])
    let tasks = Atomic<Int>(0)
    ThreadPool.shared.shareOut(500, threads: 4) { thread, _ in
      #expect(inUse.withLock { $0.insert(thread).inserted })
      tasks.add(1, ordering: .relaxed)
      #expect(inUse.withLock { $0.remove(thread) } == thread)
    }
    #expect(tasks.load(ordering: .relaxed) == 500)
  }

  @Test func containersLimitProcessors() {
    #expect(ProcessorCount.limit(cpuMax: "max 100000\n") == nil)
    #expect(ProcessorCount.limit(cpuMax: "150000 100000\n") == 2)
    #expect(ProcessorCount.limit(cpuMax: "50000 100000") == 1)
    #expect(ProcessorCount.limit(cpuMax: "") == nil)
    #expect(ProcessorCount.usable >= 1)
  }
}
