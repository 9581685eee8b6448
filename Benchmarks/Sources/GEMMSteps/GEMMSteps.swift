import ArgumentParser
import BenchmarkSupport
import CGEMMSteps
import Kernels

/// Times the steps of docs/gemm-steps.md, from three loops to the kernel that ships.
@main
struct GEMMSteps: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "GEMMSteps",
    abstract: "Times a matrix product in steps, from three loops to the kernel that ships, beside the processor's arithmetic peak.",
    discussion: """
      Every step takes turns with a loop of multiply-adds between registers; its share is the median of their ratios. All results are \
      compared with the first step's: those of bytes exactly, those of floats within what rounding explains.
      """)

  @Option(help: "How often step and peak take turns.")
  var rounds = 9

  @Flag(help: "Print a Markdown table.")
  var markdown = false

  func validate() throws {
    if !(1...10_000).contains(rounds) { throw ValidationError("--rounds takes a number from 1 to 10000") }
  }

  func run() throws {
    let kernels = try KernelSet.chosen()
    let problem = Problem(kernels: kernels)
    let threads = ProcessorCount.usable
    print("c [\(Problem.m), \(Problem.n)] = a [\(Problem.m), \(Problem.k)] · b, kernel set \(kernels.name.rawValue)")
    if markdown { print("\n| step | | numbers | threads | GOP/s | peak | share |\n|---|---|---|---|---|---|---|") }
    var expected: [Numbers: [Double]] = [:]
    for (index, step) in problem.steps(threads: threads).enumerated() {
      let peak = Peak(step.numbers, kernels: kernels.name, threads: step.threads)
      guard !step.isWide || Processor.current.features.contains(.avx512vnni) || Processor.current.features.contains(.neon) else {
        print("\(index + 1)  \(step.title): needs AVX-512 with VNNI")
        continue
      }
      let outcome = measure(step, peak: peak)
      let result = problem.result(of: step.numbers)
      try check(result, against: expected[step.numbers, default: result], step)
      expected[step.numbers] = expected[step.numbers] ?? result
      print(line(index + 1, step, outcome))
    }
  }

  private typealias Outcome = (gops: Double, peak: Double, share: Double)

  private func measure(_ step: Step, peak: Peak) -> Outcome {
    let clock = ContinuousClock()
    step.run()
    let operations = 2 * Double(Problem.m * Problem.k * Problem.n)
    let pairs = (0..<rounds).map { _ in
      // Calls enough that the clock's own time does not count.
      var calls = 0
      let start = clock.now
      repeat {
        step.run()
        calls += 1
      } while clock.now - start < .milliseconds(3)
      return (speed: Double(calls) * operations / ((clock.now - start) / .seconds(1)), peak: peak.operationsPerSecond(for: 0.003))
    }
    return (pairs.map(\.speed).median / 1e9, pairs.map(\.peak).median / 1e9, pairs.map { $0.speed / $0.peak }.median)
  }

  /// Sums of `k` products of numbers up to 1 in another order differ by roundings; bytes' do not.
  private func check(_ result: [Double], against expected: [Double], _ step: Step) throws {
    let bound = step.numbers == .int8 ? 0 : Double(Problem.k) * 0x1p-20
    let difference = zip(result, expected).reduce(0) { max($0, abs($1.0 - $1.1)) }
    if !(difference <= bound) { throw WrongResult(step: step.title, difference: difference) }
  }

  private func line(_ number: Int, _ step: Step, _ outcome: Outcome) -> String {
    let gops = outcome.gops < 10 ? "\((outcome.gops * 10).rounded() / 10)" : "\(Int(outcome.gops.rounded()))"
    let (peak, share) = ("\(Int(outcome.peak.rounded()))", "\((outcome.share * 1000).rounded() / 10) %")
    let columns = ["\(number)", step.title, step.numbers.rawValue, "\(step.threads)", gops, peak, share]
    return markdown ? "| " + columns.joined(separator: " | ") + " |" : columns.joined(separator: "  ")
  }
}

struct WrongResult: Error, CustomStringConvertible {
  let step: String
  let difference: Double

  var description: String { "\(step): differs from the first step by \(difference)" }
}

