/// What becomes int8, and how.
public struct QuantizationOptions: Sendable {
  public enum Activations: Sendable, Equatable {
    /// Quantised as they come.
    case dynamic
    /// With a scale and zero point that were chosen from what calibration saw.
    case fixed(RangeMethod)
  }

  public var activations: Activations
  /// One scale an output instead of one a layer.
  public var perChannel: Bool
  /// Linear layers that stay as they are, by name: `layer.0.attention.query`; a `*` stands for any characters.
  public var excluded: [String]
  /// Whether the word embeddings stay as they are.
  public var keepsEmbeddings: Bool

  public init(
    activations: Activations = .dynamic, perChannel: Bool = true, excluded: [String] = [], keepsEmbeddings: Bool = false
  ) {
    self.activations = activations
    self.perChannel = perChannel
    self.excluded = excluded
    self.keepsEmbeddings = keepsEmbeddings
  }

  /// Whether a linear layer of this name stays as it is.
  public func excludes(_ name: String) -> Bool { excluded.contains { Self.matches(name, $0) } }

  /// Whether a name is what a pattern says, in which `*` stands for any characters.
  static func matches(_ name: String, _ pattern: String) -> Bool {
    let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
    guard parts.count > 1, let first = parts.first, let last = parts.last else { return name == pattern }
    guard name.hasPrefix(first) else { return false }
    var rest = name.dropFirst(first.count)
    for part in parts.dropFirst().dropLast() where !part.isEmpty {
      guard let place = rest.firstRange(of: part) else { return false }
      rest = rest[place.upperBound...]
    }
    return rest.hasSuffix(last)
  }
}

/// Why a model cannot be quantised.
public enum QuantizationError: Error, Equatable, CustomStringConvertible {
  case alreadyQuantized(layer: String)
  case notCalibrated(layer: String)
  case unknownLayer(String, known: [String])
  case notFinite(layer: String)

  public var description: String {
    switch self {
    case .alreadyQuantized(let layer):
      "\(layer) is quantised already: start from the float model"
    case .notCalibrated(let layer):
      "fixed activations need calibration, and nothing was seen of the input of \(layer): give --calibration questions"
    case .unknownLayer(let name, let known):
      "no linear layer is called '\(name)'; the model has \(known.joined(separator: ", "))"
    case .notFinite(let layer):
      "\(layer) has weights that are not finite; repair the model or exclude the layer"
    }
  }
}
