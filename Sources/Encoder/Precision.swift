/// In which numbers linear layers compute.
public enum Precision: String, Sendable, CaseIterable {
  /// As the file has them: int8 layers in int8, float layers in float32.
  case automatic = "auto"
  /// Float32 throughout; integer weights become the real numbers that they stand for.
  case float32
  /// int8 throughout; float weights and word embeddings are quantised when the model is loaded, as `DistilBERT.Weights.quantized`
  /// and `DistilBERT.EmbeddingTable.quantized` have it.
  case int8
}
