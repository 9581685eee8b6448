import Kernels

extension Gradients {
  /// √(Σ g²) over everything that is trained, as `torch.nn.utils.clip_grad_norm_` has it. The order of the sum is fixed.
  public func norm(threads: Int = ProcessorCount.usable) -> Double {
    let block = 65_536
    var parts: [(start: UnsafePointer<Float>, count: Int)] = []
    for (entry, isTrained) in zip(table.entries, isTrained) where isTrained && entry.offset != table.words {
      for first in stride(from: 0, to: entry.count, by: block) {
        parts.append((UnsafePointer(densePointer(entry) + first), min(block, entry.count - first)))
      }
    }
    var sums = [Double](repeating: 0, count: parts.count)
    sums.withUnsafeMutableBufferPointer { sums in
      ThreadPool.shared.run(tasks: parts.count, threads: threads) { part in
        sums[part] = Self.squares(parts[part].start, count: parts[part].count)
      }
    }
    var total = sums.reduce(0, +)
    words.withValues { values in
      if let start = values.baseAddress { total += Self.squares(start, count: values.count) }
    }
    return total.squareRoot()
  }

  /// The factor that brings a gradient of this norm down to `largest`; 1 where it is below.
  public static func clippingFactor(norm: Double, largest: Double?) -> Float {
    guard let largest else { return 1 }
    return Float(min(1, largest / (norm + 1e-6)))
  }

  private static func squares(_ x: UnsafePointer<Float>, count: Int) -> Double {
    // Some hundreds of terms in float32 are as exact as is needed; their sums are added in float64.
    var total = 0.0
    var first = 0
    while first < count {
      let x = x + first
      total += Double(sum(count: min(512, count - first), lanes: { x.lanes($0) * x.lanes($0) }, one: { x[$0] * x[$0] }))
      first += 512
    }
    return total
  }
}
