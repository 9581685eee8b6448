import ArgumentParser
import Encoder
import Export
import Lowering
import ONNX
import Quantization
import SQuAD
import SpanQA
import WordPiece

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `spanqa quantize`
struct QuantizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quantize",
    abstract: "Writes a float model in int8, as standard ONNX that other engines run too.",
    discussion: """
      Linear layers get int8 weights, and so do word embeddings; their inputs are quantised as they come (dynamic) or with ranges \
      that calibration on real questions fixes (static). The report tells what is lost, layer by layer.
      """)

  enum Activations: String, CaseIterable, ExpressibleByArgument {
    case dynamic
    case dynamicRows = "dynamic-rows"
    case `static`
  }

  @OptionGroup var model: ModelOption

  @Option(help: ArgumentHelp("Where the int8 model goes.", valueName: "file"))
  var output: String

  @Option(
    help: """
      How the layers' inputs are quantised: dynamic (DynamicQuantizeLinear and MatMulInteger), dynamic-rows (the same with a scale a \
      token in every engine, slower in others than this one) or static (QuantizeLinear and DequantizeLinear; needs --calibration).
      """)
  var activations = Activations.dynamic

  @Option(help: ArgumentHelp("Questions to calibrate on: SQuAD JSON, or JSONL with id, question and context.", valueName: "file"))
  var calibration: String?

  @Option(help: "How many questions to calibrate on, evenly spread over the file.")
  var samples = 256

  @Option(
    help: "How static ranges are chosen: minmax (without this option), percentile:99.99 (any share above 50), entropy or mse.",
    transform: { text in
      guard let method = RangeMethod(text) else {
        throw ValidationError("minmax, percentile:P with P above 50 and up to 100, entropy or mse is expected")
      }
      return method
    })
  var range: RangeMethod?

  @Flag(
    inversion: .prefixedNo,
    help: """
      Move large channels of the layers' inputs into their weights, as far as calibration shows that less is lost. Without either \
      option: where there is --calibration.
      """)
  var smoothing: Bool?

  @Flag(help: "One scale a layer for the weights instead of one an output.")
  var perTensor = false

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Layers that stay in float, as `spanqa model` names them; * stands for any characters.", valueName: "name"))
  var exclude: [String] = []

  @Flag(help: "Leave the word embeddings in float.")
  var keepEmbeddings = false

  @Option(help: ArgumentHelp("Where the report goes as JSON.", valueName: "file"))
  var report: String?

  @Option(help: ArgumentHelp("Questions with answers, to tell EM and F1 before and after.", valueName: "file"))
  var evaluate: String?

  func validate() throws {
    if samples < 1 { throw ValidationError("--samples takes a number from 1 on") }
    if activations == .static, calibration == nil {
      throw ValidationError("static activations need --calibration with questions to take the ranges from")
    }
    if range != nil, activations != .static {
      throw ValidationError("--range is about ranges that are fixed: it needs --activations static")
    }
    if smoothing == true, calibration == nil {
      throw ValidationError("--smoothing needs --calibration with questions that show the layers' inputs")
    }
  }

  func run() throws {
    let inputs = try [model.file()?.path, calibration, evaluate].compactMap(\.self)
    for path in [output, report].compactMap(\.self) {
      try Output.checkWritable(path)
      try Output.checkIsNone(of: inputs, path)
    }
    let questions = try evaluate.map(Self.overview)
    let source = try model.onnx()
    let lowered = try LoweredModel(source)
    let options = QuantizationOptions(
      activations: activations == .static ? .fixed(range ?? .minmax) : .dynamic, perChannel: !perTensor, excluded: exclude,
      keepsEmbeddings: keepEmbeddings)
    var encoder = lowered.model
    var seen = try calibration.map { try calibrate(encoder, on: $0) }
    if isSmoothed, let path = calibration, let inputs = seen {
      encoder = try encoder.smoothed(by: inputs, perChannel: !perTensor, excluded: options.excludes)
      seen = try calibrate(encoder, on: path)
    }
    let quantized = try QuantizedModel(encoder, options: options, calibration: seen)
    let target = try Model(
      quantized.model, interface: ExportInterface(lowered), dynamicForm: activations == .dynamicRows ? .row : .tensor,
      producerVersion: SpanQAVersion.current, metadata: metadata)
    try target.write(to: URL(filePath: output))

    var result = QuantizationSummary(
      quantized, bytesBefore: lowered.model.weightByteCount, bytesAfter: try Self.size(of: output), metadata: metadata)
    if let evaluate, let questions {
      // Both as they run from now on: the new one read back from its file.
      result.before = try scores(of: source, on: evaluate, questions)
      result.after = try scores(of: Model(contentsOf: URL(filePath: output)), on: evaluate, questions)
    }
    for line in result.lines(output: output) { try Output.write(line) }
    if let report { try Output.write(result.json.text + "\n", toFile: report) }
  }

  private var isSmoothed: Bool { smoothing ?? (calibration != nil) }

  private var metadata: [String: String] {
    var entries = [
      "spanqa.version": SpanQAVersion.current,
      "spanqa.quantization.activations": activations.rawValue,
      "spanqa.quantization.weights": perTensor ? "int8 symmetric per tensor" : "int8 symmetric per channel",
      "spanqa.quantization.embeddings": keepEmbeddings ? "kept" : "int8 symmetric per row",
    ]
    if !exclude.isEmpty { entries["spanqa.quantization.excluded"] = exclude.joined(separator: " ") }
    if let calibration {
      entries["spanqa.quantization.data"] = URL(filePath: calibration).lastPathComponent
      entries["spanqa.quantization.samples"] = String(samples)
      entries["spanqa.quantization.smoothing"] = isSmoothed ? "inputs' channels into weights" : "none"
      if activations == .static { entries["spanqa.quantization.range"] = (range ?? .minmax).description }
    }
    return entries
  }

  private func calibrate(_ encoder: DistilBERT, on path: String) throws -> Calibration {
    let engine = EngineOptions()
    let questions = try CalibrationQuestions(
      path: path, samples: samples, tokenizer: model.tokenizer(), positions: encoder.configuration.positions)
    let calibration = Calibration()
    let backend = try CPUBackend(threads: model.threads, precision: .float32, observer: calibration.observer)
    var bar = ProgressBar("calibration questions", total: questions.windows.count)
    try questions.run(through: Encoder(encoder, backend: backend), tokenBudget: engine.tokenBudget) { bar.update($0) }
    bar.finish()
    return calibration
  }

  /// Reads the questions of a file through, so that a mistake in it shows before anything is written.
  private static func overview(of path: String) throws -> DatasetOverview {
    let overview = try DatasetOverview(path: path)
    if overview.questions == 0 { throw EmptyDataset(path: path) }
    return overview
  }

  private func scores(of onnx: Model, on path: String, _ overview: DatasetOverview) throws -> EvaluationReport.Scores {
    let answerer = try QuestionAnswerer(onnx: onnx, tokenizer: model.tokenizer(), engine: model.engine)
    let run = try EvaluationRun(
      questions: QuestionStream(path: path, limit: overview.questions), total: overview.questions,
      version: overview.version,
      batcher: answerer.batcher(options: Options(handleImpossibleAnswer: overview.version == .v2)))
    return try run.report().overall
  }

  private static func size(of path: String) throws -> Int {
    try Data(contentsOf: URL(filePath: path), options: .mappedIfSafe).count
  }
}

extension ExportInterface {
  /// The names that a model's own graph has.
  init(_ lowered: LoweredModel) {
    let outputs: Outputs =
      switch lowered.outputs {
      case .spans(let start, let end): .spans(start: start, end: end)
      case .logits(let name, _), .hiddenState(let name, _): .values(name: name)
      }
    self.init(
      inputIDs: lowered.inputs.inputIDs, attentionMask: lowered.inputs.attentionMask,
      tokenTypes: lowered.inputs.tokenTypes ?? "token_type_ids", outputs: outputs)
  }
}
