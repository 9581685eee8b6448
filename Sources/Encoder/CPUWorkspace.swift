import Kernels
import Observation
import Synchronization

/// The memory of one forward pass, as rows of floats: all of them, or a share.
///
/// Grown to the largest batch seen and then reused: in the steady state nothing is allocated, and no page is mapped anew.
public struct CPUWorkspace: Sendable {
  private let memory: Memory
  let rows: Range<Int>

  fileprivate init(_ memory: Memory, rows: Range<Int>) {
    self.memory = memory
    self.rows = rows
  }

  /// Some of the rows, which count from the first of these.
  func share(_ rows: Range<Int>) -> CPUWorkspace {
    CPUWorkspace(memory, rows: self.rows.lowerBound + rows.lowerBound..<self.rows.lowerBound + rows.upperBound)
  }

  /// A share begins with a multiple of so many rows, so that its quantised rows are aligned.
  static let shareUnit = 8

  var layout: Layout { memory.layout }

  /// `[rows, hidden]`: the residual stream.
  var hidden: UnsafeMutablePointer<Float> { row(of: layout.hidden, layout.width) }
  /// Rows `layout.stride` apart: of queries, keys and values, `[rows, 3 · hidden]`; then of what attention's output layer makes, `[rows, hidden]`;
  /// then of the feed-forward network's middle, `[rows, feedForward]`.
  var wide: UnsafeMutablePointer<Float> { row(of: layout.wide, layout.stride) }
  /// `[rows, hidden]`: what attention gathered; then what the feed-forward network makes.
  var narrow: UnsafeMutablePointer<Float> { row(of: layout.narrow, layout.width) }
  /// The rows of an int8 product's input, quantised.
  var quantized: UnsafeMutablePointer<Float> { row(of: layout.quantized, layout.quantizedStride) }
  /// A thread's own, where all rows are at hand.
  func scratch(task: Int) -> UnsafeMutablePointer<Float> { memory.base + layout.scratch + task * layout.scratchCount }

  private func row(of place: Int, _ stride: Int) -> UnsafeMutablePointer<Float> { memory.base + place + rows.lowerBound * stride }

  /// Where things lie, in floats.
  struct Layout {
    let tokens: Int
    /// Of the residual stream.
    let width: Int
    let hidden: Int
    let wide: Int
    /// From one wide row to the next.
    let stride: Int
    let narrow: Int
    let quantized: Int
    let quantizedStride: Int
    /// `scratchCount` floats for each thread.
    let scratch: Int
    let scratchCount: Int
    let total: Int

    init(tokens: Int, hidden width: Int, feedForward: Int, scratchCount: Int, threads: Int) {
      // A cache line each, so that no two parts share one.
      func aligned(_ count: Int) -> Int { (count + 15) / 16 * 16 }
      let size = MemoryLayout<Float>.size
      self.tokens = tokens
      self.width = width
      stride = AlignedMemory.rowStride(byteCount: max(3 * width, feedForward) * size) / size
      quantizedStride = PackedInt8Matrix.quantizedFloatCount(rows: 1, k: max(width, feedForward))
      hidden = 0
      wide = aligned(tokens * width)
      narrow = wide + tokens * stride
      quantized = narrow + aligned(tokens * width)
      scratch = quantized + aligned(tokens * quantizedStride)
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
        region("residual stream", hidden, wide),
        region("queries, keys and values; attention's output; feed-forward middle", wide, narrow),
        region("context; feed-forward output", narrow, quantized), region("quantised rows", quantized, scratch),
        region("attention scratch", scratch, total),
      ]
    }
  }

  fileprivate final class Memory: @unchecked Sendable {
    // Sendable: one forward pass at a time has it, from `Pool.take` to `Pool.giveBack`; within the pass, threads write to rows of
    // their own.
    private(set) var layout: Layout
    private(set) var base: UnsafeMutablePointer<Float>
    private var capacity: Int

    init(_ layout: Layout) {
      self.layout = layout
      capacity = layout.total
      base = Self.allocate(capacity)
    }

    deinit { UnsafeMutableRawPointer(base).deallocate() }

    func adopt(_ layout: Layout) {
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
  }

  /// The memory that no forward pass is using.
  final class Pool: Sendable {
    private let free = Mutex<[Memory]>([])

    func take(_ layout: Layout) -> CPUWorkspace {
      let memory = free.withLock { $0.popLast() }
      memory?.adopt(layout)
      return CPUWorkspace(memory ?? Memory(layout), rows: 0..<layout.tokens)
    }

    func giveBack(_ workspace: CPUWorkspace) {
      free.withLock { $0.append(workspace.memory) }
    }
  }
}
