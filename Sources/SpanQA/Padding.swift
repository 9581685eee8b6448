/// Rows of padding beside the tokens of a batch, as most engines compute them: for study and comparison.
///
/// Padding is computed like tokens and attended to by none of them, so the answers stay what they are.
public enum Padding: Sendable, Hashable {
  /// Windows stand end to end; nothing is padded.
  case none
  /// Windows are padded to the longest of their batch.
  case longest
  /// Windows are padded to this many tokens, which must hold the longest one.
  case fixed(Int)

  /// How many rows each window of a batch takes, where the longest has `longest` tokens; 0: as many as it has tokens.
  func rowCount(longest: Int) -> Int {
    switch self {
    case .none: 0
    case .longest: longest
    case .fixed(let length): length
    }
  }
}
