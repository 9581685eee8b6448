/// Token rows of several sequences end to end, with no padding between them unless it is asked for.
///
/// Linear layers run over all rows at once; attention stays within each sequence's own rows. A padded input with an attention
/// mask is packed on entry, so padding costs nothing and can leak nothing.
public struct PackedBatch: Sendable {
  /// `[tokens]`
  public private(set) var tokenIDs: [Int32]
  /// `[tokens]`: the row of the position table that each token takes.
  public private(set) var positions: [Int32]
  /// `[tokens]`: all zero where the model has one type or none.
  public private(set) var tokenTypes: [Int32]
  /// `[sequences + 1]`: sequence i stands in rows `sequenceStarts[i] ..< sequenceStarts[i + 1]`.
  public private(set) var sequenceStarts: [Int]
  /// `[sequences]`: how many rows of a sequence are tokens; those behind them are padding.
  private var tokenCounts: [Int]

  public init() {
    tokenIDs = []
    positions = []
    tokenTypes = []
    sequenceStarts = [0]
    tokenCounts = []
  }

  public init(_ sequences: some Sequence<[Int32]>) {
    self.init()
    for sequence in sequences { append(sequence) }
  }

  /// Packs a padded batch. A token takes the position that it had in its padded row, as the reference models do.
  ///
  /// - Throws: `BatchError` where the rows of the mask do not match those of the ids, or the mask holds anything but 0 and 1.
  public init(inputIDs: [[Int32]], attentionMask: [[Int32]]? = nil, tokenTypeIDs: [[Int32]]? = nil) throws(BatchError) {
    self.init()
    if let attentionMask, attentionMask.count != inputIDs.count {
      throw .rowCount(field: "attention_mask", found: attentionMask.count, expected: inputIDs.count)
    }
    if let tokenTypeIDs, tokenTypeIDs.count != inputIDs.count {
      throw .rowCount(field: "token_type_ids", found: tokenTypeIDs.count, expected: inputIDs.count)
    }
    for (row, ids) in inputIDs.enumerated() {
      if let mask = attentionMask?[row], mask.count != ids.count {
        throw .rowLength(field: "attention_mask", row: row, found: mask.count, expected: ids.count)
      }
      if let types = tokenTypeIDs?[row], types.count != ids.count {
        throw .rowLength(field: "token_type_ids", row: row, found: types.count, expected: ids.count)
      }
      for (column, id) in ids.enumerated() {
        switch attentionMask?[row][column] ?? 1 {
        case 0: continue
        case 1:
          tokenIDs.append(id)
          positions.append(Int32(column))
          tokenTypes.append(tokenTypeIDs?[row][column] ?? 0)
        case let value: throw .maskValue(row: row, column: column, value: value)
        }
      }
      tokenCounts.append(tokenIDs.count - (sequenceStarts.last ?? 0))
      sequenceStarts.append(tokenIDs.count)
    }
  }

  /// Appends a sequence; its tokens take positions 0, 1, 2, ….
  ///
  /// - Parameter paddedLength: the sequence takes this many rows at least. Those of padding are computed like any other and
  ///   attended to by none, so that they cost what they cost elsewhere and change nothing: for study and comparison.
  public mutating func append(
    _ ids: some Collection<Int32>, tokenTypes types: [Int32]? = nil, paddedLength: Int = 0
  ) {
    precondition(types.map { $0.count == ids.count } ?? true)
    let rows = ids.isEmpty ? 0 : max(paddedLength, ids.count)
    tokenIDs.append(contentsOf: ids)
    tokenIDs.append(contentsOf: repeatElement(0, count: rows - ids.count))
    positions.append(contentsOf: 0..<Int32(rows))
    tokenTypes.append(contentsOf: types ?? Array(repeating: 0, count: ids.count))
    tokenTypes.append(contentsOf: repeatElement(0, count: rows - ids.count))
    tokenCounts.append(ids.count)
    sequenceStarts.append(tokenIDs.count)
  }

