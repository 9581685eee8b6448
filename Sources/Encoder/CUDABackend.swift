/// The place of a backend for NVIDIA's devices: it conforms, and says of everything why it cannot do it.
///
/// `docs/backends.md` says how each operation would map.
public struct CUDABackend: Backend {
  public init() {}

  public var name: BackendName { .cuda }

  public static var availability: BackendAvailability { .unavailable(reason: reason(CUDADriver.current)) }
  public static let unsupported = ["every operation: this build has no kernels for it"]

  static func reason(_ driver: Result<CUDADriver, CUDADriver.Absence>) -> String {
    let found =
      switch driver {
      case .success(let driver): "\(driver)"
      case .failure(let absence): "\(absence)"
      }
    return "this build has no CUDA kernels (docs/backends.md says what they would be); they would need cuBLASLt and a driver; \(found)"
  }

  private var error: BackendError { .unavailable(.cuda, reason: Self.reason(CUDADriver.current)) }

  // What a device would keep of a model, and of a batch: nothing yet.

  public struct Linear: Sendable {}
  public struct Norm: Sendable {}
  public struct Embeddings: Sendable {}
  public struct Workspace: Sendable {}

  public func prepare(
    _ embeddings: DistilBERT.Embeddings, configuration: DistilBERT.Configuration
  ) throws(BackendError) -> Embeddings { throw error }
  public func prepare(_ layers: [DistilBERT.Linear]) throws(BackendError) -> Linear { throw error }
  public func prepareHead(_ layer: DistilBERT.Linear) throws(BackendError) -> Linear { throw error }
  public func prepare(_ norm: DistilBERT.LayerNorm) throws(BackendError) -> Norm { throw error }

  public func makeWorkspace(
    for part: PackedBatch.Part, configuration: DistilBERT.Configuration, outputs: Int
  ) throws(BackendError) -> Workspace { throw error }
  public func recycle(_ workspace: Workspace) {}

  public func embed(
    _ part: PackedBatch.Part, _ embeddings: Embeddings, _ norm: Norm, in workspace: Workspace
  ) throws(BackendError) { throw error }
  public func projectQueryKeyValue(_ layer: Linear, in workspace: Workspace) throws(BackendError) { throw error }
  public func attend(
    _ part: PackedBatch.Part, after projection: Linear, configuration: DistilBERT.Configuration, in workspace: Workspace
  ) throws(BackendError) { throw error }
  public func addAttention(
    _ output: Linear, _ norm: Norm, in workspace: Workspace
  ) throws(BackendError) { throw error }
  public func addFeedForward(
    _ expand: Linear, _ activation: DistilBERT.Activation, _ contract: Linear, _ norm: Norm, in workspace: Workspace
  ) throws(BackendError) { throw error }
  public func head(_ layer: Linear, in workspace: Workspace, to result: UnsafeMutablePointer<Float>) throws(BackendError) { throw error }
  public func hidden(in workspace: Workspace, to result: UnsafeMutablePointer<Float>) throws(BackendError) { throw error }
}
