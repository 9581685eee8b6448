import Encoder
import Testing

@testable import FineTuning

/// Gradients against differences of the loss in double precision, and what must not change them.
@Suite struct DifferenceTests {
  /// A small random model: widths that are no multiples of sixteen.
  static func parameters(seed: UInt64 = 5) -> Parameters {
    let table = ParameterTable(
      DistilBERT.Configuration(layers: 2, hidden: 18, heads: 3, feedForward: 21, vocabulary: 9, positions: 20))
    let parameters = Parameters(table: table, epsilon: 1e-12)
    var random = NormalGenerator(seed: seed)
    for entry in table.entries {
      let isScale = entry.name.hasSuffix("orm.weight")
      for i in entry.range { parameters.values.start[i] = isScale ? 1 + 0.2 * random.next() : 0.3 * random.next() }
    }
    return parameters
  }

  static func batch(_ lengths: [Int]) -> (batch: TrainingBatch, counts: SpanLoss.Counts) {
    var (batch, counts) = (TrainingBatch(), SpanLoss.Counts())
    for (index, length) in lengths.enumerated() {
      let ids = (0..<length).map { Int32(($0 * 7 + index * 3) % 9) }
      // The third window's end is outside it.
      let target = TrainingBatch.Target(start: index % length, end: index == 2 ? length : length - 1)
      batch.append(ids, target: target)
      counts.add(target, length: length)
    }
    return (batch, counts)
  }

  enum Case: String, CaseIterable {
    case plain, dropout, labelSmoothing, teacher
  }

  @Test(arguments: Case.allCases)
  func gradientsAreThoseOfDifferences(_ form: Case) throws {
    let parameters = Self.parameters()
    var (batch, counts) = Self.batch([5, 1, 4])
    var loss = SpanLoss()
    var probabilities = DropoutProbabilities()
    switch form {
    case .plain: break
    case .dropout: probabilities = DropoutProbabilities(hidden: 0.2, attention: 0.3, head: 0.25)
    case .labelSmoothing: loss.labelSmoothing = 0.1
    case .teacher:
      var random = NormalGenerator(seed: 3)
      batch.setTeacherLogits((0..<batch.tokenCount * 2).map { _ in random.next() })
      loss.distillation = SpanLoss.Distillation(temperature: 3, weight: 0.6)
    }
    let gradients = Gradients(table: parameters.table)
    let network = try Network(parameters.table)
    let value = try network.addGradients(
      of: batch, loss: loss, counts: counts, parameters: parameters, dropout: probabilities, seed: 11, step: 4, to: gradients)

    var reference = DoubleNetwork(parameters)
    reference.loss = loss
    reference.dropout = network.dropoutPlan(probabilities, seed: 11, step: 4)
    #expect(abs(reference.loss(batch) - value) < 1e-5)

    var compared = 0
    for entry in parameters.table.entries where !PyTorchTests.isWithoutEffect(entry.name) {
      let expected = entry.range.map { index -> Float in
        let (before, step) = (reference.values[index], 1e-5)
        reference.values[index] = before + step
        let above = reference.loss(batch)
        reference.values[index] = before - step
        let below = reference.loss(batch)
        reference.values[index] = before
        return Float((above - below) / (2 * step))
      }
      let error = relativeError(try #require(gradients[entry.name]), expected)
      #expect(error < 2e-5, "\(entry.name): \(error)")
      compared += entry.count
    }
    print("differences, \(form): \(compared) elements compared")
    #expect(compared > 4000)
  }

  struct Run {
    var gradients: [String: [Float]]
    var loss: Double
  }

  static func run(
    threads: Int, recomputes: Bool = false, lengths: [Int] = [20, 3, 14, 9], parts: [Range<Int>]? = nil,
    isTrained: (ParameterTable.Entry) -> Bool = { _ in true }
  ) throws -> Run {
    let parameters = parameters()
    let (whole, counts) = batch(lengths)
    let gradients = Gradients(table: parameters.table, isTrained: isTrained)
    let network = try Network(parameters.table, threads: threads, recomputes: recomputes)
    var loss = 0.0
    for part in parts ?? [0..<lengths.count] {
      var batch = TrainingBatch()
      for window in part {
        let ids = Array(whole.tokens.tokenIDs[whole.tokens.rows(ofSequence: window)])
        batch.append(ids, target: whole.targets[window], number: window)
      }
      loss += try network.addGradients(
        of: batch, counts: counts, parameters: parameters, dropout: DropoutProbabilities(hidden: 0.1, attention: 0.1, head: 0.1),
        seed: 2, step: 9, to: gradients)
    }
    let named = parameters.table.entries.map { ($0.name, gradients[$0.name] ?? []) }
    return Run(gradients: Dictionary(uniqueKeysWithValues: named), loss: loss)
  }

  @Test func threadsAndRecomputationDoNotChangeABit() throws {
    let one = try Self.run(threads: 1)
    for (threads, recomputes) in [(2, false), (5, false), (1, true), (2, true)] {
      let other = try Self.run(threads: threads, recomputes: recomputes)
      #expect(other.loss == one.loss)
      for (name, gradient) in one.gradients {
        #expect(other.gradients[name] == gradient, "\(name), \(threads) threads, recomputes: \(recomputes)")
      }
    }
  }

  @Test func partsOfAStepSumToTheWhole() throws {
    let whole = try Self.run(threads: 1)
    let parts = try Self.run(threads: 1, parts: [0..<1, 1..<3, 3..<4])
    // A window's float32 products may round otherwise beside other rows: a few units of the last place.
    #expect(abs(whole.loss - parts.loss) < 0x1p-22 * whole.loss)
    for (name, gradient) in whole.gradients where !PyTorchTests.isWithoutEffect(name) {
      #expect(relativeError(parts.gradients[name] ?? [], gradient) < 1e-5, "\(name)")
    }
  }

  @Test func whatIsFrozenHasNoGradientAndChangesNoOther() throws {
    let all = try Self.run(threads: 1)
    let frozen: (String) -> Bool = { $0.contains("embeddings") || $0.contains("layer.0.") || $0.contains("layer.1.attention.q_lin") }
    let some = try Self.run(threads: 1) { !frozen($0.name) }
    var kept = 0
    for (name, gradient) in some.gradients {
      if frozen(name) { continue }
      #expect(gradient == all.gradients[name], "\(name)")
      kept += 1
    }
    #expect(kept == 16)
    for (name, gradient) in some.gradients where name.contains("embeddings") || name.contains("layer.0.") {
      #expect(gradient.allSatisfy { $0 == 0 }, "\(name)")
    }
  }
}
