import ArgumentParser
import BenchmarkSupport
import Encoder
import Lowering
import ONNX
import Observation
import SpanQADefaultModel

/// Times a forward pass as it would be if nothing could watch it, the encoder's pass that nobody watches, and one that an observer watches
/// that asks for no values; the first one twice, to see what is noise.
@main
struct ObserverBenchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Times what observing a pass costs, and what it costs that one could.",
    discussion: """
      The ways take turns, in an order that changes. The first is the backend's operations called one after the other. Printed are the \
      median over the rounds of each way's time and of its ratio to the first way's time in the same round.
      """)

  @Option(help: "How many tokens a pass has.")
  var tokens = 128

  @Option(help: "How often the ways take turns.")
  var rounds = 400

  @Option(help: "How many threads compute.")
  var threads = 1

  func validate() throws {
    if !(1...512).contains(tokens) { throw ValidationError("--tokens takes a number from 1 to 512") }
    if !(1...100_000).contains(rounds) { throw ValidationError("--rounds takes a number from 1 to 100000") }
  }

  func run() throws {
    let model = try LoweredModel(DefaultModel.onnx()).model
    let backend = try CPUBackend(threads: threads)
    let bare = BarePass(model, backend: backend)
    let encoder = try Encoder(model, backend: backend)
    let batch = PackedBatch([(0..<tokens).map { Int32(1000 + $0 * 37 % 20_000) }])
    let observer = Observer()
    guard bare.forward(batch) == (try encoder.forward(batch).values) else { throw ValidationError("the passes differ") }
    let ways: [(name: String, run: () throws -> Void)] = [
      ("nothing could watch", { _ = bare.forward(batch) }),
      ("the same again", { _ = bare.forward(batch) }),
      ("nobody watches", { _ = try encoder.forward(batch) }),
      ("an observer watches", { _ = try encoder.forward(batch, observer: observer) }),
    ]
    let clock = ContinuousClock()
    var times = ways.map { _ in [Double]() }
    for round in -10..<rounds {
      for turn in ways.indices {
        let way = (turn + max(0, round)) % ways.count
        let start = clock.now
        try ways[way].run()
        if round >= 0 { times[way].append((clock.now - start) / .microseconds(1)) }
      }
    }
    print("\(tokens) tokens, threads: \(threads), \(rounds) rounds, kernel set \(backend.kernels.name.rawValue)")
    for (way, own) in zip(ways, times) {
      let ratio = zip(own, times[0]).map { $0 / $1 }.median
      print("\(way.name): median \((own.median * 10).rounded() / 10) µs, ratio \((ratio * 10_000).rounded() / 10_000)")
    }
  }
}

/// The encoder's pass with no place for an observer: what `PreparedModel.forward` would be without one.
private struct BarePass {
  private let backend: CPUBackend
  private let configuration: DistilBERT.Configuration
  private let embeddings: CPUBackend.Embeddings
  private let embeddingNorm: CPUBackend.Norm
  private let layers: [Layer]
  private let head: CPULinear?

  private struct Layer {
    let queryKeyValue, attentionOutput, expand, contract: CPULinear
    let attentionNorm, outputNorm: CPUBackend.Norm
  }

  init(_ model: DistilBERT, backend: CPUBackend) {
    self.backend = backend
    configuration = model.configuration
    embeddings = backend.prepare(model.embeddings, configuration: model.configuration)
    embeddingNorm = backend.prepare(model.embeddings.norm)
    layers = model.layers.map { layer in
      Layer(
        queryKeyValue: backend.prepare([layer.query, layer.key, layer.value]), attentionOutput: backend.prepare([layer.attentionOutput]),
        expand: backend.prepare([layer.expand]), contract: backend.prepare([layer.contract]),
        attentionNorm: backend.prepare(layer.attentionNorm), outputNorm: backend.prepare(layer.outputNorm))
    }
    head = model.head.map(backend.prepareHead)
  }

  func forward(_ batch: PackedBatch) -> [Float] {
    let (part, outputs) = (batch.whole, head?.outputs ?? configuration.hidden)
    let workspace = backend.makeWorkspace(for: part, configuration: configuration, outputs: outputs)
    defer { backend.recycle(workspace) }
    backend.embed(part, embeddings, embeddingNorm, in: workspace)
    for layer in layers {
      backend.projectQueryKeyValue(layer.queryKeyValue, in: workspace)
      backend.attend(part, after: layer.queryKeyValue, configuration: configuration, in: workspace)
      backend.addAttention(layer.attentionOutput, layer.attentionNorm, in: workspace)
      backend.addFeedForward(layer.expand, configuration.activation, layer.contract, layer.outputNorm, in: workspace)
    }
    return [Float](unsafeUninitializedCapacity: part.tokenCount * outputs) { buffer, count in
      count = buffer.count
      guard let result = buffer.baseAddress else { return }
      if let head { backend.head(head, in: workspace, to: result) } else { backend.hidden(in: workspace, to: result) }
    }
  }
}
