import Kernels
import Observation
import Synchronization

/// The memory of one forward pass, as rows of floats.
///
/// Grown to the largest batch seen and then reused: in the steady state nothing is allocated, and no page is mapped anew.
public final class CPUWorkspace: @unchecked Sendable {
  // Sendable: one forward pass at a time has it, from `Pool.take` to `Pool.giveBack`; within the pass, threads write to rows of
  // their own.

  /// Where things lie, in floats from `base`.
  struct Layout {
    let tokens: Int
    /// `[tokens, hidden]`: the residual stream.
    let hidden: Int
    let hiddenCount: Int
    /// `[tokens, 3 · hidden]`
    let queryKeyValue: Int
    /// `[tokens, hidden]`: what attention gathered.
    let context: Int
    /// `[tokens, feedForward]`: shares its place with queries, keys, values and context, which are done with by then.
    let middle: Int
    /// `[tokens, hidden]`: a linear layer's result before it joins the residual stream.
    let projection: Int
    /// The rows of an int8 product's input, quantised.
    let quantized: Int
    /// `scratchCount` floats for each thread.
    let scratch: Int
    let scratchCount: Int
    let total: Int

    init(tokens: Int, hidden: Int, feedForward: Int, quantizedCount: Int, scratchCount: Int, threads: Int) {
      // A cache line each, so that no two parts share one.
      func aligned(_ count: Int) -> Int { (count + 15) / 16 * 16 }
      let rows = aligned(tokens * hidden)
      let shared = max(aligned(tokens * 3 * hidden) + rows, aligned(tokens * feedForward))
      self.tokens = tokens
      self.hidden = 0
      hiddenCount = tokens * hidden
      queryKeyValue = rows
      context = rows + aligned(tokens * 3 * hidden)
      middle = rows
      projection = rows + shared
      quantized = rows + shared + rows
      scratch = quantized + aligned(quantizedCount)
      self.scratchCount = aligned(scratchCount)
      total = scratch + self.scratchCount * threads
    }

    /// What lies where, for people who look.
    var regions: [ObservedRegion] {
      func region(_ name: String, _ first: Int, _ end: Int) -> ObservedRegion {
        let size = MemoryLayout<Float>.size
        return ObservedRegion(name: name, offset: first * size, byteCount: (end - first) * size)
      }
      return [
        region("residual stream", hidden, queryKeyValue), region("queries, keys, values", queryKeyValue, context),
        region("context", context, min(context + hiddenCount, projection)), region("feed-forward middle", middle, projection),
        region("projection", projection, quantized), region("quantised rows", quantized, scratch),
        region("attention scratch", scratch, total),
      ]
    }
  }

  private(set) var layout: Layout
  private(set) var base: UnsafeMutablePointer<Float>
  private var capacity: Int

  init(_ layout: Layout) {
    self.layout = layout
    capacity = layout.total
    base = Self.allocate(capacity)
  }

  deinit { UnsafeMutableRawPointer(base).deallocate() }

  private func adopt(_ layout: Layout) {
    self.layout = layout
    guard layout.total > capacity else { return }
    UnsafeMutableRawPointer(base).deallocate()
    capacity = layout.total
    base = Self.allocate(capacity)
  }

  private static func allocate(_ count: Int) -> UnsafeMutablePointer<Float> {
    AlignedMemory.allocate(byteCount: count * MemoryLayout<Float>.stride)
      .bindMemory(to: Float.self, capacity: max(1, count))
  }

  var hidden: UnsafeMutablePointer<Float> { base + layout.hidden }
  var queryKeyValue: UnsafeMutablePointer<Float> { base + layout.queryKeyValue }
  var context: UnsafeMutablePointer<Float> { base + layout.context }
  var middle: UnsafeMutablePointer<Float> { base + layout.middle }
  var projection: UnsafeMutablePointer<Float> { base + layout.projection }
  var quantized: UnsafeMutablePointer<Float> { base + layout.quantized }
  func scratch(task: Int) -> UnsafeMutablePointer<Float> { base + layout.scratch + task * layout.scratchCount }

  /// The workspaces that no forward pass is using.
  final class Pool: Sendable {
    private let free = Mutex<[CPUWorkspace]>([])

    func take(_ layout: Layout) -> CPUWorkspace {
      guard let workspace = free.withLock({ $0.popLast() }) else { return CPUWorkspace(layout) }
      workspace.adopt(layout)
      return workspace
    }

    func giveBack(_ workspace: CPUWorkspace) {
      free.withLock { $0.append(workspace) }
    }
  }
}
