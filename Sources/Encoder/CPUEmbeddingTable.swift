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
    values.copyFloats(
      row * width..<row * width + count, to: UnsafeMutableBufferPointer(start: destination, count: count))
    guard let quantization else { return }
    let channel = quantization.scales.count == 1 ? 0 : row
    let (scale, zero) = (quantization.scales[channel], Float(quantization.zeroPoints[channel]))
    for i in 0..<count { destination[i] = (destination[i] - zero) * scale }
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
