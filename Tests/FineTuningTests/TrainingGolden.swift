import Encoder
import Foundation

@testable import FineTuning

/// `Goldens/training.json` and `training.f32`: see `make_training.py`.
struct TrainingGolden {
  struct Description: Decodable {
    struct Configuration: Decodable { var vocabulary, hidden, heads, feedForward, layers, positions: Int }
    struct Window: Decodable {
      var ids: [Int32]
      var start, end: Int
    }
    struct Tensor: Decodable {
      var kind, name: String
      var count: Int
    }
    var configuration: Configuration
    var batches: [[Window]]
    var loss: Double
    var losses, norms: [Double]
    var rate, decay, clip: Double
    var warmup: Int
    var tensors: [Tensor]
  }

  let description: Description
  /// By kind, then by name.
  private let tensors: [String: [String: [Float]]]

  init() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens")
    description = try JSONDecoder().decode(Description.self, from: Data(contentsOf: folder.appending(path: "training.json")))
    let data = try Data(contentsOf: folder.appending(path: "training.f32"))
    var tensors: [String: [String: [Float]]] = [:]
    var place = 0
    for tensor in description.tensors {
      tensors[tensor.kind, default: [:]][tensor.name] = (0..<tensor.count).map { index in
        Float(bitPattern: data.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: (place + index) * 4, as: UInt32.self) })
      }
      place += tensor.count
    }
    self.tensors = tensors
  }

  func tensor(_ kind: String, _ name: String) -> [Float] { tensors[kind]?[name] ?? [] }

  var configuration: DistilBERT.Configuration {
    let c = description.configuration
    return DistilBERT.Configuration(
      layers: c.layers, hidden: c.hidden, heads: c.heads, feedForward: c.feedForward, vocabulary: c.vocabulary,
      positions: c.positions)
  }

  func parameters() -> Parameters {
    let parameters = Parameters(table: ParameterTable(configuration), epsilon: 1e-12)
    for entry in parameters.table.entries {
      for (i, value) in tensor("weight", entry.name).enumerated() { parameters.values.start[entry.offset + i] = value }
    }
    return parameters
  }

  func batch(_ index: Int) -> (batch: TrainingBatch, counts: SpanLoss.Counts) {
    var (batch, counts) = (TrainingBatch(), SpanLoss.Counts())
    for window in description.batches[index] {
      let target = TrainingBatch.Target(start: window.start, end: window.end)
      batch.append(window.ids, target: target)
      counts.add(target, length: window.ids.count)
    }
    return (batch, counts)
  }
}

/// ‖a − b‖ / ‖b‖
func relativeError(_ a: [Float], _ b: [Float]) -> Double {
  precondition(a.count == b.count && !a.isEmpty)
  let difference = zip(a, b).reduce(0.0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }
  let size = b.reduce(0.0) { $0 + Double($1) * Double($1) }
  return (difference / size).squareRoot()
}
