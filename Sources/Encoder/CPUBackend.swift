import Kernels
import Observation
import Synchronization

/// The processor's own backend: any kernel set, one thread pool. With the NEON sets of ARM it goes by their name.
public struct CPUBackend: Backend {
  public var name: BackendName { kernels.name.isNEON ? .neon : .cpu }
  public static let availability = BackendAvailability.available
  public static let unsupported: [String] = []

  public let kernels: KernelSet
  public private(set) var threads: Int
  /// More than this many compute no faster, and each takes memory of its own.
  public static let mostThreads = 1024
  /// In which numbers linear layers compute.
  public let precision: Precision
  /// Who multiplies float32 matrices.
  public let gemm: FloatGEMM
  /// In which numbers attention computes; `nil`: fixed point after int8 layers, whose results have no more than eight bits' accuracy, float32
  /// after others.
  public let attention: KernelSet.AttentionArithmetic?
  private let observer: LinearObserver?
  private let workspaces = CPUWorkspace.Pool()

  /// What sees the inputs of linear layers before they are multiplied; see `CPUBackend.init`.
  ///
  /// It is handed the names of the layers that share the input, and some of its rows, `[rows, width]`, times the layers' input factors,
  /// valid during the call. One
  /// forward pass calls it from one thread, in the order of the layers.
  public typealias LinearObserver = @Sendable (_ layers: [String], _ rows: UnsafeBufferPointer<Float>, _ width: Int) -> Void

  /// - Parameter observer: for calibration; without one nothing is spent on it.
  /// - Throws: `KernelSetError` where `SPANQA_KERNELS` asks for what is not there.
  public init(
    threads: Int? = nil, kernels: KernelSet? = nil, precision: Precision = .automatic, gemm: FloatGEMM = .packed,
    attention: KernelSet.AttentionArithmetic? = nil, observer: LinearObserver? = nil
  ) throws {
    self.kernels = try kernels ?? .chosen()
    self.threads = min(max(1, threads ?? ProcessorCount.usable), Self.mostThreads)
    self.precision = precision
    self.gemm = gemm
    self.attention = attention
    self.observer = observer
  }

  /// The backend as it runs `model`: where layers are int8, an automatic choice takes what has the same bits everywhere.
  public init(
    for model: DistilBERT, threads: Int?, precision: Precision, gemm: GEMMChoice, attention: KernelSet.AttentionArithmetic? = nil
  ) throws {
    let kernels = try KernelSet.chosen()
    let layers = model.layers.flatMap { [$0.query, $0.key, $0.value, $0.attentionOutput, $0.expand, $0.contract] }
    let isInt8 = precision == .int8 || precision == .automatic && layers.contains { $0.weights.quantization != nil }
    try self.init(
      threads: threads, kernels: kernels, precision: precision, gemm: gemm.resolved(for: kernels, sameBits: isInt8), attention: attention)
  }

  // MARK: Preparing

  public struct Embeddings: Sendable {
    let words: CPUEmbeddingTable
    /// `[positions, hidden]`, and where a model has token types, the table of each type after the other with the type's row added.
    let positions: [Float]
    let hidden: Int
    let positionCount: Int
  }

  public struct Norm: Sendable {
    let scale, shift: [Float]
    let epsilon: Float
  }

  public func prepare(
    _ embeddings: DistilBERT.Embeddings, configuration: DistilBERT.Configuration
  ) -> Embeddings {
    // Types and positions are few: their sums make one table.
    let positions = CPUEmbeddingTable(embeddings.positions).allRows()
    var sums = positions
    if let types = embeddings.tokenTypes {
      let types = CPUEmbeddingTable(types).allRows()
      sums = (0..<configuration.tokenTypes).flatMap { type in
        positions.indices.map { positions[$0] + types[type * configuration.hidden + $0 % configuration.hidden] }
      }
    }
    return Embeddings(
      words: CPUEmbeddingTable(precision == .int8 ? embeddings.words.quantized() : embeddings.words), positions: sums, hidden: configuration.hidden,
      positionCount: configuration.positions)
  }

  public func prepareHead(_ layer: DistilBERT.Linear) -> CPULinear {
    CPULinear([layer], precision: layer.weights.quantization == nil ? .float32 : precision, gemm: gemm, threads: threads)
  }

  public func prepare(_ layers: [DistilBERT.Linear]) -> CPULinear {
    CPULinear(layers, precision: precision, gemm: gemm, threads: threads)
  }

  public func prepare(_ norm: DistilBERT.LayerNorm) -> Norm {
    Norm(scale: norm.scale, shift: norm.bias, epsilon: norm.epsilon)
  }

