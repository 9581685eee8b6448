import Observation
import Testing

@testable import FineTuning

/// Against transformers' DistilBertForQuestionAnswering and torch's AdamW.
@Suite struct PyTorchTests {
  /// Parameters whose gradient is zero, so that what is computed for it is rounding. The same amount added to all scores of a query, or
  /// to all logits, is not seen by softmax: the keys' bias does the one, the head's bias and the last LayerNorm's the other.
  static func isWithoutEffect(_ name: String, layers: Int = 2) -> Bool {
    name.hasSuffix("k_lin.bias") || name == "qa_outputs.bias" || name.hasSuffix("layer.\(layers - 1).output_layer_norm.bias")
  }

  @Test func everyGradientIsThatOfPyTorch() throws {
    let golden = try TrainingGolden()
    let parameters = golden.parameters()
    let gradients = Gradients(table: parameters.table)
    let (batch, counts) = golden.batch(0)
    let network = try Network(parameters.table)
    let loss = try network.addGradients(of: batch, counts: counts, parameters: parameters, to: gradients)
    #expect(abs(loss - golden.description.loss) <= 1e-5 * golden.description.loss)

    var compared = 0
    var largest = 0.0
    for entry in parameters.table.entries {
      let ours = try #require(gradients[entry.name])
      if Self.isWithoutEffect(entry.name) {
        #expect(ours.allSatisfy { abs($0) < 1e-6 }, "\(entry.name)")
        continue
      }
      let error = relativeError(ours, golden.tensor("gradient", entry.name))
      #expect(error <= 1e-4, "\(entry.name): \(error)")
      largest = max(largest, error)
      compared += 1
    }
    print("gradients: \(compared) tensors compared with PyTorch, largest relative error \(largest)")
    #expect(compared == 4 + 2 * 16 + 2 - 4)
  }

  @Test func anObserverSeesThePassAndChangesNothing() throws {
    let golden = try TrainingGolden()
    let parameters = golden.parameters()
    let (batch, counts) = golden.batch(0)
    let network = try Network(parameters.table)
    let (plain, watched) = (Gradients(table: parameters.table), Gradients(table: parameters.table))
    let loss = try network.addGradients(of: batch, counts: counts, parameters: parameters, to: plain)
    var operations: [ObservedOperation] = []
    var tensors: [String: ObservedTensor] = [:]
    network.observer = Observer(
      selecting: { _ in true }, tensor: { tensors[$0.name] = $0 }, operation: { operations.append($0) })
    #expect(try network.addGradients(of: batch, counts: counts, parameters: parameters, to: watched) == loss)
    for entry in parameters.table.entries { #expect(watched[entry.name] == plain[entry.name], "\(entry.name)") }
    #expect(
      operations.map(\.name) == [
        "embeddings", "layer.0", "layer.1", "head", "loss", "head.backward", "layer.1.backward", "layer.0.backward", "embeddings.backward",
      ])
    #expect(zip(operations, operations.dropFirst()).allSatisfy { $0.start + $0.duration <= $1.start })
    #expect(
      Set(tensors.keys) == [
        "embeddings", "layer.0.output", "layer.1.output", "logits", "logits.gradient", "layer.1.output.gradient",
        "layer.0.output.gradient", "embeddings.gradient",
      ])
    network.observer = nil
    #expect(tensors["logits"]?.values == (try network.logits(batch, parameters: parameters)))
    // The head's bias has the sum of the logits' gradient for its own.
    let gradient = try #require(tensors["logits.gradient"]?.values)
    let bias = try #require(plain["qa_outputs.bias"])
    for column in 0..<2 {
      let sum = stride(from: column, to: gradient.count, by: 2).reduce(Float(0)) { $0 + gradient[$1] }
      #expect(abs(sum - bias[column]) < 1e-6)
    }
  }

  @Test func twentyStepsOfAdamWAreThoseOfPyTorch() throws {
    let golden = try TrainingGolden()
    let description = golden.description
    let parameters = golden.parameters()
    let gradients = Gradients(table: parameters.table)
    let network = try Network(parameters.table)
    let optimizer = AdamW(parameters.table, options: AdamW.Options(weightDecay: description.decay))
    let schedule = LearningRateSchedule(
      peak: description.rate, warmupSteps: description.warmup, totalSteps: description.losses.count)

    for (step, expected) in description.losses.enumerated() {
      let (batch, counts) = golden.batch(step % description.batches.count)
      gradients.clear()
      let loss = try network.addGradients(of: batch, counts: counts, parameters: parameters, to: gradients)
      let norm = gradients.norm()
      optimizer.update(
        parameters, with: gradients, learningRate: schedule.rate(step: step),
        gradientFactor: Gradients.clippingFactor(norm: norm, largest: description.clip))
      #expect(abs(loss - expected) <= 1e-4 * expected, "step \(step): \(loss), PyTorch \(expected)")
      #expect(abs(norm - description.norms[step]) <= 1e-4 * norm, "step \(step)")
    }

    var compared = 0
    var largest = 0.0
    for entry in parameters.table.entries where !Self.isWithoutEffect(entry.name) {
      let error = relativeError(try #require(parameters[entry.name]), golden.tensor("trained", entry.name))
      #expect(error <= 1e-4, "\(entry.name): \(error)")
      largest = max(largest, error)
      compared += 1
    }
    print("20 steps: \(description.losses.count) losses and \(compared) tensors compared with PyTorch, largest error \(largest)")
    #expect(compared == 4 + 2 * 16 + 2 - 4)
  }
}
