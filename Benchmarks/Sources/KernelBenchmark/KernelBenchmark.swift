import ArgumentParser
import BenchmarkSupport
import Kernels

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Times matrix products and prints how near they come to what the processor's arithmetic can do.
@main
struct KernelBenchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Times matrix products by shape, beside the processor's arithmetic peak measured in the same moments.",
    discussion: """
      The product is what a linear layer calls: int8 quantises its activations, multiplies and finishes with bias, or bias and GELU. The \
      peak is that of a loop of multiply-adds between registers, with the best instructions that the kernel set has, on as many threads. \
      Both take turns, and the share is the median of their ratios, so that what else the machine does falls on both.
      """)

  @Option(help: ArgumentHelp("Lines of M K N and the epilogue; by default this package's products.txt.", valueName: "file"))
  var products: String?

  @Option(help: "The numbers that are multiplied: int8 or float32.")
  var numbers = Numbers.int8

  @Option(help: "On how many threads.")
  var threads = 1

  @Option(help: "How often product and peak take turns.")
  var rounds = 15

  @Flag(help: "Lets every call find its weights where a model's are found: in memory, because the other layers' were read since.")
  var streamed = false

  @Option(help: ArgumentHelp("Writes the rows as JSON too.", valueName: "file"))
  var json: String?

  func validate() throws {
    if !(1...1024).contains(threads) { throw ValidationError("--threads takes a number from 1 to 1024") }
    if !(1...10_000).contains(rounds) { throw ValidationError("--rounds takes a number from 1 to 10000") }
  }

  func run() throws {
    let kernels = try KernelSet.chosen()
    let peak = Peak(numbers, kernels: kernels.name, threads: threads)
    print("\(numbers) products, kernel set \(kernels.name.rawValue), threads: \(threads); peak by \(peak.name)")
    print("    M    K    N  epilogue   median µs    GOP/s  peak GOP/s   share")
    var rows: [Row] = []
    for shape in try Shape.list(from: products ?? Self.ownProducts) {
      let row = measure(shape, peak: peak, kernels: kernels)
      print(row.line)
      rows.append(row)
    }
    if let json { try JSONEncoder().encode(rows).write(to: URL(filePath: json)) }
  }

  private static let ownProducts = String(#filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }) + "/products.txt"

  private func measure(_ shape: Shape, peak: Peak, kernels: KernelSet) -> Row {
    let copies = streamed ? max(1, 256_000_000 / (shape.k * shape.n)) : 1
    let product = Product(shape, numbers: numbers, copies: copies, kernels: kernels, threads: threads)
    // Calls enough that the clock's own time does not count.
    var calls = 1
    while product.seconds(calls: calls) < 0.002 { calls *= 2 }
    let pairs = (0..<rounds).map { _ in
      (seconds: product.seconds(calls: calls) / Double(calls), peak: peak.operationsPerSecond(for: 0.002))
    }
    let operations = 2 * Double(shape.m) * Double(shape.k) * Double(shape.n)
    let seconds = pairs.map(\.seconds).median
    return Row(
      m: shape.m, k: shape.k, n: shape.n, epilogue: shape.epilogue, threads: threads, microseconds: seconds * 1e6,
      gops: operations / seconds / 1e9, peakGops: pairs.map(\.peak).median / 1e9, share: pairs.map { operations / $0.seconds / $0.peak }.median)
  }
}

struct Shape {
  /// What a layer does with its product.
  enum Epilogue: String, Encodable { case bias, gelu }

  let m, k, n: Int
  let epilogue: Epilogue

  static func list(from path: String) throws -> [Shape] {
    let lines = try String(contentsOf: URL(filePath: path), encoding: .utf8).split(separator: "\n")
    return try lines.filter { !$0.hasPrefix("#") }.map { line in
      let fields = line.split(separator: " ").map(String.init)
      let numbers = fields.prefix(3).compactMap { Int($0) }
      guard numbers.count == 3, numbers.allSatisfy({ (1...65_536).contains($0) }), fields.count == 4,
        let epilogue = Epilogue(rawValue: fields[3])
      else { throw ValidationError("\(path): \(line) is not three sizes M K N and an epilogue, bias or gelu") }
      return Shape(m: numbers[0], k: numbers[1], n: numbers[2], epilogue: epilogue)
    }
  }
}

