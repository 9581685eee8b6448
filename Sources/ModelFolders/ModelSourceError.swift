/// Why a model cannot be taken from where it lies. Each description is one line.
public enum ModelSourceError: Error, Equatable, CustomStringConvertible {
  case notFound(String)
  case unknownFile(String)
  case noWeights(folder: String)
  case inParts(String)
  case notUnderstood(file: String, reason: String)
  case quantized(file: String)
  case notFinite(file: String, part: String)
  case epsilons(file: String)
  case noTokenizer(weights: String)

  public var description: String {
    switch self {
    case .notFound(let path):
      "\(path): no such file or folder; name a model folder, or an .onnx, .safetensors or .bin file"
    case .unknownFile(let path):
      "\(path): its name does not say what it is; name a model folder, or an .onnx, .safetensors or .bin file"
    case .noWeights(let folder):
      "\(folder): holds no model: neither an .onnx file nor model.safetensors nor pytorch_model.bin"
    case .inParts(let index):
      "\(index): a model in several files is not read; save it in one (transformers' save_pretrained with a large max_shard_size)"
    case .notUnderstood(let file, let reason):
      "\(file): not understood as an encoder with a head: \(reason)"
    case .quantized(let file):
      "\(file): the model is quantised: start from the float32 model that it was made from"
    case .notFinite(let file, let part):
      "\(file): \(part) holds a value that is not finite: the file is damaged"
    case .epsilons(let file):
      "\(file): the model's LayerNorms have several epsilons, where a DistilBERT has one"
    case .noTokenizer(let weights):
      "\(weights): neither tokenizer.json nor vocab.txt lies beside it or one folder up; copy the model's vocabulary there"
    }
  }
}
