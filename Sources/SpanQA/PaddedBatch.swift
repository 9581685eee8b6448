import Encoder

/// Rows of token ids of one length, as a model's graph takes them.
public struct PaddedBatch: Sendable {
  /// `[rows][width]`; 0 where the mask is 0 and nothing else was given.
  public private(set) var inputIDs: [[Int32]]
  /// `[rows][width]`: 1 for tokens, 0 for padding.
  public private(set) var attentionMask: [[Int32]]
  /// `[rows][width]`
  public private(set) var tokenTypes: [[Int32]]

  /// The length of each row.
  public var width: Int { inputIDs.first?.count ?? 0 }

  /// Rows as they were given, the shorter ones padded to the longest, or to `width` if that is more.
  ///
  /// - Throws: `BatchError` where the rows of the mask or of the types do not match those of the ids.
  public init(
    inputIDs: [[Int32]], attentionMask: [[Int32]]? = nil, tokenTypeIDs: [[Int32]]? = nil, width: Int = 0
  ) throws(BatchError) {
    // The checks are those of packing.
    _ = try PackedBatch(inputIDs: inputIDs, attentionMask: attentionMask, tokenTypeIDs: tokenTypeIDs)
    let width = max(width, inputIDs.map(\.count).max() ?? 0)
    func padded(_ row: [Int32]) -> [Int32] { row + Array(repeating: 0, count: width - row.count) }
    self.inputIDs = inputIDs.map(padded)
    self.attentionMask = attentionMask?.map(padded) ?? inputIDs.map { padded($0.map { _ in 1 }) }
    tokenTypes = tokenTypeIDs?.map(padded) ?? inputIDs.map { padded($0.map { _ in 0 }) }
  }

  /// The sequences of a packed batch, each token in the column that its position names.
  ///
  /// - Throws: `BatchError.position` where a position is negative.
  public init(_ batch: PackedBatch, width: Int = 0) throws(BatchError) {
    for (row, position) in batch.positions.enumerated() where position < 0 || position > Self.largestPosition {
      throw .position(row: row, value: position, positions: Int(Self.largestPosition) + 1)
    }
    let width = max(width, batch.positions.max().map { Int($0) + 1 } ?? 0)
    let empty = [[Int32]](repeating: Array(repeating: 0, count: width), count: batch.sequenceCount)
    (inputIDs, attentionMask, tokenTypes) = (empty, empty, empty)
    for sequence in 0..<batch.sequenceCount {
      for row in batch.rows(ofSequence: sequence) {
        let column = Int(batch.positions[row])
        inputIDs[sequence][column] = batch.tokenIDs[row]
        attentionMask[sequence][column] = 1
        tokenTypes[sequence][column] = batch.tokenTypes[row]
      }
    }
  }

  /// The rows of `range` alone, the first of them repeated after them up to `count`.
  func rows(_ range: Range<Int>, filledTo count: Int) -> PaddedBatch {
    let numbers = Array(range) + Array(repeating: range.lowerBound, count: max(0, count - range.count))
    var result = self
    result.inputIDs = numbers.map { inputIDs[$0] }
    result.attentionMask = numbers.map { attentionMask[$0] }
    result.tokenTypes = numbers.map { tokenTypes[$0] }
    return result
  }

  /// The places of the tokens, of all rows end to end: where a packed batch's rows stand.
  var tokenPlaces: [Int] {
    attentionMask.enumerated().flatMap { row, mask in
      mask.enumerated().filter { $1 != 0 }.map { row * width + $0.offset }
    }
  }

  /// No table of positions is as long.
  private static let largestPosition: Int32 = 1 << 20
}
