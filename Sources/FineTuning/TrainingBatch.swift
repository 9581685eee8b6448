import Encoder

/// Windows that go through the network together, end to end without padding.
public struct TrainingBatch: Sendable {
  /// Where the answer begins and ends, in tokens from the window's start.
  public struct Target: Sendable, Equatable {
    public var start: Int
    public var end: Int

    public init(start: Int, end: Int) {
      self.start = start
      self.end = end
    }
  }

  public private(set) var tokens = PackedBatch()
  public private(set) var targets: [Target] = []
  /// Each window's number in its step, by which dropout tells them apart.
  public private(set) var numbers: [Int] = []
  /// `[tokens, 2]`: a teacher's logits; empty where there is none.
  public private(set) var teacherLogits: [Float] = []
  private var sequenceOfRow: [Int32] = []

  public init() {}

  public mutating func append(_ ids: [Int32], target: Target, number: Int? = nil) {
    sequenceOfRow.append(contentsOf: repeatElement(Int32(targets.count), count: ids.count))
    numbers.append(number ?? targets.count)
    targets.append(target)
    tokens.append(ids)
  }

  public mutating func setTeacherLogits(_ logits: [Float]) {
    precondition(logits.count == tokens.tokenCount * 2)
    teacherLogits = logits
  }

  public var tokenCount: Int { tokens.tokenCount }
  public var windowCount: Int { targets.count }

  func sequence(ofRow row: Int) -> Int { Int(sequenceOfRow[row]) }
  var longest: Int { (0..<windowCount).reduce(0) { max($0, tokens.rows(ofSequence: $1).count) } }
}