/// One way to compute the product.
struct Step {
  let title: String
  let numbers: Numbers
  var threads = 1
  /// Whether it is compiled for a processor with registers of 512 bits.
  var isWide = true
  let run: () -> Void
}

/// The matrices: a window of 384 tokens through a layer of DistilBERT-base.
final class Problem {
  static let (m, k, n) = (384, 768, 768)

  private let kernels: KernelSet
  private let a, b, panels: UnsafeMutablePointer<Float>
  private let c: UnsafeMutablePointer<Float>
  private let bytesA: UnsafeMutablePointer<UInt8>
  private let bytesB, bytePanels: UnsafeMutablePointer<Int8>
  private let sums: UnsafeMutablePointer<Int32>
  private let matrix: FloatMatrix
  private let bias: AlignedBuffer<Float>

  init(kernels: KernelSet) {
    self.kernels = kernels
    let (m, k, n) = (Self.m, Self.k, Self.n)
    var generator = Generator()
    func memory<Number>(_ type: Number.Type, _ count: Int) -> UnsafeMutablePointer<Number> {
      AlignedMemory.allocate(byteCount: count * MemoryLayout<Number>.stride).bindMemory(to: type, capacity: count)
    }
    a = memory(Float.self, m * k)
    b = memory(Float.self, k * n)
    c = memory(Float.self, m * n)
    panels = memory(Float.self, k * n)
    bytesA = memory(UInt8.self, m * k)
    bytesB = memory(Int8.self, k * n)
    bytePanels = memory(Int8.self, k * n)
    sums = memory(Int32.self, m * n)
    for i in 0..<m * k {
      a[i] = .random(in: -1...1, using: &generator)
      bytesA[i] = .random(in: 0...255, using: &generator)
    }
    for i in 0..<k * n {
      b[i] = .random(in: -1...1, using: &generator)
      bytesB[i] = .random(in: -127...127, using: &generator)
    }
    step_pack(b, panels, k, n)
    step_bytes_pack(bytesB, bytePanels, k, n)
    let columns = AlignedBuffer<Float>(count: k * n) { [b] in $0.update(from: b, count: k * n) }
    matrix = FloatMatrix(k: k, parts: [FloatColumns(columns, k: k, count: n)], gemm: .packed, threads: 1)
    bias = AlignedBuffer(count: n) { $0.update(repeating: 0, count: n) }
  }

  deinit {
    for memory: UnsafeMutableRawPointer in [.init(a), .init(b), .init(c), .init(panels), .init(bytesA), .init(bytesB), .init(bytePanels), .init(sums)] {
      memory.deallocate()
    }
  }

  func result(of numbers: Numbers) -> [Double] {
    (0..<Self.m * Self.n).map { numbers == .float32 ? Double(c[$0]) : Double(sums[$0]) }
  }

  func steps(threads: Int) -> [Step] {
    let (m, k, n) = (Self.m, Self.k, Self.n)
    typealias Product = (UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, Int, Int, Int) -> Void
    func floats(_ title: String, isWide: Bool = true, packed: Bool = false, _ product: @escaping Product) -> Step {
      Step(title: title, numbers: .float32, isWide: isWide) { [self] in product(a, packed ? panels : b, c, m, k, n) }
    }
    func shipped(_ title: String, threads: Int) -> Step {
      Step(title: title, numbers: .float32, threads: threads, isWide: false) { [self] in
        matrix.multiply(rows: m, a, bias: bias.pointer, epilogue: .bias, result: c, kernels: kernels, threads: threads)
      }
    }
    return [
      floats("three loops", isWide: false, step_triple_loop),
      floats("rows of b", isWide: false, step_rows_of_b),
      floats("wide vectors, fused multiply-add", step_wide_vectors),
      floats("sums in registers", step_sums_in_registers),
      floats("a tile of 8 × 48", step_tile),
      floats("b in panels", packed: true, step_panels),
      shipped("the shipped kernel", threads: 1),
      shipped("all threads", threads: threads),
      Step(title: "bytes, rows of b", numbers: .int8, isWide: false) { [self] in step_bytes(bytesA, bytesB, sums, m, k, n) },
      Step(title: "bytes in panels, four products at once", numbers: .int8) { [self] in
        step_bytes_panels(bytesA, bytePanels, sums, m, k, n)
      },
    ]
  }
}
