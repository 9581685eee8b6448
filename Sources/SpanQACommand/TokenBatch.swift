import Encoder
import SpanQA

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A batch of token ids as JSON has it. The members are named as the models' inputs are.
struct TokenBatch: Decodable {
  var input_ids: [[Int32]]
  var attention_mask: [[Int32]]?
  var token_type_ids: [[Int32]]?

  /// Reads a batch.
  init(contentsOf path: String) throws {
    let text = try TextInput.contents(of: path)
    do {
      self = try JSONDecoder().decode(TokenBatch.self, from: Data(text.utf8))
    } catch {
      throw InputError.notJSON(
        path, line: nil, expected: #"a JSON object {"input_ids": [[…]], "attention_mask": [[…]]} of whole numbers"#)
    }
  }

  func packed() throws -> PackedBatch {
    try PackedBatch(inputIDs: input_ids, attentionMask: attention_mask, tokenTypeIDs: token_type_ids)
  }

  func padded() throws -> PaddedBatch {
    try PaddedBatch(inputIDs: input_ids, attentionMask: attention_mask, tokenTypeIDs: token_type_ids)
  }

  /// What `value` makes of the numbers of each token, where the token stood in its padded row; null elsewhere.
  func rows(of output: EncoderOutput, _ value: (ArraySlice<Float>) -> JSON) -> JSON {
    var token = 0
    return .array(
      input_ids.enumerated().map { row, ids in
        .array(
          ids.indices.map { column in
            if attention_mask?[row][column] == 0 { return .null }
            defer { token += 1 }
            return value(output.values[token * output.outputs..<(token + 1) * output.outputs])
          })
      })
  }
}
