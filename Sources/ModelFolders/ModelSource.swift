import Checkpoints
import Encoder
import FineTuning
import Lowering
import ONNX
import SpanQA
import WordPiece

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A float model to start from, taken from any file or folder that holds one, with what belongs to it.
///
/// Read are ONNX graphs that `LoweredModel` understands, safetensors and PyTorch checkpoints of transformers' DistilBERT and BERT. What
/// comes out is always a DistilBERT for question answering: token type 0 of a BERT is folded into the positions, and a bare encoder, or
/// one with a head for another task, gets a fresh head.
public struct ModelSource: Sendable {
  /// With a head of two outputs and without token types. Weights may be float16 or bfloat16, as views of the file.
  public var model: DistilBERT
  /// What `config.json` is to say: `kind` is `.distilBERT`.
  public var configuration: ModelConfiguration
  public var tokenizer: TokenizerFiles
  /// The file that the weights came from.
  public var weightsFile: URL
  /// Whether there was no head for question answering, so that the model's is made of random numbers and has to be trained.
  public var hasFreshHead: Bool
  /// What was done to the model on the way, a line each.
  public var notes: [String]

  /// Takes the model at `location`: a folder as the hub lays it out, or one file.
  ///
  /// In a folder `model.onnx` and `onnx/model.onnx` go before `model.safetensors`, and that before `pytorch_model.bin`; an ONNX file that
  /// is quantised or not understood is passed over where another follows, and a note says so.
  ///
  /// - Parameter headSeed: what the numbers of a fresh head are drawn from.
  /// - Throws: an error that names the file, and the tensor, node or field in it, that stands in the way.
  public init(at location: URL, headSeed: UInt64 = 0) throws {
    var notes: [String] = []
    var candidates = try WeightsFile.candidates(at: location)
    var found: (model: DistilBERT, configuration: ModelConfiguration)?
    var file = candidates.removeFirst()
    while found == nil {
      do {
        found = try Self.read(file, &notes)
      } catch {
        guard error is ModelSourceError, !candidates.isEmpty else { throw error }
        let next = candidates.removeFirst()
        notes.append("\(error); \(next.url.lastPathComponent) is taken instead")
        file = next
      }
    }
    guard var (model, configuration) = found else { throw ModelSourceError.noWeights(folder: location.path) }

    if configuration.kind == .bert || model.embeddings.tokenTypes != nil {
      notes.append("BERT becomes DistilBERT: the embedding of token type 0 is added to every position's, and token types are gone")
      model = model.foldingTokenTypes()
      if model.head?.weights.outputs == 2 {
        notes.append("a BERT's head was trained on passages of token type 1, which are gone: train it again before use")
      }
    }
    if let head = model.head, head.weights.outputs != 2 {
      notes.append("the head gives \(head.weights.outputs) values a token and question answering needs 2: it is left out")
      model.head = nil
    }
    hasFreshHead = model.head == nil
    if hasFreshHead {
      notes.append("the question-answering head is fresh, from seed \(headSeed): it has to be trained")
      model.head = .freshHead(hidden: model.configuration.hidden, seed: headSeed)
    }
    configuration.kind = .distilBERT
    configuration.heads = model.configuration.heads
    configuration.layers = model.configuration.layers
    configuration.activation = model.configuration.activation
    configuration.normEpsilon = model.normEpsilon
    if model.normEpsilon != ModelConfiguration.distilBERTNormEpsilon {
      notes.append(
        "LayerNorm's epsilon is \(model.normEpsilon), and transformers' DistilBERT takes \(ModelConfiguration.distilBERTNormEpsilon): "
          + "there the safetensors give slightly other logits than the ONNX file")
    }

    let folders = [file.url.deletingLastPathComponent(), file.url.deletingLastPathComponent().deletingLastPathComponent()]
    guard let folder = folders.first(where: ModelFiles.holdsTokenizer) else {
      throw ModelSourceError.noTokenizer(weights: file.url.path)
    }
    tokenizer = try TokenizerFiles(folder: folder)
    try ModelMismatch.check(vocabulary: tokenizer.tokenizer.vocabulary, embeddingRows: model.configuration.vocabulary)
    self.model = model
    self.configuration = configuration
    self.weightsFile = file.url
    self.notes = notes
  }

  /// Whether a file's name is a checkpoint's, and not an ONNX graph's.
  package static func isCheckpoint(_ file: URL) -> Bool {
    switch WeightsFile(file) {
    case .safetensors, .pyTorch: true
    case .onnx, nil: false
    }
  }

  // MARK: Formats

  private static func read(_ file: WeightsFile, _ notes: inout [String]) throws -> (DistilBERT, ModelConfiguration) {
    let path = file.url.path
    switch file {
    case .onnx: return try read(onnx: file.url, &notes)
    case .safetensors: return try read(Checkpoint(safetensors: path), at: file.url, &notes)
    case .pyTorch: return try read(Checkpoint(pyTorch: path), at: file.url, &notes)
    }
  }

