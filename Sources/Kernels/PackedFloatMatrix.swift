import CKernels

/// A float32 matrix `[k, n]` in the panels that `f32_gemm` reads: 48 columns each, `[k][48]`, the last one padded with zeros.
public struct PackedFloatMatrix: Sendable {
  static let panelWidth = Int(SQ_F32_PANEL)

  /// Rows: what is summed over.
  public let k: Int
  /// Columns.
  public let n: Int
  let panels: AlignedBuffer<Float>

  /// Packs a row-major `[k, n]` matrix.
  public init(_ matrix: UnsafePointer<Float>, k: Int, n: Int) {
    self.k = k
    self.n = n
    let width = Self.panelWidth
    let panelCount = (n + width - 1) / width
    panels = AlignedBuffer(count: panelCount * width * k) { destination in
      for panel in 0..<panelCount {
        let columns = min(width, n - panel * width)
        for row in 0..<k {
          let target = destination + (panel * k + row) * width
          target.update(from: matrix + row * n + panel * width, count: columns)
          (target + columns).update(repeating: 0, count: width - columns)
        }
      }
    }
  }
}
