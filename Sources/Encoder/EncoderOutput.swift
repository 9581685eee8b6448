/// What an encoder computed for a packed batch.
public struct EncoderOutput: Sendable {
  /// `[tokens, outputs]`, row-major: the head's result, or the last hidden state of a model without a head.
  public var values: [Float]
  /// The number of values a token: 2 for question answering (start, end).
  public var outputs: Int
  /// The batch's sequence bounds.
  public var sequenceStarts: [Int]

  public init(values: [Float], outputs: Int, sequenceStarts: [Int]) {
    self.values = values
    self.outputs = outputs
    self.sequenceStarts = sequenceStarts
  }

  /// One output of each token of a sequence: for question answering, output 0 holds the start logits and 1 the end logits.
  public func column(_ output: Int, ofSequence index: Int) -> [Float] {
    (sequenceStarts[index]..<sequenceStarts[index + 1]).map { values[$0 * outputs + output] }
  }
}
