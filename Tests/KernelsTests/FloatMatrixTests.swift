import SeededRandom
import Testing

@testable import Kernels

struct FloatMatrixTests {
  /// Both ways to multiply, against sums in double precision, within the bound that k and the unit roundoff give.
  @Test(arguments: FloatGEMM.allCases, [1, 2, 4])
  func agreesWithDoublePrecision(_ gemm: FloatGEMM, _ threads: Int) throws {
    var random = SplitMix64(seed: 7)
    var compared = 0
    for (rows, k, n) in [(1, 1, 1), (3, 17, 5), (7, 64, 130), (50, 100, 384), (200, 300, 70)] {
      let a = random.floats(rows * k, in: -1...1)
      let b = random.floats(k * n, in: -1...1)
      let bias = random.floats(n, in: -1...1)
      let matrix = FloatMatrix(k: k, parts: parts(of: b, k: k, n: n), gemm: gemm, threads: 2)
      var result = [Float](repeating: 0, count: rows * n)
      try result.withUnsafeMutableBufferPointer {
        matrix.multiply(
          rows: rows, a, bias: bias, epilogue: .bias, result: $0.baseAddress!, kernels: try .chosen(), threads: threads)
      }
      for row in 0..<rows {
        for column in 0..<n {
          var (sum, size) = (Double(bias[column]), abs(Double(bias[column])))
          for depth in 0..<k {
            let product = Double(a[row * k + depth]) * Double(b[depth * n + column])
            sum += product
            size += abs(product)
          }
          let bound = Double(k + 2) * 0x1p-24 * size
          compared += 1
          if abs(Double(result[row * n + column]) - sum) > bound {
            Issue.record("[\(rows), \(k)] · [\(k), \(n)]: element (\(row), \(column)) is off by more than \(bound)")
            return
          }
        }
      }
    }
    #expect(compared > 0)
  }

  /// The same bits on any number of threads.
  @Test func threadsDoNotMatter() throws {
    var random = SplitMix64(seed: 8)
    let (rows, k, n) = (70, 96, 400)
    let a = random.floats(rows * k, in: -1...1)
    let b = random.floats(k * n, in: -1...1)
    let bias = random.floats(n, in: -1...1)
    let matrix = FloatMatrix(k: k, parts: parts(of: b, k: k, n: n), gemm: .packed, threads: 2)
    func run(_ threads: Int) throws -> [Float] {
      var result = [Float](repeating: 0, count: rows * n)
      try result.withUnsafeMutableBufferPointer {
        matrix.multiply(
          rows: rows, a, bias: bias, epilogue: .biasGELU, result: $0.baseAddress!, kernels: try .chosen(),
          threads: threads)
      }
      return result
    }
    let alone = try run(1)
    for threads in [2, 3, 4, 8] { expectSameBits(try run(threads), alone, "\(threads) threads") }
  }

  /// Debian's OpenBLAS 0.3.21 runs SSE3 kernels on processors that it does not know.
  @Test func openBLASRunsKernelsAsWideAsTheProcessor() {
    print("OpenBLAS core: \(OpenBLAS.coreName); suitable here: \(OpenBLAS.suitableCores)")
    if let choice = Environment[.openBLASCore] {
      // The user's choice stands.
      #expect(OpenBLAS.coreName.lowercased() == choice.lowercased())
    } else {
      #expect(OpenBLAS.isSuitable(OpenBLAS.coreName))
    }
    #expect(!OpenBLAS.isSuitable("Prescott") || OpenBLAS.suitableCores.isEmpty)
  }
}
