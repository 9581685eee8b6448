/// The tokens of a model: id to text and back. Tokens are compared by their UTF-8 bytes, never by canonical equivalence
/// as Swift strings are.
public struct Vocabulary: Sendable {
  /// The text of all tokens, end to end.
  let bytes: [UInt8]

  /// Where each token begins in `bytes`, and where the last one ends: `[count + 1]`.
  let starts: [UInt32]

  /// Finds a token's id.
  let table: PieceTable

  /// The number of tokens; ids are `0 ..< count`.
  public var count: Int { starts.count - 1 }

  /// The id of a token, exactly as written in the vocabulary (`##` included), or nil.
  public func id(of token: String) -> Int32? {
    var token = token
    return token.withUTF8 { table.id(of: $0) }
  }

  /// The text of a token. The id must be in `0 ..< count`.
  public func token(_ id: Int32) -> String {
    String(decoding: bytes[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])], as: UTF8.self)
  }
}