  /// Rows, those of padding among them.
  public var tokenCount: Int { tokenIDs.count }
  public var sequenceCount: Int { sequenceStarts.count - 1 }

  /// The rows of sequence `index`.
  public func rows(ofSequence index: Int) -> Range<Int> {
    sequenceStarts[index]..<sequenceStarts[index + 1]
  }

  /// How many rows of sequence `index`, from its first, are attended to: all but padding.
  public func attendedCount(ofSequence index: Int) -> Int { tokenCounts[index] }
}

extension PackedBatch {
  /// Consecutive sequences of a batch, and their rows, which count from the part's first.
  public struct Part: Sendable {
    public let batch: PackedBatch
    public let sequences: Range<Int>

    public init(_ batch: PackedBatch, sequences: Range<Int>) {
      precondition(sequences.lowerBound >= 0 && sequences.upperBound <= batch.sequenceCount)
      self.batch = batch
      self.sequences = sequences
    }

    /// Where the part stands in the batch.
    public var rowsOfBatch: Range<Int> {
      batch.sequenceStarts[sequences.lowerBound]..<batch.sequenceStarts[sequences.upperBound]
    }
    public var tokenCount: Int { rowsOfBatch.count }
    public var sequenceCount: Int { sequences.count }

    /// The rows of the part's sequence `index`.
    public func rows(ofSequence index: Int) -> Range<Int> {
      let (rows, first) = (batch.rows(ofSequence: sequences.lowerBound + index), rowsOfBatch.lowerBound)
      return rows.lowerBound - first..<rows.upperBound - first
    }

    /// As `PackedBatch.attendedCount`.
    public func attendedCount(ofSequence index: Int) -> Int { batch.attendedCount(ofSequence: sequences.lowerBound + index) }
  }

  /// All sequences as one part.
  public var whole: Part { Part(self, sequences: 0..<sequenceCount) }
}

/// What is wrong with a batch of token ids, or stopped its computation.
public enum BatchError: Error, Equatable, CustomStringConvertible {
  case rowCount(field: String, found: Int, expected: Int)
  case rowLength(field: String, row: Int, found: Int, expected: Int)
  case maskValue(row: Int, column: Int, value: Int32)
  case tokenID(row: Int, value: Int32, vocabulary: Int)
  case position(row: Int, value: Int32, positions: Int)
  case tokenType(row: Int, value: Int32, tokenTypes: Int)
  case layer(Int, layers: Int)
  case head(Int, heads: Int)
  case notFinite(output: String)
  case backend(BackendError)

  public var description: String {
    switch self {
    case .rowCount(let field, let found, let expected):
      "\(field) has \(found) rows where input_ids has \(expected)"
    case .rowLength(let field, let row, let found, let expected):
      "row \(row) of \(field) has \(found) entries where input_ids has \(expected)"
    case .maskValue(let row, let column, let value):
      "attention_mask[\(row)][\(column)] is \(value); only 0 and 1 are understood"
    case .tokenID(let row, let value, let vocabulary):
      "token \(row) of the batch has id \(value); the model's vocabulary has ids 0 to \(vocabulary - 1)"
    case .position(let row, let value, let positions):
      "token \(row) of the batch stands at position \(value); the model has positions 0 to \(positions - 1): use shorter windows"
    case .tokenType(let row, let value, let tokenTypes):
      "token \(row) of the batch has type \(value); the model has types 0 to \(max(tokenTypes, 1) - 1)"
    case .layer(let layer, let layers):
      "there is no layer \(layer) to leave out; the model has layers 0 to \(layers - 1)"
    case .head(let head, let heads):
      "there is no head \(head) to leave out; each layer has heads 0 to \(heads - 1)"
    case .notFinite(let output):
      "\(output) holds a value that is not finite: the model's weights are damaged or overflow"
    case .backend(let error):
      error.description
    }
  }
}
