import Kernels

/// An embedding table in the element type of its file: only the rows that are looked up are converted.
///
/// The table stays where the model's loader put it, often in a mapped file, of which only the touched pages are read.
struct CPUEmbeddingTable: Sendable {
  let values: Parameter
  private let quantization: DistilBERT.Quantization?
  private let width: Int

  init(_ table: DistilBERT.EmbeddingTable) {
    values = table.values
    quantization = table.quantization
    width = table.values.shape[1]
  }

  func copyRow(_ row: Int, to destination: UnsafeMutablePointer<Float>, count: Int) {
    let (elements, target) = (row * width..<row * width + count, UnsafeMutableBufferPointer(start: destination, count: count))
    guard let quantization else { return values.copyFloats(elements, to: target) }
    let channel = quantization.scales.count == 1 ? 0 : row
    values.copyFloats(elements, zero: Float(quantization.zeroPoints[channel]), scale: quantization.scales[channel], to: target)
  }

  /// Begins to bring a row into the cache: rows are far from each other, and reading one takes longer than converting it.
  func fetchRow(_ row: Int) {
    let size = width * values.elementType.byteCount
    values.bytes.withUnsafeBytes { if let base = $0.baseAddress { KernelSet.fetch(base + row * size, byteCount: size) } }
  }

  /// `[rows, width]` as float32.
  func allRows() -> [Float] {
    [Float](unsafeUninitializedCapacity: values.count) { buffer, count in
      if let base = buffer.baseAddress {
        for row in 0..<values.shape[0] { copyRow(row, to: base + row * width, count: width) }
      }
      count = values.count
    }
  }
}