  public func roundedPass(of model: DistilBERT, _ roundings: DistilBERT.Roundings) -> ForwardPass {
    let pass = RoundedPass(model, roundings: roundings, backend: self)
    return ForwardPass(int8Operands: pass.int8Operands) { (batch, observer, ablation) throws(BackendError) in
      pass.forward(batch, observer: observer, ablation: ablation)
    }
  }

  public var usesRoundings: Bool { precision != .float32 }

  // MARK: Parts

  /// A part of whole sequences on one thread needs no other thread until it is through the model, and its rows stay in that thread's
  /// caches. OpenBLAS packs the weights at every call: it takes a batch as one. So does an observer of layers' inputs.
  public func forEachPart(
    of batch: PackedBatch, through layer: CPULinear, configuration: DistilBERT.Configuration,
    _ body: (Self, PackedBatch.Part) throws(BackendError) -> Void
  ) throws(BackendError) {
    if gemm == .openBLAS || observer != nil { return try body(self, batch.whole) }
    if threads == 1 {
      for sequences in batch.parts(leastRows: layer.leastPartRows) { try body(self, PackedBatch.Part(batch, sequences: sequences)) }
      return
    }
    let division = BatchDivision(batch, leastRows: layer.leastPartRows, threads: threads, configuration: configuration)
    for sequences in division.shared { try body(self, PackedBatch.Part(batch, sequences: sequences)) }
    try runAlone(division.independent.count) { (alone, index) throws(BackendError) in
      try body(alone, PackedBatch.Part(batch, sequences: division.independent[index]))
    }
  }

  /// As with whole sequences: a thread's rows stay in its caches, and it waits for no other until attention needs other rows.
  public func forEachShare(
    of workspace: CPUWorkspace, through layer: CPULinear, _ body: (Self, CPUWorkspace) throws(BackendError) -> Void
  ) throws(BackendError) {
    let (count, unit) = (workspace.rows.count, CPUWorkspace.shareUnit)
    let rows = (count + threads * unit - 1) / (threads * unit) * unit
    if threads == 1 || gemm == .openBLAS || observer != nil || rows < layer.leastRows { return try body(self, workspace) }
    try runAlone((count + rows - 1) / rows) { (alone, index) throws(BackendError) in
      try body(alone, workspace.share(index * rows..<min(count, (index + 1) * rows)))
    }
  }

  /// Calls `body` with 0 ..< `tasks` from several threads at once, and with a backend that computes on the thread that calls.
  private func runAlone(_ tasks: Int, _ body: (Self, Int) throws(BackendError) -> Void) throws(BackendError) {
    var alone = self
    alone.threads = 1
    let failure = Mutex<BackendError?>(nil)
    ThreadPool.shared.run(tasks: tasks, threads: threads) { index in
      do throws(BackendError) { try body(alone, index) } catch { failure.withLock { $0 = error } }
    }
    if let failure = failure.withLock({ $0 }) { throw failure }
  }

  // MARK: Memory

  public func makeWorkspace(
    for part: PackedBatch.Part, configuration: DistilBERT.Configuration, outputs: Int
  ) -> CPUWorkspace {
    let longest = (0..<part.sequenceCount).lazy.map { part.rows(ofSequence: $0).count }.max() ?? 0
    return workspaces.take(
      CPUWorkspace.Layout(
        tokens: part.tokenCount, hidden: configuration.hidden, feedForward: configuration.feedForward,
        scratchCount: KernelSet.attentionScratchCount(count: longest, headSize: configuration.headSize),
        threads: threads))
  }

  public func recycle(_ workspace: CPUWorkspace) { workspaces.giveBack(workspace) }

  // MARK: Running

  /// So many rows before it is needed, an embedding is fetched.
  private static let rowsAhead = 4

  public func embed(_ part: PackedBatch.Part, _ embeddings: Embeddings, _ norm: Norm, in workspace: CPUWorkspace) {
    let (size, batch, rows) = (embeddings.hidden, part.batch, part.rowsOfBatch)
    forEachRow(of: rows.count, cost: size) { index in
      let (row, target) = (rows.lowerBound + index, workspace.hidden + index * size)
      if row + Self.rowsAhead < rows.upperBound { embeddings.words.fetchRow(Int(batch.tokenIDs[row + Self.rowsAhead])) }
      embeddings.words.copyRow(Int(batch.tokenIDs[row]), to: target, count: size)
      let position = Int(batch.tokenTypes[row]) * embeddings.positionCount + Int(batch.positions[row])
      embeddings.positions.withUnsafeBufferPointer { positions in
        guard let positions = positions.baseAddress else { return }
        addAndNormalize(target, positions + position * size, bias: nil, norm, count: size)
      }
    }
  }

  public func projectQueryKeyValue(_ layer: CPULinear, in workspace: CPUWorkspace) {
    apply(
      layer, to: workspace.hidden, rows: workspace.rows.count, epilogue: .bias, result: workspace.wide,
      resultStride: workspace.layout.stride, room: workspace.quantized)
  }

