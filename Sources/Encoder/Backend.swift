import Observation

/// The seam between the executor and a device: preparing a model's weights, and the coarse operations of a forward pass, on memory
/// that the backend owns.
///
/// The executor (`Encoder`) calls the operations in order; each reads and writes places of a workspace. One backend serves many
/// threads at once: a workspace belongs to one forward pass, prepared weights to all.
public protocol Backend: Sendable {
  associatedtype Linear: Sendable
  associatedtype Norm: Sendable
  associatedtype Embeddings: Sendable
  associatedtype Workspace: Sendable

  /// What the backend is called on the command line and in reports.
  var name: BackendName { get }
  /// Whether it can run on this machine, in this build, or why not.
  static var availability: BackendAvailability { get }
  /// What it does not run, in words; empty where it runs all that the executor asks for.
  static var unsupported: [String] { get }

  // Preparing: once a model.

  func prepare(_ embeddings: DistilBERT.Embeddings, configuration: DistilBERT.Configuration) throws -> Embeddings
  /// Packs linear layers that share their input side by side, as one product.
  func prepare(_ layers: [DistilBERT.Linear]) throws -> Linear
  /// The task's last layer, which stays in float32 where the file has it so.
  func prepareHead(_ layer: DistilBERT.Linear) throws -> Linear
  func prepare(_ norm: DistilBERT.LayerNorm) throws -> Norm
  /// The pass of a model that rounds values between its operations; the operations below are not called for it.
  func roundedPass(of model: DistilBERT, _ roundings: DistilBERT.Roundings) throws -> ForwardPass
  /// Whether it computes as a quantised file says; otherwise in float32 throughout, without roundings.
  var usesRoundings: Bool { get }

  // Running: once a batch, or once each of its parts.

  /// Calls `body` with parts that make up the batch, and with the backend that computes each of them: from several threads at once where the
  /// parts are independent. Used for a pass that nobody watches; the result does not depend on the parts. `layer` is the widest of the linear
  /// layers.
  func forEachPart(
    of batch: PackedBatch, through layer: Linear, configuration: DistilBERT.Configuration,
    _ body: (Self, PackedBatch.Part) throws(BackendError) -> Void
  ) throws(BackendError)
  /// Memory for some sequences: a reused one where there is one.
  func makeWorkspace(
    for part: PackedBatch.Part, configuration: DistilBERT.Configuration, outputs: Int
  ) throws(BackendError) -> Workspace
  /// Gives the memory back for reuse.
  func recycle(_ workspace: Workspace)

  /// Calls `body` with workspaces of some rows each, which are all rows of `workspace` together, and with the backend that computes them:
  /// from several threads at once where each has enough to do. For operations that need no row but their own, of whose linear layers
  /// `layer` is the widest, in a pass that nobody watches.
  func forEachShare(
    of workspace: Workspace, through layer: Linear, _ body: (Self, Workspace) throws(BackendError) -> Void
  ) throws(BackendError)

  /// hidden = norm(words[id] + positions[p] + types[t])
  func embed(_ part: PackedBatch.Part, _ embeddings: Embeddings, _ norm: Norm, in workspace: Workspace) throws(BackendError)
  /// queryKeyValue = hidden · W + b
  func projectQueryKeyValue(_ layer: Linear, in workspace: Workspace) throws(BackendError)
  /// context = attention over each sequence's own rows of queryKeyValue (Vaswani et al. 2017, scaled dot products), in numbers that suit those
  /// of the layer that made them
  func attend(
    _ part: PackedBatch.Part, after projection: Linear, configuration: DistilBERT.Configuration, in workspace: Workspace
  ) throws(BackendError)
  /// hidden = norm(hidden + context · W + b)
  func addAttention(_ output: Linear, _ norm: Norm, in workspace: Workspace) throws(BackendError)
  /// hidden = norm(hidden + activation(hidden · W₁ + b₁) · W₂ + b₂)
  func addFeedForward(
    _ expand: Linear, _ activation: DistilBERT.Activation, _ contract: Linear, _ norm: Norm, in workspace: Workspace
  ) throws(BackendError)
  /// result `[tokens, outputs]` = hidden · W + b; a share of a workspace's rows writes rows of its own.
  func head(_ layer: Linear, in workspace: Workspace, to result: UnsafeMutablePointer<Float>) throws(BackendError)
  /// result `[tokens, hidden]` = hidden
  func hidden(in workspace: Workspace, to result: UnsafeMutablePointer<Float>) throws(BackendError)

