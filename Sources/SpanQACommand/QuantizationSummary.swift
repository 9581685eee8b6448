import Encoder
import Quantization
import SQuAD

/// What `spanqa quantize` reports.
struct QuantizationSummary {
  private let quantized: QuantizedModel
  private let bytesBefore: Int
  private let bytesAfter: Int
  private let metadata: [String: String]
  /// Scores on the questions of `--evaluate`.
  var before, after: EvaluationReport.Scores?

  init(_ quantized: QuantizedModel, bytesBefore: Int, bytesAfter: Int, metadata: [String: String]) {
    self.quantized = quantized
    self.bytesBefore = bytesBefore
    self.bytesAfter = bytesAfter
    self.metadata = metadata
  }

  private var share: Double { 100 * Double(bytesAfter) / Double(max(1, bytesBefore)) }

  func lines(output: String) -> [String] {
    var table = TextTable([
      ("layer", .left), ("weights dB", .right), ("activations dB", .right), ("scale", .right), ("zero", .right),
    ])
    for layer in quantized.layers { table.add(row(layer)) }
    if let decibels = quantized.embeddingDecibels {
      table.add(["embeddings.words", decibels.tenths, "", "", ""])
    }
    var worst = TextTable([
      ("most is lost in", .left), ("weights dB", .right), ("activations dB", .right), ("scale", .right), ("zero", .right),
    ])
    for layer in quantized.worstLayers() { worst.add(row(layer)) }
    var lines = table.lines + [""] + worst.lines + [""]
    lines.append("\(output): \(bytesAfter) bytes, \(share.tenths) % of the source's \(bytesBefore) bytes of weights")
    if let before, let after {
      lines.append("before: EM \(before.exact.hundredths), F1 \(before.f1.hundredths) on \(before.total) questions")
      lines.append("after:  EM \(after.exact.hundredths), F1 \(after.f1.hundredths)")
    }
    return lines
  }

  private func row(_ layer: QuantizedModel.LayerReport) -> [String] {
    guard let weights = layer.weightDecibels else { return [layer.name, "as it was", "", "", ""] }
    var cells = [layer.name, weights.tenths, layer.activationDecibels?.tenths ?? "–"]
    if case .fixed(let scale, let zeroPoint, _) = layer.activation {
      cells += ["\(scale)", "\(zeroPoint)"]
    } else {
      cells += ["dynamic", ""]
    }
    return cells
  }

  var json: JSON {
    var members: [(String, JSON)] = [
      ("method", .object(metadata.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
      ("bytes_before", .integer(bytesBefore)), ("bytes_after", .integer(bytesAfter)),
      ("embeddings_db", quantized.embeddingDecibels.map(JSON.number) ?? .null),
      ("layers", .array(quantized.layers.map(json))),
      ("worst_layers", .array(quantized.worstLayers().map { .string($0.name) })),
    ]
    if let before, let after {
      members.append(("before", json(before)))
      members.append(("after", json(after)))
    }
    return .object(members)
  }

  private func json(_ layer: QuantizedModel.LayerReport) -> JSON {
    var members: [(String, JSON)] = [
      ("name", .string(layer.name)), ("inputs", .integer(layer.inputs)), ("outputs", .integer(layer.outputs)),
      ("weights_db", layer.weightDecibels.map(JSON.number) ?? .null),
      ("activations_db", layer.activationDecibels.map(JSON.number) ?? .null),
    ]
    if case .fixed(let scale, let zeroPoint, _) = layer.activation {
      members.append(("scale", .float(scale)))
      members.append(("zero_point", .integer(Int(zeroPoint))))
    }
    return .object(members)
  }

  private func json(_ scores: EvaluationReport.Scores) -> JSON {
    .object([("exact", .number(scores.exact)), ("f1", .number(scores.f1)), ("total", .integer(scores.total))])
  }
}

extension Double {
  /// With one digit after the point.
  fileprivate var tenths: String { isFinite ? "\((self * 10).rounded() / 10)" : "exact" }

  /// With two at most.
  fileprivate var hundredths: String { "\((self * 100).rounded() / 100)" }
}
