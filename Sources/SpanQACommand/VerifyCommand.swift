import ArgumentParser
import SpanQA

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `spanqa verify`
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Compares the fused encoder with the model's graph run node by node.",
    discussion: """
      Both run on the same inputs, random ones with padding unless --inputs names a batch (as `spanqa logits` takes it). Printed are, \
      for the hidden state after the embeddings and after each layer and for the outputs, the largest difference, that as a \
      part of the largest magnitude, and the first number that differs by more than the tolerance. The exit code is then 1.

      --against compares both executors' outputs with those of a file, in the form that `spanqa logits` writes.
      """)

  @OptionGroup var model: ModelOption

  @Option(help: ArgumentHelp("The batch, as JSON (- for standard input). Without it: a random one.", valueName: "file|-"))
  var inputs: String?

  @Option(help: ArgumentHelp("Outputs made elsewhere for the same batch, as JSON.", valueName: "file"))
  var against: String?

  @Option(help: "The largest absolute difference allowed.")
  var tolerance: Float = 1e-4

  @Option(help: "What the random batch is made from.")
  var seed: UInt64 = 1

  func validate() throws {
    guard tolerance >= 0 else { throw ValidationError("--tolerance takes a number from 0 on") }
    guard against == nil || inputs != nil else { throw ValidationError("--against needs --inputs, the batch of its outputs") }
  }

  func run() throws {
    let verification = try Verification(model.onnx(), engine: model.engine)
    let batch = try inputs.map { try TokenBatch(contentsOf: $0).padded() } ?? verification.randomBatch(seed: seed)
    var differences = try verification.run(batch, tolerance: tolerance)
    if let against {
      let reference = try ReferenceOutputs(contentsOf: against)
      differences += try verification.run(batch, against: reference.outputs, tolerance: tolerance)
    }
    let width = max(8, differences.map(\.name.count).max() ?? 0)
    func cell(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
    try Output.write("\(cell("value", width))  \(cell("absolute", 14))  \(cell("relative", 14))  beyond \(tolerance)")
    for difference in differences {
      let place = difference.firstBeyond.map {
        "row \($0.row), token \($0.column), element \($0.element): \($0.found), expected \($0.expected)"
      }
      try Output.write(
        "\(cell(difference.name, width))  \(cell("\(difference.absolute)", 14))  \(cell("\(difference.relative)", 14))  "
          + (place ?? "nowhere"))
    }
    if differences.contains(where: { $0.firstBeyond != nil }) { throw ExitCode.failure }
  }
}

/// Outputs as `spanqa logits` writes them: numbers, or lists of them, for each token, null for padding.
private struct ReferenceOutputs {
  /// The numbers of the tokens alone, end to end, by the output's name.
  var outputs: [String: [Float]] = [:]

  /// What one token has: a number, or a list of them.
  private struct Token: Decodable {
    var numbers: [Float]

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let number = try? container.decode(Float.self) {
        numbers = [number]
      } else {
        numbers = try container.decode([Float].self)
      }
    }
  }

  init(contentsOf path: String) throws {
    let text = try TextInput.contents(of: path)
    do {
      let decoded = try JSONDecoder().decode([String: [[Token?]]].self, from: Data(text.utf8))
      outputs = decoded.mapValues { rows in rows.joined().flatMap { token in token?.numbers ?? [] } }
    } catch {
      throw InputError.notJSON(
        path, line: nil, expected: #"a JSON object {"start_logits": [[…]], "end_logits": [[…]]} of numbers"#)
    }
  }
}
