import CKernels

/// A float32 matrix `[k, n]` in the panels that `f32_gemm` reads: `panelWidth` columns each, `[k][panelWidth]`, the last one padded with zeros.
public struct PackedFloatMatrix: Sendable {
  static let panelWidth = Int(SQ_F32_PANEL)

  /// Rows: what is summed over.
  public let k: Int
  /// Columns.
  public let n: Int
  let panels: AlignedBuffer<Float>

  /// Packs a `[k, n]` matrix from parts that stand side by side, on at most `threads` threads.
  public init(k: Int, parts: [FloatColumns], threads: Int) {
    let n = parts.reduce(0) { $0 + $1.count }
    self.k = k
    self.n = n
    let width = Self.panelWidth
    panels = AlignedBuffer(count: (n + width - 1) / width * width * k) { destination in
      parts.forEachPanel(width: width, threads: threads) { panel, part, columns, place in
        part.copy(columns, to: destination + panel * k * width + place, stride: width)
      } end: { panel, used in
        if used == width { return }
        for row in 0..<k { (destination + (panel * k + row) * width + used).update(repeating: 0, count: width - used) }
      }
    }
  }
}

/// Some of a matrix's columns, `[k, count]`, as whoever holds them writes them.
public struct FloatColumns {
  public let count: Int
  let copy: (_ columns: Range<Int>, _ destination: UnsafeMutablePointer<Float>, _ stride: Int) -> Void

  /// - Parameter copy: writes some of the columns, all rows of them, with `stride` floats from row to row. Called from several threads.
  public init(count: Int, copy: @escaping (_ columns: Range<Int>, _ destination: UnsafeMutablePointer<Float>, _ stride: Int) -> Void) {
    self.count = count
    self.copy = copy
  }

  func copy(_ columns: Range<Int>, to destination: UnsafeMutablePointer<Float>, stride: Int) { copy(columns, destination, stride) }

  /// The columns of a row-major `[k, count]` matrix.
  public init(_ matrix: AlignedBuffer<Float>, k: Int, count: Int) {
    precondition(matrix.count == k * count)
    self.init(count: count) { columns, destination, stride in
      for row in 0..<k {
        (destination + row * stride).update(from: matrix.pointer + row * count + columns.lowerBound, count: columns.count)
      }
    }
  }
}

/// Columns that stand side by side in one matrix.
protocol ColumnPart {
  var count: Int { get }
}

extension FloatColumns: ColumnPart {}
extension PackedInt8Matrix.Columns: ColumnPart {}

extension Array where Element: ColumnPart {
  /// Cuts the columns into panels, for several threads to fill: `body` is called with each part of a panel, its columns within the
  /// part and its place in the panel, `end` with the number of columns that the panel has in all.
  func forEachPanel(
    width: Int, threads: Int, _ body: (_ panel: Int, Element, _ columns: Range<Int>, _ place: Int) -> Void,
    end: (_ panel: Int, _ used: Int) -> Void
  ) {
    let n = reduce(0) { $0 + $1.count }
    ThreadPool.shared.run(tasks: (n + width - 1) / width, threads: threads) { panel in
      let wanted = panel * width..<Swift.min(n, (panel + 1) * width)
      var first = 0
      for part in self {
        let columns = wanted.clamped(to: first..<first + part.count)
        if !columns.isEmpty {
          body(panel, part, columns.lowerBound - first..<columns.upperBound - first, columns.lowerBound - wanted.lowerBound)
        }
        first += part.count
      }
      end(panel, wanted.count)
    }
  }
}
