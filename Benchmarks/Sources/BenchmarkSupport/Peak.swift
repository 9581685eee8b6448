import CPeak
import Kernels

/// The numbers that a product multiplies.
public enum Numbers: String, CaseIterable, Sendable {
  case int8, float32
}

/// What the threads do at most.
public struct Peak {
  public let name: String
  private let loop: @Sendable (Int) -> Double
  private let threads: Int

  public init(_ numbers: Numbers, kernels: KernelSet.Name, threads: Int) {
    self.threads = threads
    switch (numbers, kernels) {
    case (.int8, .amx): (name, loop) = ("AMX", peak_int8_amx)
    case (.int8, .avx512vnni): (name, loop) = ("AVX-512 VNNI", peak_int8_avx512vnni)
    case (.float32, .amx), (.float32, .avx512), (.float32, .avx512vnni): (name, loop) = ("AVX-512", peak_f32_avx512)
    default: (name, loop) = ("AVX2 FMA in float32", peak_f32_avx2)
    }
  }

  public func operationsPerSecond(for duration: Double) -> Double {
    let rounds = 200
    let clock = ContinuousClock()
    let (loop, start) = (loop, clock.now)
    let done = (0..<threads).map { _ in Counter() }
    ThreadPool.shared.run(tasks: threads, threads: threads) { thread in
      while clock.now - start < .seconds(duration) { done[thread].operations += loop(rounds) }
    }
    return done.reduce(0) { $0 + $1.operations } / ((clock.now - start) / .seconds(1))
  }

  /// One a thread, each on lines of its own.
  private final class Counter {
    var operations = 0.0
  }
}

extension [Double] {
  /// The middle one; there must be one.
  public var median: Double { sorted()[count / 2] }
}
