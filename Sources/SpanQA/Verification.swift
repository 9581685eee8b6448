import Encoder
import Interpreter
import Lowering
import Observation
import ONNX

/// Compares the fused encoder with the graph run node by node, on the same inputs, layer by layer; and both with what others give.
public struct Verification: Sendable {
  /// How one value differs between two executors.
  public struct Difference: Sendable {
    /// What was compared: `embeddings`, `layer 3`, or an output's name.
    public let name: String
    /// How many numbers were compared.
    public let count: Int
    /// The largest difference of two numbers.
    public let absolute: Float
    /// That, as a part of the largest magnitude that was expected.
    public let relative: Float
    /// Where the difference first exceeds the tolerance, if it does.
    public let firstBeyond: Place?
  }

  /// A number of a padded batch, and what it was on both sides.
  public struct Place: Sendable {
    public let row, column, element: Int
    public let found, expected: Float
  }

  private let fused: Fused?
  private let interpreted: InterpretedModel

  private struct Fused {
    let lowered: LoweredModel
    let encoder: Encoder
  }

  /// What stopped lowering: there is no fused encoder to compare then.
  public let refusal: LoweringError?

  /// - Throws: `LoweringError` where the graph is not understood and `engine` requires the fused encoder, and what preparing
  ///   either executor throws.
  public init(_ onnx: Model, engine: EngineOptions = EngineOptions()) throws {
    do {
      let lowered = try LoweredModel(onnx)
      fused = Fused(lowered: lowered, encoder: try engine.encoder(for: lowered.model))
      refusal = nil
    } catch let error as LoweringError {
      if engine.requiresFused { throw error }
      (fused, refusal) = (nil, error)
    }
    interpreted = try InterpretedModel(onnx)
  }

  /// Whether the graph attends to padding as well, so that it must be given none.
  public var attendsToEverything: Bool {
    fused.map { $0.lowered.inputs.attentionMask == nil } ?? (interpreted.interface.inputs.attentionMask == nil)
  }

  /// Random rows with padding: as many and as long as the graph is made for, or three of up to `length` tokens.
  public func randomBatch(seed: UInt64, length: Int = 32) throws -> PaddedBatch {
    var generator = SplitMix64(seed: seed)
    let configuration = try fusedEncoder().encoder.configuration
    let rows = interpreted.interface.batch ?? 3
    let width = interpreted.interface.sequence ?? min(length, configuration.positions)
    var ids, mask, types: [[Int32]]
    (ids, mask, types) = ([], [], [])
    for row in 0..<rows {
      // Whole, three quarters and half rows in turn.
      let kept = attendsToEverything ? width : max(1, width - row % 3 * width / 4)
      ids.append((0..<width).map { $0 < kept ? Int32.random(in: 0..<Int32(configuration.vocabulary), using: &generator) : 0 })
      mask.append((0..<width).map { $0 < kept ? 1 : 0 })
      let second = Int.random(in: 0...kept, using: &generator)
      types.append((0..<width).map { configuration.tokenTypes > 1 && $0 >= second && $0 < kept ? 1 : 0 })
    }
    return try PaddedBatch(inputIDs: ids, attentionMask: mask, tokenTypeIDs: types)
  }

  /// Runs both, and compares the hidden states after the embeddings and after each layer, and the outputs.
  ///
  /// - Parameter tolerance: The largest absolute difference allowed.
  /// - Throws: `VerificationError.padding` where the batch is padded and the graph attends to everything, `notFused` where the
  ///   graph is not understood; and what the executors throw.
  public func run(_ batch: PaddedBatch, tolerance: Float) throws -> [Difference] {
    let fused = try fusedEncoder()
    let (lowered, encoder) = (fused.lowered, fused.encoder)
    if attendsToEverything, batch.attentionMask.contains(where: { $0.contains(0) }) { throw VerificationError.padding }
    var hidden: [[Float]] = []
    let states = Observer(
      selecting: encoder.hiddenStateNames.contains, tensor: { hidden.append($0.values) })
    let packed = try PackedBatch(
      inputIDs: batch.inputIDs, attentionMask: batch.attentionMask, tokenTypeIDs: types(of: batch))
    let output = try encoder.forward(packed, observer: states)
    let names = lowered.layerOutputs
    let outputNames = interpreted.interface.outputs
    // A fused operator of the file may hold a layer's output inside.
    let known = names.filter { interpreted.valueNames.contains($0) }
    let values = try interpreted.values(known + outputNames, of: batch)
    func expected(_ name: String) throws -> (values: [Float], width: Int)? {
      try values[name].map { try interpreted.tokenRows(of: $0, name: name, batch: batch) }
    }
    var result: [Difference] = []
    for (number, name) in names.enumerated() where hidden.indices.contains(number) {
      guard let expected = try expected(name) else { continue }
      result.append(
        try Self.difference(
          number == 0 ? "embeddings" : "layer \(number)", hidden[number], expected.values, width: expected.width,
          batch: batch, tolerance: tolerance))
    }
    for (number, name) in outputNames.enumerated() {
      guard let expected = try expected(name) else { continue }
      result.append(
        try Self.difference(
          name, column(number, of: output), expected.values, width: expected.width, batch: batch, tolerance: tolerance))
    }
    return result
  }