struct Row: Encodable {
  let m, k, n: Int
  let epilogue: Shape.Epilogue
  let threads: Int
  let microseconds, gops, peakGops, share: Double

  var line: String {
    func columns(_ values: [(Double, width: Int, digits: Int)]) -> String {
      values.map { value, width, digits in
        let text = value.rounded(to: digits)
        return String(repeating: " ", count: max(0, width - text.count)) + text
      }.joined()
    }
    return columns([(Double(m), 5, 0), (Double(k), 5, 0), (Double(n), 5, 0)]) + "      \(epilogue.rawValue)"
      + columns([(microseconds, 12, 1), (gops, 9, 0), (peakGops, 12, 0), (100 * share, 7, 0)]) + " %"
  }
}

extension Numbers: ExpressibleByArgument {}

/// A product with random numbers, as a linear layer calls it.
final class Product {
  private let shape: Shape
  private let kernels: KernelSet
  private let threads: Int
  private let matrices: [Matrix]
  private let input: AlignedBuffer<Float>
  private let bias: AlignedBuffer<Float>
  private let result: UnsafeMutablePointer<Float>
  private let room: UnsafeMutablePointer<Float>
  private var turn = 0

  private enum Matrix {
    case int8(PackedInt8Matrix)
    case float32(FloatMatrix)
  }

  init(_ shape: Shape, numbers: Numbers, copies: Int, kernels: KernelSet, threads: Int) {
    self.shape = shape
    self.kernels = kernels
    self.threads = threads
    var generator = Generator()
    func random(_ count: Int) -> AlignedBuffer<Float> {
      AlignedBuffer(count: count) { for i in 0..<count { $0[i] = .random(in: -1...1, using: &generator) } }
    }
    input = random(shape.m * shape.k)
    bias = random(shape.n)
    switch numbers {
    case .int8:
      let bytes = (0..<shape.k * shape.n).map { _ in UInt8.random(in: 0...255, using: &generator) }
      let columns = PackedInt8Matrix.Columns(count: shape.n, isTransposed: false, isUnsigned: false) { bytes.withUnsafeBytes($0) }
      matrices = (0..<copies).map { _ in
        .int8(
          PackedInt8Matrix(
            k: shape.k, parts: [columns], scales: Array(repeating: 0.01, count: shape.n),
            zeroPoints: Array(repeating: 0, count: shape.n), activation: .dynamic, threads: threads))
      }
    case .float32:
      let columns = random(shape.k * shape.n)
      matrices = (0..<copies).map { _ in .float32(
          FloatMatrix(k: shape.k, parts: [FloatColumns(columns, k: shape.k, count: shape.n)], gemm: .packed, threads: threads)) }
    }
    result = .allocate(capacity: shape.m * shape.n)
    let count = PackedInt8Matrix.quantizedFloatCount(rows: shape.m, k: shape.k)
    room = UnsafeMutableRawPointer.allocate(byteCount: count * MemoryLayout<Float>.size, alignment: 64)
      .bindMemory(to: Float.self, capacity: count)
  }

  deinit {
    result.deallocate()
    room.deallocate()
  }

  func seconds(calls: Int) -> Double {
    let epilogue: KernelSet.Epilogue = shape.epilogue == .gelu ? .biasGELU : .bias
    return ContinuousClock().measure {
      for _ in 0..<calls {
        turn = (turn + 1) % matrices.count
        switch matrices[turn] {
        case .int8(let matrix):
          matrix.multiply(
            rows: shape.m, input.pointer, bias: bias.pointer, epilogue: epilogue, result: result, room: room, kernels: kernels,
            threads: threads)
        case .float32(let matrix):
          matrix.multiply(
            rows: shape.m, input.pointer, bias: bias.pointer, epilogue: epilogue, result: result, kernels: kernels, threads: threads)
        }
      }
    } / .seconds(1)
  }
}

extension Double {
  fileprivate func rounded(to digits: Int) -> String {
    digits == 0 ? "\(Int(self.rounded()))" : "\((self * 10).rounded() / 10)"
  }
}
