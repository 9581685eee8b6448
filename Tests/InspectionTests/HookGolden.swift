import Encoder
import Foundation

/// `Goldens/hooks.json` and `hooks.f32`: see `make_hooks.py`.
struct HookGolden {
  struct Tensor: Decodable {
    var kind, name: String
    var sequence: Int
    var shape: [Int]

    var count: Int { shape.reduce(1, *) }
  }

  private struct Description: Decodable {
    var vocabulary, hidden, heads, feed_forward, layers, positions: Int
    var sequences: [[Int32]]
    var tensors: [Tensor]
  }

  let configuration: DistilBERT.Configuration
  let sequences: [[Int32]]
  let tensors: [(tensor: Tensor, values: [Float])]

  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens")

  init() throws {
    let description = try JSONDecoder().decode(
      Description.self, from: Data(contentsOf: Self.folder.appending(path: "hooks.json")))
    configuration = DistilBERT.Configuration(
      layers: description.layers, hidden: description.hidden, heads: description.heads, feedForward: description.feed_forward,
      vocabulary: description.vocabulary, positions: description.positions)
    sequences = description.sequences
    let data = try Data(contentsOf: Self.folder.appending(path: "hooks.f32"))
    var place = 0
    tensors = description.tensors.map { tensor in
      defer { place += tensor.count }
      return (
        tensor,
        data.withUnsafeBytes { bytes in
          (place..<place + tensor.count).map { Float(bitPattern: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)) }
        }
      )
    }
  }

  func tensors(_ kind: String) -> [(tensor: Tensor, values: [Float])] { tensors.filter { $0.tensor.kind == kind } }

  /// The model whose values these are.
  func model() throws -> DistilBERT {
    let weights = Dictionary(uniqueKeysWithValues: tensors("weight").map { ($0.tensor.name, $0) })
    func parameter(_ name: String) throws -> Parameter {
      guard let found = weights[name] else { throw Missing(name: name) }
      return Parameter(found.values, shape: found.tensor.shape)
    }
    func linear(_ name: String) throws -> DistilBERT.Linear {
      DistilBERT.Linear(
        name: name, weights: DistilBERT.Weights(values: try parameter("\(name).weight"), layout: .outputsByInputs),
        bias: try parameter("\(name).bias").floats())
    }
    func norm(_ name: String) throws -> DistilBERT.LayerNorm {
      DistilBERT.LayerNorm(
        scale: try parameter("\(name).weight").floats(), bias: try parameter("\(name).bias").floats(), epsilon: 1e-12)
    }
    let embeddings = "distilbert.embeddings"
    return DistilBERT(
      configuration: configuration,
      embeddings: DistilBERT.Embeddings(
        words: DistilBERT.EmbeddingTable(values: try parameter("\(embeddings).word_embeddings.weight")),
        positions: DistilBERT.EmbeddingTable(values: try parameter("\(embeddings).position_embeddings.weight")),
        norm: try norm("\(embeddings).LayerNorm")),
      layers: try (0..<configuration.layers).map { index in
        let layer = "distilbert.transformer.layer.\(index)"
        return DistilBERT.Layer(
          query: try linear("\(layer).attention.q_lin"), key: try linear("\(layer).attention.k_lin"),
          value: try linear("\(layer).attention.v_lin"), attentionOutput: try linear("\(layer).attention.out_lin"),
          attentionNorm: try norm("\(layer).sa_layer_norm"), expand: try linear("\(layer).ffn.lin1"),
          contract: try linear("\(layer).ffn.lin2"), outputNorm: try norm("\(layer).output_layer_norm"))
      },
      head: try linear("qa_outputs"))
  }

  struct Missing: Error {
    let name: String
  }
}

/// The largest difference of two numbers at the same place; infinite where the counts differ or one is not a number.
func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
  guard a.count == b.count, !a.isEmpty else { return .infinity }
  return zip(a, b).reduce(0) { max($0, ($1.0 - $1.1).isNaN ? .infinity : abs($1.0 - $1.1)) }
}
