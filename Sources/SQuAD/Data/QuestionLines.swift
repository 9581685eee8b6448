/// A question with its passage, as `answer --jsonl` reads it.
public struct QuestionRecord: Sendable, Equatable {
  public var id: String
  public var question: String
  public var context: String

  public init(id: String, question: String, context: String) {
    self.id = id
    self.question = question
    self.context = context
  }
}

/// Reads `{"id", "question", "context"}` a line, and goes on after a line that it cannot read.
///
/// Other members are ignored; an id may be an integer. Memory is one line, which may take `maxLineBytes`; of a longer
/// one the rest is passed over. Lines are read as they arrive, so that a pipe is answered line by line. A reader is
/// used by one task at a time.
public final class QuestionLines {
  public static let maxLineBytes = 64 << 20

  private let name: String
  private let stream: ByteStream
  private var line = 0
  private var isFinished = false

  public init(path: String) throws(DatasetError) {
    name = path
    do throws(JSONFailure) {
      stream = try ByteStream(path: path)
    } catch {
      throw .unreadable(file: path, reason: error.reason)
    }
  }

  /// Reads a descriptor, standard input for one, which stays the caller's; `name` is what errors call it.
  public init(descriptor: Int32, name: String) {
    self.name = name
    stream = ByteStream(descriptor: descriptor)
  }

  init(bytes: [UInt8], name: String) {
    self.name = name
    stream = ByteStream(bytes: bytes)
  }

  /// Whether `next()` would return without waiting for a slow writer.
  public var isReady: Bool { isFinished || stream.isReady }

  /// The next line that is not blank, or why it cannot be read (with the id where that was read); nil at the end.
  public func next() -> Result<QuestionRecord, DatasetError>? {
    while !isFinished {
      line += 1
      var place = DatasetPlace()
      place.record = line
      do throws(JSONFailure) {
        let start = stream.offset
        guard let bytes = try nextLine() else {
          throw JSONFailure(offset: start, reason: "the line is longer than \(Self.maxLineBytes) bytes")
        }
        if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
        do throws(JSONFailure) {
          return .success(try record(bytes, &place))
        } catch {
          throw JSONFailure(offset: start + (error.offset ?? 0), reason: error.reason)
        }
      } catch {
        guard let offset = error.offset else {
          isFinished = true
          return .failure(.unreadable(file: name, reason: error.reason))
        }
        return .failure(.invalid(file: name, byte: offset, place: place, reason: error.reason))
      }
    }
    return nil
  }

  /// The bytes up to the next line feed or the end; nil for a line that is too long.
  private func nextLine() throws(JSONFailure) -> [UInt8]? {
    var bytes: [UInt8] = []
    var left = Self.maxLineBytes
    let found = try stream.append(
      to: &bytes,
      until: { byte in
        left -= 1
        return byte == 0x0A || left < 0
      })
    if !found {
      isFinished = true
      return bytes
    }
    if try stream.next() == 0x0A { return bytes }
    while let byte = try stream.next(), byte != 0x0A {}
    return nil
  }

  private func record(_ bytes: [UInt8], _ place: inout DatasetPlace) throws(JSONFailure) -> QuestionRecord {
    var scanner = JSONScanner(ByteStream(bytes: bytes))
    var question: String?
    var context: String?
    try scanner.beginObject()
    while let key = try scanner.nextKey() {
      switch key {
      case "id": place.id = try scanner.identifier()
      case "question": question = try scanner.string()
      case "context": context = try scanner.string()
      default: try scanner.skip()
      }
    }
    guard try scanner.kind() == nil else {
      throw JSONFailure(offset: scanner.offset, reason: "there is more after the object's end")
    }
    func missing(_ member: String) -> JSONFailure {
      JSONFailure(offset: scanner.offset, reason: "“\(member)” is missing before here")
    }
    guard let id = place.id else { throw missing("id") }
    guard let question else { throw missing("question") }
    guard let context else { throw missing("context") }
    return QuestionRecord(id: id, question: question, context: context)
  }
}