  private static func read(
    _ checkpoint: Checkpoint, at file: URL, _ notes: inout [String]
  ) throws -> (DistilBERT, ModelConfiguration) {
    let configuration = try ModelConfiguration(contentsOf: configurationFile(of: file).path)
    var ignored: [String] = []
    let model = try DistilBERT(checkpoint, configuration: configuration, ignored: &ignored)
    // A buffer with the numbers 0, 1, 2, … in older checkpoints, no weights.
    ignored.removeAll { $0.hasSuffix("embeddings.position_ids") }
    if !ignored.isEmpty {
      let few = 6
      let names = ignored.prefix(few).joined(separator: ", ") + (ignored.count > few ? ", …" : "")
      notes.append("left out, as question answering has no place for them: \(ignored.count) tensors (\(names))")
    }
    let types = Set(checkpoint.tensors.map(\.elementType)).intersection([.float64, .float16, .bfloat16])
    if !types.isEmpty {
      notes.append("\(types.map(\.rawValue).sorted().joined(separator: " and ")) weights are taken as float32")
    }
    return (model, configuration)
  }

  private static func read(onnx file: URL, _ notes: inout [String]) throws -> (DistilBERT, ModelConfiguration) {
    let lowered: LoweredModel
    do {
      lowered = try LoweredModel(Model(contentsOf: file))
    } catch let error as LoweringError {
      throw ModelSourceError.notUnderstood(file: file.path, reason: "\(error)")
    }
    let model = lowered.model
    for part in model.parts {
      if part.isQuantized { throw ModelSourceError.quantized(file: file.path) }
      if part.values.contains(where: { $0.firstNonFinite() != nil }) { throw ModelSourceError.notFinite(file: file.path, part: part.name) }
    }
    guard model.hasOneEpsilon else { throw ModelSourceError.epsilons(file: file.path) }
    if lowered.weightPrecision != "float32" { notes.append("\(lowered.weightPrecision) weights are taken as float32") }

    // The graph says all but the probabilities of dropout.
    var configuration = ModelConfiguration(heads: model.configuration.heads)
    let configurationFile = configurationFile(of: file)
    if FileManager.default.fileExists(atPath: configurationFile.path) {
      do {
        configuration = try ModelConfiguration(contentsOf: configurationFile.path)
      } catch {
        notes.append("not used: \(error)")
      }
    }
    configuration.kind = .distilBERT
    return (model, configuration)
  }

  /// `config.json` beside a file, or one folder up.
  private static func configurationFile(of file: URL) -> URL {
    let folder = file.deletingLastPathComponent()
    let places = [folder, folder.deletingLastPathComponent()].map { $0.appending(path: "config.json") }
    return places.first { FileManager.default.fileExists(atPath: $0.path) } ?? places[0]
  }
}

extension DistilBERT {
  /// A tensor or several that make one part of the model.
  fileprivate struct Part {
    var name: String
    var values: [Parameter]
    var isQuantized: Bool
  }

  fileprivate var parts: [Part] {
    func table(_ name: String, _ table: EmbeddingTable) -> Part {
      Part(name: name, values: [table.values], isQuantized: table.quantization != nil)
    }
    func vector(_ values: [Float]) -> Parameter { Parameter(values, shape: [values.count]) }
    func norm(_ name: String, _ norm: LayerNorm) -> Part {
      Part(name: name, values: [vector(norm.scale), vector(norm.bias)], isQuantized: false)
    }
    func linear(_ linear: Linear) -> Part {
      let weights = linear.weights
      return Part(
        name: linear.name, values: [weights.values, vector(linear.bias)],
        isQuantized: weights.quantization != nil || weights.activation != nil)
    }
    var parts = [
      table("the word embeddings", embeddings.words), table("the position embeddings", embeddings.positions),
      norm("the embeddings' LayerNorm", embeddings.norm),
    ]
    if let types = embeddings.tokenTypes { parts.append(table("the token type embeddings", types)) }
    for (index, layer) in layers.enumerated() {
      parts += [layer.query, layer.key, layer.value, layer.attentionOutput, layer.expand, layer.contract].map(linear)
      parts += [norm("layer.\(index).attention.norm", layer.attentionNorm), norm("layer.\(index).output.norm", layer.outputNorm)]
    }
    if let head { parts.append(linear(head)) }
    return parts
  }

  fileprivate var hasOneEpsilon: Bool {
    layers.allSatisfy { $0.attentionNorm.epsilon == embeddings.norm.epsilon && $0.outputNorm.epsilon == embeddings.norm.epsilon }
  }
}
