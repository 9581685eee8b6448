import CDefaultModel
import ONNX
import SpanQA
import WordPiece

/// The model that is part of this library: see its card, `ModelCard.md`.
public enum DefaultModel {
  /// The embedded model, prepared anew with `engine`. `QuestionAnswerer.default` is prepared once and shared.
  public static func questionAnswerer(engine: EngineOptions = EngineOptions()) throws -> QuestionAnswerer {
    try QuestionAnswerer(onnx: onnx(), tokenizer: tokenizer(), engine: engine)
  }

  /// The embedded model's graph. The weights are views of this program's read-only data.
  public static func onnx() throws -> Model {
    try Model(bytes: TensorBytes(unowned: bytes(of: sq_default_model_onnx()), owner: ()), name: "embedded model")
  }

  public static func tokenizer() throws -> Tokenizer {
    try Tokenizer(
      vocabulary: bytes(of: sq_default_model_vocabulary()),
      configuration: bytes(of: sq_default_model_tokenizer_configuration()), name: "embedded model")
  }

  private static func bytes(of file: sq_embedded_file) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: file.bytes, count: file.count)
  }
}

extension QuestionAnswerer {
  /// A question answerer with the embedded model, loaded at the first use and shared from then on.
  public static var `default`: QuestionAnswerer {
    get throws { try shared.get() }
  }

  private static let shared = Result { try DefaultModel.questionAnswerer() }
}
