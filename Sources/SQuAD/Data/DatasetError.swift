/// Why a dataset or predictions file cannot be used.
public enum DatasetError: Error, Equatable, CustomStringConvertible {
  /// The file cannot be opened or read.
  case unreadable(file: String, reason: String)
  /// The file is not JSON, or the JSON has not what belongs there.
  case invalid(file: String, byte: Int, place: DatasetPlace, reason: String)
  /// The no-answer probabilities lack a question that has a prediction.
  case missingProbability(id: String)

  public var description: String {
    switch self {
    case .unreadable(let file, let reason):
      "\(file): \(reason): give a file that can be read"
    case .invalid(let file, let byte, let place, let reason):
      "\(file): \(Self.prefix(place))byte \(byte): \(reason): mend the file there"
    case .missingProbability(let id):
      "the no-answer probabilities lack question \(id): give one for each prediction"
    }
  }

  /// The question that the error is about, where that is known.
  public var id: String? {
    switch self {
    case .unreadable: nil
    case .invalid(_, _, let place, _): place.id
    case .missingProbability(let id): id
    }
  }

  private static func prefix(_ place: DatasetPlace) -> String {
    let place = place.description
    return place.isEmpty ? "" : place + ": "
  }
}
