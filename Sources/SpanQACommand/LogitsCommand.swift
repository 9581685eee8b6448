import ArgumentParser
import Encoder
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
      {"start_logits": [[…]], "end_logits": [[…]]}, with null where the mask is 0.
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
    let result = try model.encoder().forward(packed)
    let json = JSON.object(
      ["start_logits", "end_logits"].enumerated().map { column, name in
        (name, batch.unpack(column, of: result))
      })
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

  /// One output of every token, where the token stood in its padded row.
  func unpack(_ column: Int, of output: EncoderOutput) -> JSON {
    .array(
      input_ids.indices.map { row in
        var values = output.column(column, ofSequence: row)[...]
        return .array(
          input_ids[row].indices.map { index in
            (attention_mask?[row][index] ?? 1) == 0 ? .null : .float(values.removeFirst())
          })
      })
  }
}