  public func attend(
    _ part: PackedBatch.Part, after projection: CPULinear, configuration: DistilBERT.Configuration, in workspace: CPUWorkspace
  ) {
    let (hidden, heads, headSize) = (configuration.hidden, configuration.heads, configuration.headSize)
    let stride = workspace.layout.stride
    let scale = 1 / Float(headSize).squareRoot()
    let arithmetic = attentionArithmetic(after: projection)
    let tasks = part.sequenceCount * heads
    // Each thread has its own scratch, so a thread is a task here and takes heads one after the other.
    ThreadPool.shared.shareOut(tasks, threads: part.tokenCount < 16 ? 1 : threads) { thread, task in
      let (sequence, head) = task.quotientAndRemainder(dividingBy: heads)
      let rows = part.rows(ofSequence: sequence)
      guard !rows.isEmpty else { return }
      let q = workspace.wide + rows.lowerBound * stride + head * headSize
      kernels.attention(
        q: q, k: q + hidden, v: q + 2 * hidden, stride: stride, count: rows.count,
        attended: part.attendedCount(ofSequence: sequence), headSize: headSize, scale: scale, in: arithmetic,
        out: workspace.narrow + rows.lowerBound * hidden + head * headSize, outStride: hidden,
        scratch: workspace.scratch(task: thread))
    }
  }

  public func addAttention(_ output: CPULinear, _ norm: Norm, in workspace: CPUWorkspace) {
    apply(
      output, to: workspace.narrow, rows: workspace.rows.count, epilogue: .bias, result: workspace.wide,
      resultStride: workspace.layout.stride, room: workspace.quantized)
    add(workspace.wide, stride: workspace.layout.stride, norm, in: workspace)
  }

  public func addFeedForward(
    _ expand: CPULinear, _ activation: DistilBERT.Activation, _ contract: CPULinear, _ norm: Norm,
    in workspace: CPUWorkspace
  ) {
    let epilogue: KernelSet.Epilogue = activation == .gelu ? .biasGELU : .biasGELUTanh
    // A block of rows at a time bounds the middle; a small one would read the weights from memory again and again.
    let block = max(384, 1_048_576 / expand.outputs)
    for first in stride(from: 0, to: workspace.rows.count, by: block) {
      let rows = min(block, workspace.rows.count - first)
      apply(
        expand, to: workspace.hidden + first * expand.inputs, rows: rows, epilogue: epilogue, result: workspace.wide,
        resultStride: workspace.layout.stride, room: workspace.quantized)
      apply(
        contract, to: workspace.wide, stride: workspace.layout.stride, rows: rows, epilogue: .bias,
        result: workspace.narrow + first * contract.outputs, room: workspace.quantized)
    }
    add(workspace.narrow, stride: norm.scale.count, norm, in: workspace)
  }

  public func head(_ layer: CPULinear, in workspace: CPUWorkspace, to result: UnsafeMutablePointer<Float>) {
    apply(
      layer, to: workspace.hidden, rows: workspace.rows.count, epilogue: .bias,
      result: result + workspace.rows.lowerBound * layer.outputs, room: workspace.quantized)
  }

  public func hidden(in workspace: CPUWorkspace, to result: UnsafeMutablePointer<Float>) {
    let width = workspace.layout.width
    (result + workspace.rows.lowerBound * width).update(from: workspace.hidden, count: workspace.rows.count * width)
  }

  // MARK: Observing

  public func queryKeyValue(in workspace: CPUWorkspace) -> [Float] {
    (0..<workspace.rows.count).flatMap { row in
      UnsafeBufferPointer(start: workspace.wide + row * workspace.layout.stride, count: 3 * workspace.layout.width)
    }
  }

  public func context(in workspace: CPUWorkspace) -> [Float] {
    Array(UnsafeBufferPointer(start: workspace.narrow, count: workspace.rows.count * workspace.layout.width))
  }

  public func clearContext(columns: Range<Int>, in workspace: CPUWorkspace) {
    for row in 0..<workspace.rows.count {
      (workspace.narrow + row * workspace.layout.width + columns.lowerBound).update(repeating: 0, count: columns.count)
    }
  }

  public func apply(_ layer: CPULinear, _ activation: DistilBERT.Activation?, to input: [Float]) -> [Float] {
    let rows = input.count / layer.inputs
    let epilogue: KernelSet.Epilogue =
      switch activation {
      case nil: .bias
      case .gelu: .biasGELU
      case .geluTanh: .biasGELUTanh
      }
    // A product's own memory, so that a pass that is being watched keeps what it has.
    let aligned = AlignedBuffer<Float>(count: input.count) { destination in
      input.withUnsafeBufferPointer { if let base = $0.baseAddress { destination.update(from: base, count: input.count) } }
    }
    let room = AlignedMemory.allocate(
      byteCount: PackedInt8Matrix.quantizedFloatCount(rows: rows, k: layer.inputs) * MemoryLayout<Float>.stride)
    defer { room.deallocate() }
    return [Float](unsafeUninitializedCapacity: rows * layer.outputs) { buffer, count in
      if let result = buffer.baseAddress {
        apply(layer, to: aligned.pointer, rows: rows, epilogue: epilogue, result: result, room: room.assumingMemoryBound(to: Float.self))
      }
      count = rows * layer.outputs
    }
  }

