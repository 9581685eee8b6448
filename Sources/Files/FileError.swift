/// Why a file could not be read or written, in one line.
package enum FileError: Error, Equatable, CustomStringConvertible {
  case unreadable(file: String, reason: String)
  case cannotWrite(file: String, reason: String)

  package var description: String {
    switch self {
    case .unreadable(let file, let reason): "\(file): cannot be read: \(reason)"
    case .cannotWrite(let file, let reason): "\(file): cannot be written: \(reason)"
    }
  }
}
