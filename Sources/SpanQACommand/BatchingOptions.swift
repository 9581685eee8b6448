import ArgumentParser
import SpanQA

/// How windows are put into batches.
struct BatchingOptions: ParsableArguments {
  @Option(help: "How many tokens are computed at once, at most: bounds the memory.")
  var tokenBudget = EngineOptions().tokenBudget

  @Option(
    help: ArgumentHelp(
      "Compute rows of padding too, for comparison: none, longest (of the batch) or fixed:384. The answers stay the same.",
      valueName: "none|longest|fixed:n"))
  var padding = Padding.none

  func validate() throws {
    if tokenBudget < 1 { throw ValidationError("--token-budget takes a number from 1 on") }
  }
}

extension Padding: ExpressibleByArgument {
  public init?(argument: String) {
    switch argument {
    case "none": self = .none
    case "longest": self = .longest
    default:
      let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, parts[0] == "fixed", let length = Int(parts[1]), length > 0 else { return nil }
      self = .fixed(length)
    }
  }

  public var defaultValueDescription: String {
    switch self {
    case .none: "none"
    case .longest: "longest"
    case .fixed(let length): "fixed:\(length)"
    }
  }
}