  public func kernel(of layer: CPULinear) -> String {
    switch layer.matrix {
    case .int8: described("u8s8f32_gemm")
    case .float32: gemm == .openBLAS ? "OpenBLAS sgemm" : described("f32_gemm")
    }
  }

  public func attentionKernel(after projection: CPULinear) -> String {
    switch attentionArithmetic(after: projection) {
    case .float32: described("f32_attention")
    case .fixedPoint: described("s16_attention")
    }
  }

  public var normKernel: String { described("f32_residual_norm_row") }

  /// A kernel and the set that it comes from.
  private func described(_ kernel: String) -> String {
    let origin = kernels.origins.first { $0.kernel == kernel }
    return origin.map { "\(kernel) (\($0.set.rawValue))" } ?? kernel
  }

  public func memoryMap(of workspace: CPUWorkspace) -> [ObservedRegion] { workspace.layout.regions }

  // MARK: Parts

  private func attentionArithmetic(after projection: CPULinear) -> KernelSet.AttentionArithmetic {
    if let attention { return attention }
    return switch projection.matrix {
    case .float32: .float32
    case .int8: .fixedPoint
    }
  }

  /// hidden = norm(hidden + x)
  private func add(_ x: UnsafePointer<Float>, stride: Int, _ norm: Norm, in workspace: CPUWorkspace) {
    let size = norm.scale.count
    forEachRow(of: workspace.rows.count, cost: size) { row in
      addAndNormalize(workspace.hidden + row * size, x + row * stride, bias: nil, norm, count: size)
    }
  }

  func addAndNormalize(
    _ residual: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, bias: UnsafePointer<Float>?, _ norm: Norm, count: Int
  ) {
    norm.scale.withUnsafeBufferPointer { scale in
      norm.shift.withUnsafeBufferPointer { shift in
        guard let scale = scale.baseAddress, let shift = shift.baseAddress else { return }
        kernels.addAndNormalize(
          residual: residual, x: x, bias: bias, scale: scale, shift: shift, epsilon: norm.epsilon, count: count)
      }
    }
  }

  /// result = epilogue(input · W + b); `room` is for the input's rows, quantised.
  private func apply(
    _ layer: CPULinear, to input: UnsafePointer<Float>, stride: Int? = nil, rows: Int, epilogue: KernelSet.Epilogue,
    result: UnsafeMutablePointer<Float>, resultStride: Int? = nil, room: UnsafeMutablePointer<Float>
  ) {
    if let observer { show(layer, input, stride: stride ?? layer.inputs, rows: rows, to: observer) }
    layer.bias.withUnsafeBufferPointer { bias in
      guard let bias = bias.baseAddress else { return }
      switch layer.matrix {
      case .float32(let matrix):
        matrix.multiply(
          rows: rows, input, stride: stride, bias: bias, epilogue: epilogue, result: result, resultStride: resultStride,
          kernels: kernels, threads: threads)
      case .int8(let matrix):
        matrix.multiply(
          rows: rows, input, stride: stride, bias: bias, epilogue: epilogue, result: result, resultStride: resultStride, room: room,
          kernels: kernels, threads: threads)
      }
    }
  }

  /// Shows an observer what a layer's weights meet.
  private func show(_ layer: CPULinear, _ input: UnsafePointer<Float>, stride: Int, rows: Int, to observer: LinearObserver) {
    var values: [Float] = []
    values.reserveCapacity(rows * layer.inputs)
    for row in 0..<rows {
      let inputs = UnsafeBufferPointer(start: input + row * stride, count: layer.inputs)
      if let factors = layer.inputFactors { values += zip(inputs, factors).lazy.map { $0 * $1 } } else { values += inputs }
    }
    values.withUnsafeBufferPointer { observer(layer.names, $0, layer.inputs) }
  }

  /// Calls `body` with each row, in blocks that are worth a thread.
  func forEachRow(of rows: Int, cost: Int, _ body: (Int) -> Void) {
    // Some thousands of elements take a microsecond; below that, another thread costs more than it brings.
    let block = max(1, 16_384 / max(1, cost))
    let blocks = (rows + block - 1) / block
    ThreadPool.shared.run(tasks: blocks, threads: threads) { index in
      for row in index * block..<min(rows, (index + 1) * block) { body(row) }
    }
  }
}
