/// The tokens of a model: id to text and back. Tokens are compared by their UTF-8 bytes, never by canonical equivalence
/// as Swift strings are.
public struct Vocabulary: Sendable {
  /// A longer token, in bytes, is taken for a damaged file.
  static let maxTokenCount = 4096

  /// The text of all tokens, end to end.
  private let bytes: [UInt8]

  /// Where each token begins in `bytes`, and where the last one ends: `[count + 1]`.
  private let starts: [UInt32]

  /// The tokens that words are put together from: the first ids, all but the added tokens.
  private let modelCount: Int

  /// Finds the ids of these tokens.
  let table: PieceTable

  /// What errors call the vocabulary: its file, if it was read from one.
  let name: String

  /// The number of tokens; ids are `0 ..< count`.
  public var count: Int { starts.count - 1 }

  /// Whether each id stands for the same token in both.
  public func hasSameTokens(as other: Vocabulary) -> Bool { starts == other.starts && bytes == other.bytes }

  /// Makes a vocabulary of tokens in the order of their ids. Fails on an empty list and on an empty, overlong or
  /// repeated token. `name` is what errors call it.
  public init(tokens: [String], name: String = "vocabulary") throws(TokenizerError) {
    try self.init(tokens: tokens, added: [], name: name) { "token \($0)" }
  }

  /// Makes a vocabulary of the model's tokens and of added tokens with the ids that follow, which no word is put
  /// together from. `place` says where the token of an id stands.
  init(tokens: [String], added: [String], name: String, place: (Int) -> String) throws(TokenizerError) {
    var bytes: [UInt8] = []
    var starts: [UInt32] = [0]
    starts.reserveCapacity(tokens.count + added.count + 1)
    for list in [tokens, added] {
      for token in list {
        let id = starts.count - 1
        let count = token.utf8.count
        guard count > 0 else {
          throw .invalid(file: name, place: place(id), reason: "the token is empty; write one token a line")
        }
        guard count <= Self.maxTokenCount else {
          throw .invalid(
            file: name, place: place(id),
            reason: "the token has \(count) bytes, over \(Self.maxTokenCount); is this a vocabulary?")
        }
        bytes += token.utf8
        guard let end = UInt32(exactly: bytes.count), id < Int32.max else {
          throw .unsupported(file: name, place: place(id), reason: "the vocabulary is over 4 GiB; use a smaller one")
        }
        starts.append(end)
      }
    }
    guard !tokens.isEmpty else {
      throw .invalid(file: name, place: "tokens", reason: "the vocabulary is empty; give the one of the model")
    }
    var table = PieceTable(bytes: bytes, capacity: tokens.count)
    for id in tokens.indices {
      let range = Int(starts[id])..<Int(starts[id + 1])
      if let first = table.insert(range, id: Int32(id)) {
        throw .invalid(
          file: name, place: place(id),
          reason: "the token '\(tokens[id])' repeats that of \(place(Int(first))); remove one of them")
      }
    }
    self.bytes = bytes
    self.starts = starts
    self.table = table
    self.name = name
    modelCount = tokens.count
  }

  /// The id of a token, exactly as written in the vocabulary (`##` included), or nil.
  public func id(of token: String) -> Int32? {
    var token = token
    return token.withUTF8 { token in
      table.id(of: token)
        ?? (modelCount..<count).first { bytes[range(of: $0)].elementsEqual(token) }.map { Int32($0) }
    }
  }

  /// The text of a token. The id must be in `0 ..< count`.
  public func token(_ id: Int32) -> String {
    String(decoding: bytes[range(of: Int(id))], as: UTF8.self)
  }

  private func range(of id: Int) -> Range<Int> {
    Int(starts[id])..<Int(starts[id + 1])
  }

  /// The pieces that continue a word, by what follows the prefix.
  func continuingPieces(prefix: String) -> PieceTable {
    let prefix = Array(prefix.utf8)
    let pieces = (0..<modelCount).filter {
      let range = range(of: $0)
      return range.count > prefix.count && bytes[range].starts(with: prefix)
    }
    var table = PieceTable(bytes: bytes, capacity: pieces.count)
    for id in pieces {
      let range = range(of: id)
      // Cannot meet an equal piece: the tokens differ, and their prefix is the same.
      _ = table.insert(range.dropFirst(prefix.count), id: Int32(id))
    }
    return table
  }
}