  // Observing: never in a pass that nobody watches.

  /// `[tokens, 3 · hidden]`, after `projectQueryKeyValue` and until `addAttention`.
  func queryKeyValue(in workspace: Workspace) throws(BackendError) -> [Float]
  /// `[tokens, hidden]`, after `attend` and until `addFeedForward`.
  func context(in workspace: Workspace) throws(BackendError) -> [Float]
  /// context = 0 in some columns: a head that is left out.
  func clearContext(columns: Range<Int>, in workspace: Workspace) throws(BackendError)
  /// activation(input · W + b) of rows that lie end to end, with the bits that a pass gives.
  func apply(_ layer: Linear, _ activation: DistilBERT.Activation?, to input: [Float]) throws(BackendError) -> [Float]
  /// What each layer of a product multiplies in int8, in the layers' order; empty where the product is of other numbers.
  func int8Operands(of layer: Linear) -> [Int8Operands]
  /// What multiplies by a layer's weights, what attends and what normalises, in words.
  func kernel(of layer: Linear) -> String
  func attentionKernel(after projection: Linear) -> String
  var normKernel: String { get }
  /// What lies where in a workspace.
  func memoryMap(of workspace: Workspace) -> [ObservedRegion]
}

/// A whole forward pass: the head's result for every token, or the last hidden state.
public struct ForwardPass: Sendable {
  public typealias Run = @Sendable (PackedBatch, Observer?, Ablation) throws(BackendError) -> [Float]

  let run: Run
  /// By the names of their results: which operands the linear layers in int8 can show.
  let int8Parts: [String: [Int8Operands.Part]]

  /// - Parameter int8Operands: of the linear layers that compute in int8, by the names of their results.
  public init(int8Operands: [String: Int8Operands] = [:], run: @escaping Run) {
    int8Parts = int8Operands.mapValues(\.parts)
    self.run = run
  }
}

/// For backends that run fused operations only.
extension Backend {
  public func roundedPass(of model: DistilBERT, _ roundings: DistilBERT.Roundings) throws -> ForwardPass {
    throw BackendError.unavailable(
      name, reason: "the model quantises values between its operations, which the cpu backend alone computes")
  }

  public var usesRoundings: Bool { true }
}

/// For backends that compute a batch as one.
extension Backend {
  public func forEachPart(
    of batch: PackedBatch, through layer: Linear, configuration: DistilBERT.Configuration,
    _ body: (Self, PackedBatch.Part) throws(BackendError) -> Void
  ) throws(BackendError) {
    try body(self, batch.whole)
  }

  public func forEachShare(
    of workspace: Workspace, through layer: Linear, _ body: (Self, Workspace) throws(BackendError) -> Void
  ) throws(BackendError) {
    try body(self, workspace)
  }
}

/// For backends that show nothing.
extension Backend {
  private var unobservable: BackendError {
    .unavailable(name, reason: "it shows no inner values; choose --backend cpu to see them")
  }

  public func queryKeyValue(in workspace: Workspace) throws(BackendError) -> [Float] { throw unobservable }
  public func context(in workspace: Workspace) throws(BackendError) -> [Float] { throw unobservable }
  public func clearContext(columns: Range<Int>, in workspace: Workspace) throws(BackendError) { throw unobservable }
  public func apply(
    _ layer: Linear, _ activation: DistilBERT.Activation?, to input: [Float]
  ) throws(BackendError) -> [Float] { throw unobservable }
  public func int8Operands(of layer: Linear) -> [Int8Operands] { [] }
  public func kernel(of layer: Linear) -> String { name.rawValue }
  public func attentionKernel(after projection: Linear) -> String { name.rawValue }
  public var normKernel: String { name.rawValue }
  public func memoryMap(of workspace: Workspace) -> [ObservedRegion] { [] }
}
