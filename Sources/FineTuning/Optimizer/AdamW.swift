import Kernels

/// AdamW (Loshchilov & Hutter 2019), as PyTorch computes it. With a parameter p, its gradient g and the step t, counted from 1:
///
///     p = p · (1 − rate · decay)
///     m = β₁ · m + (1 − β₁) · g
///     v = β₂ · v + (1 − β₂) · g²
///     p = p − rate / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
public final class AdamW {
  public struct Options: Sendable, Equatable {
    public var beta1: Double
    public var beta2: Double
    public var epsilon: Double
    public var weightDecay: Double
    /// What the rate is multiplied by for each layer further down from the head: 1 for one rate everywhere.
    public var layerDecay: Double
    /// Whether the word embeddings change only in the rows that a step touched. Dense AdamW also decays the other rows and moves them by
    /// what is left of their momentum; here they stay, and their moments wait. Saves most of the optimiser's time where the vocabulary
    /// is large.
    public var hasSparseWords: Bool

    public init(
      beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0.01, layerDecay: Double = 1,
      hasSparseWords: Bool = false
    ) {
      self.beta1 = beta1
      self.beta2 = beta2
      self.epsilon = epsilon
      self.weightDecay = weightDecay
      self.layerDecay = layerDecay
      self.hasSparseWords = hasSparseWords
    }
  }

  public let options: Options
  /// How many steps have been taken.
  public internal(set) var step = 0
  let table: ParameterTable
  let firstMoments: FloatStorage
  let secondMoments: FloatStorage
  private let threads: Int

  public init(_ table: ParameterTable, options: Options = Options(), threads: Int? = nil) {
    self.table = table
    self.options = options
    self.threads = max(1, threads ?? ProcessorCount.usable)
    firstMoments = FloatStorage(count: table.count)
    secondMoments = FloatStorage(count: table.count)
  }

  /// One step.
  ///
  /// - Parameter gradientFactor: what the gradients are multiplied by first, by which they are clipped.
  public func update(
    _ parameters: Parameters, with gradients: Gradients, learningRate: Double, gradientFactor: Float = 1
  ) {
    step += 1
    for (entry, isTrained) in zip(table.entries, gradients.isTrained) where isTrained {
      let rate = learningRate * power(options.layerDecay, table.configuration.layers + 1 - entry.depth)
      let rule = Rule(options, rate: rate, decays: entry.decays, step: step, gradientFactor: gradientFactor)
      if entry.offset == table.words {
        updateWords(parameters, gradients, rule)
      } else {
        updateAll(entry, parameters, gradients, rule)
      }
    }
  }

  private func updateAll(_ entry: ParameterTable.Entry, _ parameters: Parameters, _ gradients: Gradients, _ rule: Rule) {
    let gradient = gradients.densePointer(entry)
    let (p, m, v) = pointers(parameters, entry.offset)
    let block = 65_536
    ThreadPool.shared.run(tasks: (entry.count + block - 1) / block, threads: threads) { task in
      let first = task * block
      rule.update(p + first, m + first, v + first, gradient + first, count: min(block, entry.count - first))
    }
  }

  private func updateWords(_ parameters: Parameters, _ gradients: Gradients, _ rule: Rule) {
    let width = table.configuration.hidden
    let (p, m, v) = pointers(parameters, table.words)
    gradients.words.withValues { values in
      guard let values = values.baseAddress else { return }
      if options.hasSparseWords {
        let ids = gradients.words.ids
        for (slot, id) in ids.enumerated() {
          let first = Int(id) * width
          rule.update(p + first, m + first, v + first, values + slot * width, count: width)
        }
        return
      }
      let block = 256
      let rows = table.configuration.vocabulary
      ThreadPool.shared.run(tasks: (rows + block - 1) / block, threads: threads) { task in
        for row in task * block..<min(rows, (task + 1) * block) {
          let first = row * width
          let gradient = gradients.words.slot(of: Int32(row)).map { values + $0 * width }
          rule.update(p + first, m + first, v + first, gradient, count: width)
        }
      }
    }
  }

  private func pointers(
    _ parameters: Parameters, _ offset: Int
  ) -> (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) {
    (parameters.pointer(offset), firstMoments.start + offset, secondMoments.start + offset)
  }

  /// The formula with its factors settled for a step.
  private struct Rule {
    let keep, beta1, beta2, rate, rootFactor, epsilon, gradientFactor: Float

    init(_ options: Options, rate: Double, decays: Bool, step: Int, gradientFactor: Float) {
      keep = Float(1 - rate * (decays ? options.weightDecay : 0))
      beta1 = Float(options.beta1)
      beta2 = Float(options.beta2)
      self.rate = Float(rate / (1 - power(options.beta1, step)))
      rootFactor = Float(1 / (1 - power(options.beta2, step)).squareRoot())
      epsilon = Float(options.epsilon)
      self.gradientFactor = gradientFactor
    }

    /// - Parameter g: `nil` for a gradient of zeros.
    func update(
      _ p: UnsafeMutablePointer<Float>, _ m: UnsafeMutablePointer<Float>, _ v: UnsafeMutablePointer<Float>,
      _ g: UnsafePointer<Float>?, count: Int
    ) {
      let (rest1, rest2) = (1 - beta1, 1 - beta2)
      guard let g else {
        for i in 0..<count {
          m[i] *= beta1
          v[i] *= beta2
          p[i] = p[i] * keep - rate * (m[i] / (v[i].squareRoot() * rootFactor + epsilon))
        }
        return
      }
      for i in 0..<count {
        let gradient = g[i] * gradientFactor
        m[i] = m[i] * beta1 + gradient * rest1
        v[i] = v[i] * beta2 + gradient * gradient * rest2
        p[i] = p[i] * keep - rate * (m[i] / (v[i].squareRoot() * rootFactor + epsilon))
      }
    }
  }
}

/// base to a whole power.
func power(_ base: Double, _ exponent: Int) -> Double {
  var (result, square, rest) = (1.0, base, exponent)
  while rest > 0 {
    if rest & 1 == 1 { result *= square }
    square *= square
    rest >>= 1
  }
  return result
}
