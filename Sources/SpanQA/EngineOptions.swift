import Encoder
import Kernels

/// How a model is run. Unlike `Options`, these are settled when it is loaded.
public struct EngineOptions: Sendable {
  /// What computes.
  public var backend: BackendChoice

  /// How many threads compute; `nil`: as many as this process may use (its processor affinity and its container's limit,
  /// or `SPANQA_THREADS`).
  public var threads: Int?

  /// How many tokens one pass of the encoder takes at most, where windows of several requests or of one long passage are
  /// computed together. Bounds the memory that computing needs.
  public var tokenBudget: Int

  /// In which numbers linear layers compute.
  public var precision: Precision

  /// Who multiplies float32 matrices.
  public var gemm: GEMMChoice

  /// In which numbers attention computes; `nil`: in fixed point where its queries come from an int8 layer, which is faster and differs by less than
  /// int8 does, else in float32.
  public var attention: KernelSet.AttentionArithmetic?

  /// Whether a graph that the fused encoder does not understand is an error. Otherwise it runs node by node, slowly.
  public var requiresFused: Bool

  /// Whether windows are padded to one length. Costs time and changes no answer.
  public var padding: Padding

  public init(
    backend: BackendChoice = .automatic, threads: Int? = nil, precision: Precision = .automatic,
    gemm: GEMMChoice = .automatic, attention: KernelSet.AttentionArithmetic? = nil, tokenBudget: Int = 3072,
    padding: Padding = .none, requiresFused: Bool = false
  ) {
    self.backend = backend
    self.requiresFused = requiresFused
    self.threads = threads
    self.precision = precision
    self.gemm = gemm
    self.attention = attention
    self.tokenBudget = tokenBudget
    self.padding = padding
  }

  /// `model`, prepared as these options say.
  public func encoder(for model: DistilBERT) throws -> Encoder {
    try Encoder(model, backend: backend, threads: threads, precision: precision, gemm: gemm, attention: attention)
  }
}
