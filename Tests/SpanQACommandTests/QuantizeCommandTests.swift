import Foundation
import Testing

/// `spanqa quantize` as a person runs it, on a minute model.
struct QuantizeCommandTests {
  private static let questions = """
    {"id": "1", "question": "Which river?", "context": "The blue river is in the mountains again.", "answers": [{"text": "blue river", "answer_start": 4}]}
    {"id": "2", "question": "Who wrote?", "context": "The committee wrote about stone and weather.", "answers": [{"text": "committee", "answer_start": 4}]}

    """

  private struct Report: Decodable {
    struct Layer: Decodable {
      var name: String
      var weights_db, activations_db, scale: Double?
    }
    struct Scores: Decodable { var total: Int }
    var method: [String: String]
    var bytes_before, bytes_after: Int
    var embeddings_db: Double?
    var layers: [Layer]
    var worst_layers: [String]
    var before, after: Scores?
  }

  /// A folder with a model and questions.
  private func withModel(_ body: (_ folder: URL, _ model: [String], _ questions: String) throws -> Void) throws {
    try withFolder { folder in
      try MinuteModel.write(to: folder)
      let questions = folder.appending(path: "questions.jsonl")
      try Data(Self.questions.utf8).write(to: questions)
      try body(folder, ["quantize", "--model", folder.path], questions.path)
    }
  }

  @Test func everyOptionShowsInTheReport() throws {
    try withModel { folder, quantize, questions in
      let (output, report) = (folder.appending(path: "int8.onnx").path, folder.appending(path: "report.json").path)
      func run(_ options: String...) throws -> Report {
        let result = try SpanQACommandTests.run(quantize + ["--output", output, "--report", report] + options)
        #expect(result.code == 0, "\(options): \(result.errors)")
        #expect(result.output.contains("most is lost in") && result.output.contains(output + ": "))
        let loaded = try SpanQACommandTests.run(["model", "--model", output])
        #expect(loaded.code == 0 && loaded.output.contains("u8s8f32_gemm"), "\(options): \(loaded.errors)")
        return try JSONDecoder().decode(Report.self, from: Data(contentsOf: URL(filePath: report)))
      }
      let plain = try run()
      #expect(plain.layers.allSatisfy { $0.weights_db ?? 0 > 20 && $0.activations_db == nil } && plain.before == nil)
      #expect(plain.worst_layers.count == 5 && plain.embeddings_db ?? 0 > 20 && plain.bytes_after < plain.bytes_before)
      #expect(plain.method["spanqa.quantization.activations"] == "dynamic")
      let excluded = try run("--exclude", "layer.0.expand", "*.output")
      #expect(excluded.layers.filter { $0.weights_db == nil }.allSatisfy { $0.name == "layer.0.expand" || $0.name.hasSuffix(".output") })
      #expect(excluded.layers.contains { $0.weights_db == nil })
      #expect(excluded.method["spanqa.quantization.excluded"] == "layer.0.expand *.output")
      let kept = try run("--keep-embeddings")
      #expect(kept.embeddings_db == nil && kept.bytes_after > plain.bytes_after)
      let perTensor = try run("--per-tensor")
      #expect(perTensor.bytes_after < plain.bytes_after && perTensor.method["spanqa.quantization.weights"]?.hasSuffix("per tensor") == true)
      for range in ["minmax", "percentile:99.9", "entropy", "mse"] {
        let fixed = try run("--activations", "static", "--calibration", questions, "--range", range, "--samples", "1")
        #expect(fixed.layers.allSatisfy { $0.scale ?? 0 > 0 && $0.activations_db != nil })
        #expect(fixed.method["spanqa.quantization.range"] == range && fixed.method["spanqa.quantization.samples"] == "1")
        #expect(fixed.method["spanqa.quantization.data"] == "questions.jsonl")
      }
      let evaluated = try run("--evaluate", questions)
      #expect(evaluated.before?.total == 2 && evaluated.after?.total == 2)
    }
  }

  @Test func wrongOptionsAreOneLineAndLeaveNothing() throws {
    try withModel { folder, quantize, questions in
      let (model, output) = (folder.appending(path: "model.onnx"), folder.appending(path: "int8.onnx").path)
      let link = folder.appending(path: "link.onnx").path
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: model.path)
      let before = try Data(contentsOf: model)
      let cases: [([String], Int32, String)] = [
        (["--output", output, "--range", "widest", "--activations", "static", "--calibration", questions], 2, "minmax, percentile:P"),
        (["--output", output, "--range", "percentile:50", "--activations", "static", "--calibration", questions], 2, "above 50"),
        (["--output", output, "--range", "mse"], 2, "needs --activations static"),
        (["--output", output, "--activations", "static"], 2, "--calibration"),
        (["--output", output, "--smoothing"], 2, "--calibration"),
        (["--output", output, "--samples", "0"], 2, "from 1 on"),
        (["--output", output, "--exclude", "layer.7.expand"], 1, "layer.7.expand"),
        (["--output", output, "--calibration", folder.path + "/none.json"], 1, "none.json"),
        (["--output", output, "--evaluate", folder.path + "/none.json"], 1, "none.json"),
        (["--output", folder.path + "/none/int8.onnx"], 1, "cannot be written"),
        (["--output", model.path], 1, "name another file"), (["--output", link], 1, "name another file"),
        (["--output", output, "--report", questions, "--calibration", questions], 1, "name another file"),
      ]
      for (options, code, part) in cases {
        let result = try run(quantize + options)
        #expect(result.code == code && result.output.isEmpty, "\(options): \(result)")
        #expect(result.errors.hasPrefix("spanqa: ") && result.errors.contains(part), "\(options): \(result.errors)")
        #expect(result.errors.split(separator: "\n").count == 1, "\(options): \(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: output), "\(options)")
      }
      #expect(try Data(contentsOf: model) == before)
      #expect(try String(contentsOfFile: questions, encoding: .utf8) == Self.questions)
    }
  }
}
