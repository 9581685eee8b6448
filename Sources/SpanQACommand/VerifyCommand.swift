import ArgumentParser
import Interpreter
import ONNX
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

      --against compares both executors' outputs with those of a file, in the form that `spanqa logits` writes. A graph that the fused \
      encoder does not understand is compared with that alone.

      --values compares node by node instead: the file is an ONNX file whose initialisers are what another runtime had as the graph's \
      inputs and as its nodes' outputs, by name. Each node runs by itself on these, so that no difference grows from node to node. \
      Printed are, for each operator, the largest difference, as a part of the largest magnitude for floats, and how many numbers \
      differ. The exit code is 1 where one exceeds the tolerance, or integers differ by more than 1.
      """)

  @OptionGroup var model: ModelOption

  @Option(help: ArgumentHelp("The batch, as JSON (- for standard input). Without it: a random one.", valueName: "file|-"))
  var inputs: String?

  @Option(help: ArgumentHelp("Outputs made elsewhere for the same batch, as JSON.", valueName: "file"))
  var against: String?

  @Option(help: ArgumentHelp("What another runtime had as inputs and as each node's outputs.", valueName: "file.onnx"))
  var values: String?

  @Option(help: "The largest absolute difference allowed.")
  var tolerance: Float = 1e-4

  @Option(help: "What the random batch is made from.")
  var seed: UInt64 = 1

  func validate() throws {
    guard tolerance >= 0 else { throw ValidationError("--tolerance takes a number from 0 on") }
    guard against == nil || inputs != nil else { throw ValidationError("--against needs --inputs, the batch of its outputs") }
    guard values == nil || inputs == nil && against == nil else {
      throw ValidationError("--values holds the inputs as well; leave out --inputs and --against")
    }
  }

  func run() throws {
    if let values { return try checkNodes(on: values) }
    let verification = try Verification(model.onnx(), engine: model.engine)
    var differences: [Verification.Difference] = []
    let batch = try inputs.map { try TokenBatch(contentsOf: $0).padded() } ?? verification.randomBatch(seed: seed)
    if let refusal = verification.refusal, against != nil {
      try Output.warn("the graph is compared node by node only, because of \(refusal)")
    } else {
      differences = try verification.run(batch, tolerance: tolerance)
    }
    if let against {
      let reference = try ReferenceOutputs(contentsOf: against)
      differences += try verification.run(batch, against: reference.outputs, tolerance: tolerance)
    }
    var table = TextTable([("value", .left), ("absolute", .left), ("relative", .left), ("beyond \(tolerance)", .left)])
    for difference in differences {
      let place = difference.firstBeyond.map {
        "row \($0.row), token \($0.column), element \($0.element): \($0.found), expected \($0.expected)"
      }
      table.add([difference.name, "\(difference.absolute)", "\(difference.relative)", place ?? "nowhere"])
    }
    for line in table.lines { try Output.write(line) }
    if differences.contains(where: { $0.firstBeyond != nil }) { throw ExitCode.failure }
  }

  /// What `--values` prints: the nodes of each operator together.
  private func checkNodes(on path: String) throws {
    let checks = try Verification.nodes(of: model.onnx(), on: Model(contentsOf: URL(filePath: path)).graph.initializers)
    guard !checks.isEmpty else { throw InputError.noValues(path) }
    var table = TextTable([
      ("operator", .left), ("values", .right), ("numbers", .right), ("differ", .right), ("absolute", .left), ("relative", .left),
      ("beyond", .left),
    ])
    var fails = false
    for (name, checks) in Dictionary(grouping: checks, by: \.operatorType).sorted(by: { $0.key < $1.key }) {
      func isBeyond(_ check: NodeCheck) -> Bool {
        check.isFloatingPoint ? !(check.relative <= Double(tolerance)) : check.absolute > 1
      }
      let first = checks.first(where: isBeyond)
      fails = fails || first != nil
      table.add([
        name, "\(checks.count)", "\(checks.reduce(0) { $0 + $1.count })", "\(checks.reduce(0) { $0 + $1.differing })",
        "\(Float(checks.map(\.absolute).max() ?? 0))", "\(Float(checks.map(\.relative).max() ?? 0))",
        first.map { "'\($0.output)'" } ?? "nowhere",
      ])
    }
    for line in table.lines { try Output.write(line) }
    if fails { throw ExitCode.failure }
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
