import CPeak
import Encoder
import Kernels

/// What the processor's arithmetic can do at most: loops of nothing but multiply-adds between registers, on the same threads and with the
/// instructions of the kernel set. Zero where there is no such loop (`CPeak`).
public struct ArithmeticPeak: Sendable {
  /// The instructions, for example `AVX-512 VNNI`.
  public let name: String
  private let loop: @Sendable (Int) -> Double
  private let threads: Int

  /// - Parameter isInt8: whether int8 numbers are multiplied, or float32 ones.
  public init(isInt8: Bool, kernels: KernelSet.Name, threads: Int) {
    self.threads = threads
    switch (isInt8, kernels) {
    case (true, .amx): (name, loop) = ("AMX", peak_int8_amx)
    case (true, .avx512vnni): (name, loop) = ("AVX-512 VNNI", peak_int8_avx512vnni)
    case (true, .avxvnni): (name, loop) = ("AVX-VNNI", peak_int8_avxvnni)
    case (false, .amx), (false, .avx512), (false, .avx512vnni): (name, loop) = ("AVX-512", peak_f32_avx512)
    case (_, .avx2), (false, .avxvnni), (true, .avx512): (name, loop) = ("AVX2 FMA in float32", peak_f32_avx2)
    default: (name, loop) = ("not measured for these instructions", { _ in 0 })
    }
  }

  /// Multiplications and additions in a second, measured for so many seconds.
  public func operationsPerSecond(for duration: Double) -> Double {
    let rounds = 200
    let clock = ContinuousClock()
    let (loop, start) = (loop, clock.now)
    let done = (0..<threads).map { _ in Counter() }
    ThreadPool.shared.run(tasks: threads, threads: threads) { thread in
      // A loop that does nothing counts nothing.
      repeat { done[thread].operations += loop(rounds) } while done[thread].operations > 0 && clock.now - start < .seconds(duration)
    }
    return done.reduce(0) { $0 + $1.operations } / ((clock.now - start) / .seconds(1))
  }

  /// One a thread, each on lines of its own.
  private final class Counter {
    var operations = 0.0
  }
}
