import Inspection
import Kernels

/// The numbers that a product multiplies.
public enum Numbers: String, CaseIterable, Sendable {
  case int8, float32
}

/// What the threads do at most.
public typealias Peak = ArithmeticPeak

extension ArithmeticPeak {
  public init(_ numbers: Numbers, kernels: KernelSet.Name, threads: Int) {
    self.init(isInt8: numbers == .int8, kernels: kernels, threads: threads)
  }
}

extension [Double] {
  /// The middle one; there must be one.
  public var median: Double { sorted()[count / 2] }
}
