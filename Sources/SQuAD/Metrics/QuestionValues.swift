/// A JSON object of one value a question id, in the file's order: predictions (strings) or no-answer probabilities.
public struct QuestionValues<Value: Sendable>: Sendable {
  /// The ids in the order in which they first occur.
  public private(set) var ids: [String] = []
  private var values: [ExactString: Value] = [:]

  public init() {}

  /// The value of a question; as in Python the last one counts where an id occurs twice.
  public subscript(id: String) -> Value? {
    get { values[ExactString(id)] }
    set {
      guard let newValue else { return }
      if values.updateValue(newValue, forKey: ExactString(id)) == nil { ids.append(id) }
    }
  }

  fileprivate init(
    path: String, read: (JSONScanner) throws(JSONFailure) -> Value
  ) throws(DatasetError) {
    var place = DatasetPlace()
    do throws(JSONFailure) {
      var scanner = JSONScanner(try ByteStream(path: path))
      try scanner.beginObject()
      while let id = try scanner.nextKey() {
        place.id = id
        self[id] = try read(scanner)
      }
      place.id = nil
      guard try scanner.kind() == nil else {
        throw JSONFailure(offset: scanner.offset, reason: "there is more after the object's end")
      }
    } catch {
      guard let offset = error.offset else { throw .unreadable(file: path, reason: error.reason) }
      throw .invalid(file: path, byte: offset, place: place, reason: error.reason)
    }
  }
}

extension QuestionValues<String> {
  /// Reads a predictions file: `{"id": "answer", …}`, an empty answer for "no answer".
  public init(predictions path: String) throws(DatasetError) {
    try self.init(path: path) { scanner throws(JSONFailure) in try scanner.string() }
  }
}

extension QuestionValues<Double> {
  /// Reads a file of no-answer probabilities: `{"id": 0.25, …}`.
  public init(noAnswerProbabilities path: String) throws(DatasetError) {
    try self.init(path: path) { scanner throws(JSONFailure) in try scanner.double() }
  }
}
