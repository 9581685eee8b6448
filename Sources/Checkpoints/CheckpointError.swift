/// Why a checkpoint cannot be read, understood or written. Each description is one line.
public enum CheckpointError: Error, Sendable, Equatable, CustomStringConvertible {
  /// A file that cannot be opened, read or written.
  case file(String)
  /// A file that breaks a rule of its format, and where it does.
  case invalid(file: String, place: String, reason: String)
  /// A valid file that holds something which is not read here.
  case unsupported(file: String, place: String, reason: String)
  /// The tensors are not those of a DistilBERT or BERT.
  case model(file: String, reason: String)

  public var description: String {
    // Names come from files: a line break in one must not break the line, nor a long one fill the screen.
    let printable = message.unicodeScalars.map { scalar in
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator: scalar.escaped(asASCII: true)
      default: String(scalar)
      }
    }
    let limit = 600
    return printable.count <= limit ? printable.joined() : printable[..<limit].joined() + "…"
  }

  private var message: String {
    switch self {
    case .file(let reason): reason
    case .invalid(let file, let place, let reason): "\(file): invalid checkpoint: \(place): \(reason)"
    case .unsupported(let file, let place, let reason): "\(file): not supported: \(place): \(reason)"
    case .model(let file, let reason): "\(file): not a model that is understood: \(reason)"
    }
  }
}
