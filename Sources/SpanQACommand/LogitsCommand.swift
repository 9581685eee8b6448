import ArgumentParser
import Encoder
import Lowering
import SpanQA

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `spanqa logits`
struct LogitsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logits",
    abstract: "Runs the model on token ids and writes its raw outputs.",
    discussion: """
      The input holds {"input_ids": [[…]], "attention_mask": [[…]]}, the mask and "token_type_ids" being optional; the output \
      {"start_logits": [[…]], "end_logits": [[…]]}, with null where the mask is 0. A model without these two outputs gives \
      its own by name, with a list of values a token.
      """)

  @OptionGroup var model: ModelOption

  @Option(help: ArgumentHelp("The batch, as JSON (- for standard input).", valueName: "file|-"))
  var input: String

  @Option(help: ArgumentHelp("Where the logits go, as JSON. Without it: standard output.", valueName: "file"))
  var output: String?

  func run() throws {
    let text = try TextInput.contents(of: input)
    let batch: TokenBatch
    do {
      batch = try JSONDecoder().decode(TokenBatch.self, from: Data(text.utf8))
    } catch {
      throw InputError.notJSON(
        input, line: nil, expected: #"a JSON object {"input_ids": [[…]], "attention_mask": [[…]]} of whole numbers"#)
    }
    let packed = try PackedBatch(
      inputIDs: batch.input_ids, attentionMask: batch.attention_mask, tokenTypeIDs: batch.token_type_ids)
    let lowered = try LoweredModel(model.onnx())
    let result = try Encoder(
      lowered.model, backend: model.backend, threads: model.threads, precision: model.precision
    ).forward(packed)
    let json = batch.unpack(result, outputs: lowered.outputs)
    if let output {
      try Output.write(json.text + "\n", toFile: output)
    } else {
      try Output.write(json.text)
    }
  }
}

/// The members are named as the models' inputs are.
private struct TokenBatch: Decodable {
  var input_ids: [[Int32]]
  var attention_mask: [[Int32]]?
  var token_type_ids: [[Int32]]?

  /// The outputs by name, every token's where the token stood in its padded row.
  func unpack(_ output: EncoderOutput, outputs: LoweredModel.Outputs) -> JSON {
    switch outputs {
    case .spans, .logits(_, width: 2):
      .object([
        ("start_logits", rows(of: output) { .float($0[0]) }),
        ("end_logits", rows(of: output) { .float($0[1]) }),
      ])
    case .logits(let name, _), .hiddenState(let name, _):
      .object([(name, rows(of: output) { .array($0.map(JSON.float)) })])
    }
  }

  private func rows(of output: EncoderOutput, _ value: ([Float]) -> JSON) -> JSON {
    var token = 0
    return .array(
      input_ids.enumerated().map { row, ids in
        .array(
          ids.indices.map { column in
            if attention_mask?[row][column] == 0 { return .null }
            defer { token += 1 }
            return value(Array(output.values[token * output.outputs..<(token + 1) * output.outputs]))
          })
      })
  }
}
