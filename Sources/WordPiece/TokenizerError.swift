/// Why a tokeniser could not be made. Each description is one line that names the file and the field and says what to
/// do.
public enum TokenizerError: Error, Sendable, Equatable {
  /// A file that could not be opened or read.
  case unreadableFile(file: String, reason: String)
  /// A file whose content breaks a rule, and where (a line or a field).
  case invalid(file: String, place: String, reason: String)
  /// A valid file that asks for something which is not done here, and where it does.
  case unsupported(file: String, place: String, reason: String)
  /// A special token that the vocabulary lacks; `option` is the setting that names it.
  case missingToken(file: String, option: String, token: String)
}

extension TokenizerError: CustomStringConvertible {
  public var description: String {
    // Tokens and fields of a hostile file may hold line breaks and be of any length.
    let text = message.unicodeScalars.map { $0.value < 0x20 ? $0.escaped(asASCII: true) : String($0) }.joined()
    return text.count > 1000 ? text.prefix(1000) + "…" : text
  }

  private var message: String {
    switch self {
    case .unreadableFile(let file, let reason): "\(file): cannot be read: \(reason)"
    case .invalid(let file, let place, let reason): "\(file): invalid: \(place): \(reason)"
    case .unsupported(let file, let place, let reason): "\(file): not supported: \(place): \(reason)"
    case .missingToken(let file, let option, let token):
      "\(file): the vocabulary lacks \(option) '\(token)'; add it, or name the token that it uses instead"
    }
  }
}
