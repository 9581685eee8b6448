/// Why a model could not be read, understood or written. Each description is one line.
public enum ONNXError: Error, Sendable, Equatable {
  /// A file that could not be opened, mapped or read.
  case unreadableFile(file: String, reason: String)
  /// A file that is not an ONNX model, or only the beginning of one.
  case notAModel(file: String, reason: String)
  /// A model that breaks a rule of the format, and where it does (node, tensor or value, and the field).
  case invalid(file: String, place: String, reason: String)
  /// A valid model that uses something which is not read here, and where it does.
  case unsupported(file: String, place: String, reason: String)
  /// A tensor whose external data cannot be used.
  case externalData(file: String, tensor: String, reason: String)
  /// An attribute that is missing from its node or holds something else than was asked for.
  case attribute(node: String, attribute: String, reason: String)
  /// A tensor that does not hold what was asked for, or that cannot be made.
  case tensor(name: String, reason: String)
  /// A file that could not be written.
  case cannotWrite(file: String, reason: String)
}

extension ONNXError: CustomStringConvertible {
  /// What is wrong, in one line.
  public var description: String {
    // Names come from files: a line break in one must not break the line, nor a long one fill the screen.
    let printable = message.unicodeScalars.map { scalar in
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator: scalar.escaped(asASCII: true)
      default: String(scalar)
      }
    }
    let limit = 1000
    return printable.count <= limit ? printable.joined() : printable[..<limit].joined() + "…"
  }

  private var message: String {
    switch self {
    case .unreadableFile(let file, let reason): "\(file): cannot be read: \(reason)"
    case .notAModel(let file, let reason): "\(file): not an ONNX model: \(reason)"
    case .invalid(let file, let place, let reason): "\(file): invalid model: \(place): \(reason)"
    case .unsupported(let file, let place, let reason): "\(file): not supported: \(place): \(reason)"
    case .externalData(let file, let tensor, let reason): "\(file): external data of tensor '\(tensor)': \(reason)"
    case .attribute(let node, let attribute, let reason): "node '\(node)': attribute '\(attribute)': \(reason)"
    case .tensor(let name, let reason): "tensor '\(name)': \(reason)"
    case .cannotWrite(let file, let reason): "\(file): cannot be written: \(reason)"
    }
  }
}
