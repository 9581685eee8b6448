/// Who shall multiply float32 matrices.
public enum GEMMChoice: String, Sendable, CaseIterable {
  /// As `measured` says.
  case automatic = "auto"
  case openBLAS = "openblas"
  case packed

  /// Who is faster where `f32_gemm` comes from a kernel set, as measured.
  public struct Line: Sendable {
    public let kernels: KernelSet.Name
    public let faster: FloatGEMM
    /// OpenBLAS's time, on its best core for the set, divided by that of `f32_gemm`, for products of as many rows as `rows` says: the median
    /// of DistilBERT-base's layers on one thread of an AMD EPYC (Zen 5).
    public let ratios: [Double]
  }

  /// The rows of the left factor for which `measured` has ratios.
  public static let rows = [1, 16, 64, 384]

  /// OpenBLAS packs the weights anew at every call, which costs less and less by the row. `portable` has the C library's fused
  /// multiply-add only. Sets that are not here multiply by themselves: `reference` is the definition, and NEON's have been measured under
  /// an emulator alone.
  public static let measured = [
    Line(kernels: .portable, faster: .openBLAS, ratios: [0.24, 0.05, 0.04, 0.03]),
    Line(kernels: .avx2, faster: .packed, ratios: [2.65, 1.33, 1.14, 1.02]),
    Line(kernels: .avx512, faster: .packed, ratios: [3.29, 1.90, 1.26, 1.12]),
  ]

  /// - Parameter sameBits: whether the result must not depend on the kernel set. Then there is no choice: OpenBLAS has bits of its own.
  public func resolved(for kernels: KernelSet, sameBits: Bool) -> FloatGEMM {
    switch self {
    case .openBLAS: return .openBLAS
    case .packed: return .packed
    case .automatic:
      let origin = kernels.origins.first { $0.kernel == "f32_gemm" }?.set
      return sameBits ? .packed : Self.measured.first { $0.kernels == origin }?.faster ?? .packed
    }
  }
}