  private func fusedEncoder() throws -> Fused {
    guard let fused else { throw VerificationError.notFused(reason: refusal.map { "\($0)" } ?? "it was not prepared") }
    return fused
  }

  /// Compares the outputs of both executors (of the graph run node by node alone, where lowering refused it) with outputs made
  /// elsewhere.
  ///
  /// - Parameter reference: Each output's numbers for the tokens of a batch alone, end to end.
  public func run(
    _ batch: PaddedBatch, against reference: [String: [Float]], tolerance: Float
  ) throws -> [Difference] {
    let packed = try PackedBatch(
      inputIDs: batch.inputIDs, attentionMask: batch.attentionMask, tokenTypeIDs: types(of: batch))
    let places = batch.tokenPlaces
    var sides = [("node by node", try interpreted.forward(packed))]
    if let fused { sides.insert(("fused", try fused.encoder.forward(packed)), at: 0) }
    var result: [Difference] = []
    for (number, name) in interpreted.interface.outputs.enumerated() {
      guard let expected = reference[name] ?? (number < 2 ? reference[["start_logits", "end_logits"][number]] : nil)
      else { throw VerificationError.missing(output: name) }
      for (side, output) in sides {
        let found = column(number, of: output)
        guard found.count == expected.count, !places.isEmpty else {
          throw VerificationError.count(output: name, found: expected.count, expected: found.count)
        }
        // The reference has no numbers for padding: spread over the padded rows it is compared like any value.
        let width = found.count / places.count
        var spread = [Float](repeating: 0, count: batch.inputIDs.count * batch.width * width)
        for (token, place) in places.enumerated() {
          for element in 0..<width { spread[place * width + element] = expected[token * width + element] }
        }
        result.append(
          try Self.difference(
            "\(name), \(side)", found, spread, width: width, batch: batch, tolerance: tolerance))
      }
    }
    return result
  }

  /// The token types, if the model has a table of them.
  private func types(of batch: PaddedBatch) -> [[Int32]]? {
    (fused?.lowered.inputs ?? interpreted.interface.inputs).tokenTypes == nil ? nil : batch.tokenTypes
  }

  /// Runs each node by itself on the values that another runtime had, and compares what it gives with that runtime's result.
  ///
  /// - Parameter values: Of the graph's inputs and of its nodes' outputs, by name.
  public static func nodes(of model: Model, on values: [String: Tensor]) throws -> [NodeCheck] {
    try Interpreter(model).checkNodes(on: values.mapValues { try Value($0) })
  }

  /// One of the graph's outputs: a column of the encoder's where start and end are outputs of their own, else all of it.
  private func column(_ number: Int, of output: EncoderOutput) -> [Float] {
    guard interpreted.interface.outputs.count > 1 else { return output.values }
    return stride(from: number, to: output.values.count, by: output.outputs).map { output.values[$0] }
  }

  /// - Parameters:
  ///   - found: `[tokens, width]`, without padding.
  ///   - expected: `[rows · columns, width]`
  private static func difference(
    _ name: String, _ found: [Float], _ expected: [Float], width: Int, batch: PaddedBatch, tolerance: Float
  ) throws -> Difference {
    let places = batch.tokenPlaces
    guard found.count == places.count * width, expected.count == batch.inputIDs.count * batch.width * width else {
      throw VerificationError.count(output: name, found: found.count, expected: places.count * width)
    }
    var (absolute, magnitude): (Float, Float) = (0, 0)
    var firstBeyond: Place?
    for (token, place) in places.enumerated() {
      for element in 0..<width {
        let (ours, theirs) = (found[token * width + element], expected[place * width + element])
        let difference = abs(ours - theirs)
        magnitude = max(magnitude, abs(theirs))
        // What is not a number is beyond every bound.
        absolute = difference.isNaN ? .infinity : max(absolute, difference)
        if firstBeyond == nil, !(difference <= tolerance) {
          firstBeyond = Place(
            row: place / batch.width, column: place % batch.width, element: element, found: ours, expected: theirs)
        }
      }
    }
    return Difference(
      name: name, count: found.count, absolute: absolute, relative: absolute == 0 ? 0 : absolute / magnitude,
      firstBeyond: firstBeyond)
  }
}

/// Why two executors could not be compared.
public enum VerificationError: Error, Equatable, CustomStringConvertible {
  case notFused(reason: String)
  case padding
  case missing(output: String)
  case count(output: String, found: Int, expected: Int)

  public var description: String {
    switch self {
    case .notFused(let reason):
      "the graph runs node by node only, so there are no two executors to compare (give --against, outputs made elsewhere): \(reason)"
    case .padding: "the graph attends to padding as well; give rows of one length and no mask"
    case .missing(let output): "the reference has no values of the output '\(output)'"
    case .count(let output, let found, let expected):
      "there are \(found) values of '\(output)' where \(expected) are expected; the batch must be the same"
    }
  }
}

/// A small seeded generator (Steele, Lea & Flood 2014).
private struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
