import Checkpoints
import Foundation
import ONNX
import SpanQA
import Testing

/// The command as a person runs it: the built program, its output, its errors, its exit codes.
struct CommandTests {
  static let passage = "The forest is in Brazil, with 60% of it, followed by Peru with 13%."

  @Test func answersFromEverySource() throws {
    let question = ["answer", "--question", "How much is in Peru?"]
    #expect(try run(question + ["--passage", Self.passage]).output == "13%\n")
    #expect(try run(question, input: Data(Self.passage.utf8)).output == "13%\n")
    #expect(try run(question + ["--passage-file", "-"], input: Data(Self.passage.utf8)).output == "13%\n")
    try withFolder { folder in
      let file = folder.appending(path: "passage.txt")
      try Data(Self.passage.utf8).write(to: file)
      #expect(try run(question + ["--passage-file", file.path]).output == "13%\n")
    }
  }

  @Test func json() throws {
    struct Printed: Decodable {
      struct Span: Decodable {
        var answer: String
        var start, end: Int
        var score: Double
      }
      var answer: String
      var start, end: Int
      var score, no_answer_score: Double
      var alternatives: [Span]
    }
    let passage = "🎉 " + Self.passage
    let result = try run([
      "answer", "--question", "How much is in Peru?", "--passage", passage, "--json", "--top-k", "3",
    ])
    let printed = try JSONDecoder().decode(Printed.self, from: Data(result.output.utf8))
    #expect(printed.answer == "13%" && printed.alternatives.count == 2)
    let scalars = Array(passage.unicodeScalars)[printed.start..<printed.end]
    #expect(String(String.UnicodeScalarView(scalars)) == "13%")
  }

  @Test func tokens() throws {
    #expect(
      try run(["tokenize", "--json", "Zürich, 🎉!"]).output
        == #"{"ids": [10204, 1010, 100, 999], "tokens": ["zurich", ",", "[UNK]", "!"], "offsets": [[0, 6], [6, 7], [8, 9], [9, 10]]}"#
        + "\n")
    let lines = try run(["tokenize", "--jsonl", "-"], input: Data("\"a b\"\n\"\"\n".utf8)).output
    #expect(
      lines == """
        {"ids": [1037, 1038], "tokens": ["a", "b"], "offsets": [[0, 1], [2, 3]]}
        {"ids": [], "tokens": [], "offsets": []}

        """)
    let special = try run(["tokenize", "--json", "--special", "a"]).output
    #expect(special.contains(#"["[CLS]", "a", "[SEP]"]"#))
  }

  @Test func logitsKeepTheShapeOfTheBatch() throws {
    let batch = #"{"input_ids": [[101, 2040, 102, 0], [0, 101, 2040, 102]], "attention_mask": [[1, 1, 1, 0], [0, 1, 1, 1]]}"#
    let result = try run(["logits", "--input", "-"], input: Data(batch.utf8))
    let rows = try JSONDecoder().decode([String: [[Float?]]].self, from: Data(result.output.utf8))
    #expect(Set(rows.keys) == ["start_logits", "end_logits"])
    for values in rows.values {
      #expect(values.map { $0.map { $0 != nil } } == [[true, true, true, false], [false, true, true, true]])
    }
    try withFolder { folder in
      let file = folder.appending(path: "out.json").path
      _ = try run(["logits", "--input", "-", "--output", file], input: Data(batch.utf8))
      #expect(try String(contentsOfFile: file, encoding: .utf8) == result.output)
    }
  }

  /// Files are replaced; links, pipes and devices are not.
  @Test func outputGoesWhereANameLeads() throws {
    let batch = Data(#"{"input_ids": [[101, 2040, 102]]}"#.utf8)
    let expected = try run(["logits", "--input", "-"], input: batch).output
    try withFolder { folder in
      func write(to file: URL) throws { #expect(try run(["logits", "--input", "-", "--output", file.path], input: batch).code == 0) }
      let (file, link, pipe) = (folder.appending(path: "file"), folder.appending(path: "link"), folder.appending(path: "pipe"))
      try Data("old".utf8).write(to: file)
      try FileManager.default.createSymbolicLink(at: link, withDestinationURL: file)
      try write(to: link)
      #expect(try String(contentsOf: file, encoding: .utf8) == expected)
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link.path) == file.path)
      #expect(mkfifo(pipe.path, 0o600) == 0)
      let reader = open(pipe.path, O_RDONLY | O_NONBLOCK)
      defer { close(reader) }
      try write(to: pipe)
      var bytes = [UInt8](repeating: 0, count: 4096)
      let count = bytes.withUnsafeMutableBytes { read(reader, $0.baseAddress, $0.count) }
      #expect(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self) == expected)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["file", "link", "pipe"])
      let unwritable = try run(["logits", "--input", "-", "--output", folder.path], input: batch)
      #expect(unwritable.code == 1 && unwritable.errors.contains("cannot be written"))
    }
  }

  @Test func modelSaysWhatItIs() throws {
    let text = try run(["model", "--passes"]).output
    for fact in ["layers", "6", "hidden", "384", "int8 per channel", "input_ids", "attention"] {
      #expect(text.contains(fact))
    }
    let json = try run(["model", "--json"]).output
    let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
    #expect(object?["vocabulary"] as? Int == 30522)
  }

  /// The goldens of another target hold small models.
  private static let model = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../LoweringTests/Goldens/legacy17-sdpa.onnx").standardized.path

  @Test func verifies() throws {
    let same = try run(["verify", "--model", Self.model])
    #expect(same.code == 0 && same.errors.isEmpty)
    for name in ["embeddings", "layer 1", "layer 2", "start_logits", "end_logits"] {
      #expect(same.output.split(separator: "\n").contains { $0.hasPrefix(name) && $0.hasSuffix("nowhere") })
    }
    let strict = try run(["verify", "--model", Self.model, "--tolerance", "0"])
    #expect(strict.code == 1 && strict.errors.isEmpty && strict.output.contains("token"))
    #expect(try run(["verify", "--model", Self.model, "--against", "x"]).code == 2)
    try withFolder { folder in
      let (inputs, outputs) = (folder.appending(path: "in.json"), folder.appending(path: "out.json"))
      try Data(#"{"input_ids": [[3, 1, 4], [1, 5, 0]], "attention_mask": [[1, 1, 1], [1, 1, 0]]}"#.utf8).write(to: inputs)
      _ = try run(["logits", "--model", Self.model, "--input", inputs.path, "--output", outputs.path])
      let arguments = ["verify", "--model", Self.model, "--inputs", inputs.path, "--against", outputs.path]
      let elsewhere = try run(arguments)
      #expect(elsewhere.code == 0 && elsewhere.output.contains("end_logits, fused"))
      var reference = try JSONDecoder().decode([String: [[Float?]]].self, from: Data(contentsOf: outputs))
      reference["start_logits"]?[1][1] = 7
      try JSONEncoder().encode(reference).write(to: outputs)
      #expect(try run(arguments).code == 1)
    }
  }

  @Test func verifiesNodesAndGraphsThatAreRefused() throws {
    let forms = URL(filePath: Self.model).deletingLastPathComponent().appending(path: "Forms")
    func file(_ name: String) -> String { forms.appending(path: name).path }
    let nodes = try run(["verify", "--model", file("bert-dynamic-int8.onnx"), "--values", file("bert-dynamic-int8.values")])
    #expect(nodes.code == 0 && nodes.errors.isEmpty && nodes.output.contains("DynamicQuantizeLinear"))
    let others = try run(["verify", "--model", file("distilbert-qdq-channel.onnx"), "--values", Self.model])
    #expect(others.code == 1 && others.output.isEmpty && others.errors.split(separator: "\n").count == 1)
    #expect(try run(["verify", "--values", "x", "--inputs", "y"]).code == 2)
    try withFolder { folder in
      let (inputs, outputs) = (folder.appending(path: "in.json"), folder.appending(path: "out.json"))
      try Data(#"{"input_ids": [[3, 1, 4], [1, 5, 9]]}"#.utf8).write(to: inputs)
      // Another activation than any that is known.
      var onnx = try Model(contentsOf: URL(filePath: Self.model))
      let erf = try #require(onnx.graph.nodes.firstIndex { $0.operatorType == "Erf" })
      onnx.graph.nodes[erf].operatorType = "Tanh"
      try onnx.write(to: folder.appending(path: "model.onnx"))
      let model = ["--model", folder.appending(path: "model.onnx").path]
      let refused = try run(["verify"] + model)
      #expect(refused.code == 1 && refused.output.isEmpty && refused.errors.contains("GELU"))
      #expect(refused.errors.split(separator: "\n").count == 1)
      _ = try run(["logits", "--input", inputs.path, "--output", outputs.path] + model)
      let alone = try run(["verify", "--inputs", inputs.path, "--against", outputs.path] + model)
      #expect(alone.code == 0 && alone.errors.contains("warning") && alone.output.contains("start_logits, node by node"))
      #expect(!alone.output.contains("fused"))
    }
  }

  @Test func logitsGiveAnyValueByItsName() throws {
    let batch = Data(#"{"input_ids": [[3, 1, 4], [1, 5, 0]], "attention_mask": [[1, 1, 1], [1, 1, 0]]}"#.utf8)
    let arguments = ["logits", "--model", Self.model, "--input", "-", "--output-name"]
    let softmax = "/model/distilbert/transformer/layer.0/attention/Softmax_output_0"
    let result = try run(arguments + [softmax], input: batch)
    let values = try JSONDecoder().decode([String: [[[[Double]]]]].self, from: Data(result.output.utf8))
    let rows = try #require(values[softmax]).joined().joined()
    #expect(!rows.isEmpty && rows.allSatisfy { $0.count == 3 && abs($0.reduce(0, +) - 1) < 1e-5 })
    let end = try run(arguments + ["end_logits"], input: batch)
    let all = try run(arguments.dropLast(), input: batch)
    #expect(end.code == 0 && all.output.contains(end.output.dropFirst().dropLast(2)))
    let unknown = try run(arguments + ["nothing"], input: batch)
    #expect(unknown.code == 1 && unknown.output.isEmpty && unknown.errors.contains("'nothing'"))
    #expect(try run(arguments + [softmax, "--require-fused"], input: batch).code == 1)
  }

  @Test func inspects() throws {
    let arguments = ["inspect", "--question", "How much is in Peru?", "--passage", Self.passage]
    try withFolder { folder in
      let file = folder.appending(path: "report.html").path
      let result = try run(arguments + ["--html", file])
      #expect(result.code == 0 && result.output == "13%\n" && result.errors.isEmpty)
      let page = try String(contentsOfFile: file, encoding: .utf8)
      #expect(page.hasPrefix("<!doctype html>") && page.contains("How much is in Peru?"))
      // Nothing is fetched from anywhere.
      #expect(page.split(separator: "http:").count == 2 && !page.contains("https:") && page.contains("\"http://www.w3.org/2000/svg\""))
      #expect(!page.contains(" src="))
    }
    let printed = try run(arguments + ["--json", "--top-k", "3"])
    let object = try #require(JSONSerialization.jsonObject(with: Data(printed.output.utf8)) as? [String: Any])
    #expect((object["answers"] as? [[String: Any]])?.first?["text"] as? String == "13%")
    #expect(try run(arguments).code == 2)
    #expect(try run(arguments + ["--json", "--window", "4"]).errors.contains("windows 0 to 0"))
    #expect(try run(["inspect", "--question", "x", "--passage", "", "--json"]).code == 1)
  }

  @Test func dumpsValues() throws {
    let arguments = ["dump", "--question", "How much?", "--passage", Self.passage, "--tensors", "embeddings,layer.?.output"]
    let listed = try run(arguments + ["--list"]).output.split(separator: "\n")
    #expect(listed.count == 7 && listed.allSatisfy { $0.hasSuffix(", 384]  float32") })
    try withFolder { folder in
      for precision in ["float32", "int8"] {
        let (archive, tensors) = (folder.appending(path: "\(precision).npz"), folder.appending(path: "\(precision).safetensors"))
        for file in [archive, tensors] {
          let result = try run(arguments + ["--precision", precision, "--output", file.path])
          #expect(result.code == 0 && result.output.isEmpty && result.errors.isEmpty)
        }
        #expect(try Data(contentsOf: archive).prefix(4) == Data([0x50, 0x4b, 3, 4]))
        // Eight bytes say how long the header is.
        let data = try Data(contentsOf: tensors)
        let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = try #require(JSONSerialization.jsonObject(with: data[8..<8 + length]) as? [String: [String: Any]])
        #expect(header.count == 9 && (header["__metadata__"]?["precision"] as? String) == precision)
        #expect(header["layer.5.output"]?["dtype"] as? String == "F32" && header["input_ids"]?["dtype"] as? String == "I32")
      }
      #expect(
        try Data(contentsOf: folder.appending(path: "float32.npz")) != Data(contentsOf: folder.appending(path: "int8.npz")))
    }
    #expect(try run(arguments + ["--output", "x.txt"]).code == 2)
    #expect(try run(arguments.dropLast() + ["nothing", "--list"]).code == 1)
  }

  /// The integers that an int8 model multiplies, with their scales, in both kinds of file.
  @Test func dumpsIntegers() throws {
    let arguments = [
      "dump", "--question", "How much?", "--passage", Self.passage, "--tensors", "layer.5.attention.output.int8.*", "--precision", "int8",
    ]
    let listed = try run(arguments + ["--list"]).output.split(separator: "\n")
    let tokens = try #require(listed.first?.split(separator: "[").last?.split(separator: ",").first.flatMap { Int($0) })
    let name = "layer.5.attention.output.int8"
    #expect(
      listed == [
        "\(name).input  [\(tokens), 384]  int8", "\(name).input_scale  [\(tokens)]  float32", "\(name).weight  [384, 384]  int8",
        "\(name).weight_scale  [384]  float32",
      ])
    try withFolder { folder in
      let (archive, tensors) = (folder.appending(path: "x.npz"), folder.appending(path: "x.safetensors"))
      for file in [archive, tensors] { #expect(try run(arguments + ["--output", file.path]).code == 0) }
      let checkpoint = try Checkpoint(safetensors: tensors.path)
      let input = try #require(checkpoint["\(name).input"])
      #expect(input.elementType == .int8 && input.shape == [tokens, 384] && checkpoint["\(name).weight"]?.elementType == .int8)
      // Each row's largest magnitude is 127, and the archive holds the same bytes.
      let bytes = input.bytes.withUnsafeBytes { Data($0) }
      for row in 0..<tokens {
        #expect(bytes[row * 384..<(row + 1) * 384].map { abs(Int(Int8(bitPattern: $0))) }.max() == 127)
      }
      let npz = try Data(contentsOf: archive)
      #expect(npz.range(of: bytes) != nil && npz.range(of: Data("'descr': '|i1'".utf8)) != nil)
    }
    #expect(try run(arguments.dropLast() + ["float32", "--list"]).code == 1)
  }

  @Test func leavesOutHeadsAndLayers() throws {
    let arguments = ["answer", "--question", "How much is in Peru?", "--passage", Self.passage]
    let result = try run(arguments + ["--ablate-head", "3.7", "--ablate-layer", "5"])
    let lines = result.output.split(separator: "\n")
    #expect(result.code == 0 && lines.count == 5)
    #expect(lines[0].hasPrefix("whole model") && lines[0].contains("13%"))
    #expect(lines[1].hasPrefix("without layer 5, head 3.7  "))
    #expect(lines[2].contains("start logit") && lines[3].contains(" to ") && lines[4].contains(" to "))
    let json = try run(arguments + ["--ablate-head", "0.0", "--json"])
    let object = try #require(JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    #expect(object["without"] as? [String] == ["head 0.0"])
    #expect((object["whole"] as? [[String: Any]])?.first?["answer"] as? String == "13%")
    for (wrong, code) in [(["--ablate-head", "3"], 2), (["--ablate-head", "9.0"], 1), (["--ablate-layer", "6"], 1)] {
      let result = try run(arguments + wrong)
      #expect(result.code == Int32(code) && result.errors.hasPrefix("spanqa: ") && result.output.isEmpty)
    }
    #expect(try run(["answer", "--jsonl", "-", "--ablate-layer", "1"]).code == 2)
  }

  @Test func linesAreAnsweredInOrderAndFailuresGoOn() throws {
    let lines = """
      {"id": "a", "question": "How much is in Peru?", "context": "\(Self.passage)"}
      rubbish

      {"id": "b", "question": "", "context": "x"}
      {"id": 7, "context": "x"}
      {"id": 8, "question": "Where is the forest?", "context": "\(Self.passage)"}
      """
    let result = try run(["answer", "--jsonl", "-"], input: Data(lines.utf8))
    let printed = try result.output.split(separator: "\n").map {
      try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    #expect(printed.map { $0["id"] as? String } == ["a", nil, "b", "7", "8"])
    #expect(printed.map { $0["answer"] as? String } == ["13%", nil, nil, nil, "Brazil"])
    #expect(printed.map { $0["error"] != nil } == [false, true, true, true, false])
    #expect(result.code == 1 && result.errors.hasPrefix("spanqa: 3 lines"))
    #expect(try run(["answer", "--jsonl", "-", "--question", "Who?"]).code == 2)
    #expect(try run(["answer", "--jsonl", "nowhere.jsonl"]).code == 1)
  }

  /// Two questions on one passage; the second one's gold answer is not what the passage says.
  private static let dataset = """
    {"version": "1.1", "data": [{"title": "t", "paragraphs": [{"context": "\(passage)", "qas": [
      {"id": "q1", "question": "How much is in Peru?", "answers": [{"text": "13%", "answer_start": 63}]},
      {"id": "q2", "question": "Where is the forest?", "answers": [{"text": "Chile", "answer_start": 0}]}]}]}]}
    """

  @Test func evaluatesAndScoresAlike() throws {
    try withFolder { folder in
      let (dataset, predictions) = (folder.appending(path: "dev.json"), folder.appending(path: "predictions.json"))
      try Data(Self.dataset.utf8).write(to: dataset)
      let evaluated = try run(["evaluate", "--dataset", dataset.path, "--predictions", predictions.path, "--json"])
      let figures = try #require(JSONSerialization.jsonObject(with: Data(evaluated.output.utf8)) as? [String: Any])
      #expect(evaluated.code == 0 && evaluated.errors.isEmpty && figures["exact_match"] as? Double == 50)
      #expect(
        try JSONDecoder().decode([String: String].self, from: Data(contentsOf: predictions))
          == ["q1": "13%", "q2": "Brazil"])
      let scored = try run(["score", "--dataset", dataset.path, "--predictions", predictions.path, "--json"])
      #expect(scored.output == #"{"exact_match": 50.0, "f1": 50.0, "total": 2}"# + "\n")
      for padding in ["longest", "fixed:384"] {
        let padded = folder.appending(path: padding)
        _ = try run(["evaluate", "--dataset", dataset.path, "--predictions", padded.path, "--padding", padding])
        #expect(try Data(contentsOf: padded) == Data(contentsOf: predictions))
      }
      let first = try run(["evaluate", "--dataset", dataset.path, "--limit", "1"])
      #expect(first.output.contains("100.0") && first.output.contains("questions/s"))
      // What cannot be written is said before the work, and what is not a dataset by its place.
      let unwritable = try run(["evaluate", "--dataset", dataset.path, "--predictions", folder.path])
      #expect(unwritable.code == 1 && unwritable.output.isEmpty)
      let other = try run(["score", "--dataset", predictions.path, "--predictions", predictions.path])
      #expect(other.code == 1 && other.errors.hasPrefix("spanqa: \(predictions.path)"))
    }
  }

  @Test func datasetsAreChecked() throws {
    try withFolder { folder in
      let dataset = folder.appending(path: "dev.json")
      try Data(Self.dataset.utf8).write(to: dataset)
      let result = try run(["dataset", dataset.path, "--json"])
      let report = try #require(JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
      #expect(report["questions"] as? Int == 2 && report["misplaced_answers"] as? Int == 1)
      #expect(try run(["dataset", dataset.path]).output.contains("misplaced answers"))
    }
  }

  @Test func benchmarkPrintsAShapeEach() throws {
    let result = try run(["benchmark", "--model", Self.model, "--shapes", "1x3,2x4", "--seconds", "0.01", "--json"])
    let rows = try #require(JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [[String: Any]])
    #expect(rows.map { $0["shape"] as? String } == ["1x3", "2x4"])
    #expect(rows.allSatisfy { ($0["median_ms"] as? Double ?? 0) >= ($0["min_ms"] as? Double ?? 1) })
    #expect(try run(["benchmark", "--shapes", "1by3"]).code == 2)
  }

  @Test func exportsFoldersThatAnswer() throws {
    let source = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../ModelFoldersTests/Goldens/bert").standardized.path
    try withFolder { folder in
      let place = folder.appending(path: "model").path
      let export = ["export", "--model", source, "--output", place]
      let result = try run(export + ["--seed", "3"])
      #expect(result.code == 0 && result.errors.isEmpty && result.output.contains("from seed 3"), "\(result)")
      #expect(result.output.split(separator: "\n").last?.hasPrefix("\(place): config.json, model.onnx, model.safetensors, ") == true)
      let answer = ["answer", "--model", place, "--question", "Who sang?", "--passage", "Anna sang.", "--max-sequence-length", "16"]
      #expect(try run(answer + ["--doc-stride", "2"]).code == 0)
      let again = try run(export)
      let refusal = "spanqa: \(place): cannot be written: it holds files already; name another folder, or replace it (--force)\n"
      #expect(again.code == 1 && again.output.isEmpty && again.errors == refusal)
      #expect(try run(export + ["--force"]).code == 0)
      let nowhere = try run(["export", "--model", place + "/nowhere", "--output", place + "2"])
      #expect(nowhere.code == 1 && nowhere.errors.contains("nowhere"))
      #expect(try run(["export", "--model", source]).code == 2)
    }
  }

  @Test func helpIsForPeople() throws {
    for arguments in [
      ["--help"], ["answer", "--help"], ["tokenize", "--help"], ["logits", "--help"], ["verify", "--help"],
      ["model", "--help"], ["quantize", "--help"], ["benchmark", "--help"], ["backends", "--help"],
      ["evaluate", "--help"], ["score", "--help"], ["dataset", "--help"], ["export", "--help"],
    ] {
      let result = try run(arguments)
      #expect(result.code == 0 && result.output.contains("USAGE: spanqa"))
    }
    #expect(try run(["--version"]).output == "\(SpanQAVersion.current)\n")
  }

  /// Each bad input is one line on standard error, nothing on standard output, and its exit code.
  @Test func badInput() throws {
    try withFolder { folder in
      func write(_ bytes: Data, _ name: String) throws -> String {
        let file = folder.appending(path: name)
        try FileManager.default.createDirectory(
          at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try bytes.write(to: file)
        return file.path
      }
      let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
      let resources = package.appending(path: "Sources/CDefaultModel/Resources")
      let model = try Data(contentsOf: resources.appending(path: "model.onnx"))
      let vocabulary = try Data(contentsOf: resources.appending(path: "vocab.txt"))
      let truncated = try write(model.prefix(model.count / 2), "truncated/model.onnx")
      let json = try write(Data(#"{"model": "of course"}"#.utf8), "json/model.onnx")
      let bare = try write(model, "bare/deep/model.onnx")
      let wrongVocabulary = try write(model, "wrong/model.onnx")
      _ = try write(vocabulary.prefix(vocabulary.count / 2), "wrong/vocab.txt")
      let safetensors = package.appending(path: "Tests/ModelFoldersTests/Goldens/distilbert/model.safetensors").path
      let latin1 = try write(Data([0x63, 0x61, 0x66, 0xe9]), "latin1.txt")

      let answer = ["answer", "--question", "Who?", "--passage", "Anna sang.", "--model"]
      let cases: [(arguments: [String], input: Data, code: Int32, says: String)] = [
        (answer + [truncated], Data(), 1, "model.onnx"),
        (answer + [json], Data(), 1, "model.onnx"),
        (answer + [bare], Data(), 1, "vocab.txt"),
        (answer + [wrongVocabulary], Data(), 1, "vocab"),
        (answer + [folder.path + "/nowhere"], Data(), 1, "no such file or folder"),
        (answer + [folder.path], Data(), 1, "holds no .onnx file"),
        (["answer", "--question", "", "--passage", "Anna sang."], Data(), 1, "question"),
        (["answer", "--question", "Who?", "--passage", ""], Data(), 1, "passage"),
        (["answer", "--question", "Who?"], Data(), 1, "passage"),
        (["answer", "--question", "Who is it?", "--passage", "Anna.", "--max-sequence-length", "5"], Data(), 1, "window"),
        (["answer", "--question", "Who?"], Data([0x61, 0xff, 0x62]), 1, "UTF-8"),
        (["answer", "--question", "Who?", "--passage-file", latin1], Data(), 1, "UTF-8"),
        (["answer", "--question", "Who?", "--passage-file", "/nowhere"], Data(), 1, "/nowhere"),
        (["logits", "--input", "-"], Data("{}".utf8), 1, "input_ids"),
        (["logits", "--input", "-"], Data(#"{"input_ids": [[99999999]]}"#.utf8), 1, "vocabulary"),
        (["logits", "--input", "-"], Data(#"{"input_ids": [[1, 2]], "attention_mask": [[1]]}"#.utf8), 1, "attention_mask"),
        (["tokenize", "--jsonl", "-"], Data("not json\n".utf8), 1, "line 1"),
        (["tokenize", "--jsonl", folder.path], Data(), 1, "cannot be read"),
        (["tokenize", "a", "--model", bare], Data(), 1, "vocab.txt"),
        (["model", "--model", safetensors], Data(), 1, "it is a safetensors file"),
        (["answer", "--passage", "Anna sang."], Data(), 2, "--question"),
        (["answer", "--question", "Who?", "--passage", "a", "--top-k", "0"], Data(), 2, "--top-k"),
        (["answer", "--question", "Who?", "--passage", "a", "--threads", "9223372036854775807"], Data(), 2, "--threads"),
        (["answer", "--question", "Who?", "--passage", "a", "--passage-file", "b"], Data(), 2, "--passage"),
        (["tokenize"], Data(), 2, "--jsonl"),
        (["sing"], Data(), 2, "sing"),
      ]
      for item in cases {
        let result = try run(item.arguments, input: item.input)
        #expect(result.code == item.code, "\(item.arguments): \(result)")
        #expect(result.output.isEmpty, "\(item.arguments): \(result)")
        #expect(result.errors.hasPrefix("spanqa: ") && result.errors.contains(item.says), "\(item.arguments): \(result)")
        #expect(result.errors.filter { $0 == "\n" }.count == 1, "\(item.arguments): \(result)")
      }
      let unknownSet = try run(answer.dropLast(), environment: ["SPANQA_KERNELS": "abacus"])
      #expect(unknownSet.code == 1 && unknownSet.errors.contains("abacus") && unknownSet.errors.contains("portable"))
      let noNumber = try run(answer.dropLast(), environment: ["SPANQA_THREADS": "many"])
      #expect(noNumber.code == 1 && noNumber.output.isEmpty && noNumber.errors.contains("SPANQA_THREADS is 'many'"))
    }
  }

  // MARK: Backends and kernel sets

  private struct Backends: Decodable {
    struct Entry: Decodable {
      var name: String
      var available: Bool
      var reason: String?
    }
    var backends, kernel_sets: [Entry]
    var chosen_backend, backend_error, chosen_kernel_set, kernel_set_error: String?
    var kernels: [String: String]
    var processor_features, hidden_features: [String]
    var threads: Int
    var openblas_core: String
  }

  private func backends(_ environment: [String: String] = [:]) throws -> Backends {
    let result = try run(["backends", "--json"], environment: environment)
    #expect(result.code == 0 && result.errors.isEmpty, "\(result)")
    return try JSONDecoder().decode(Backends.self, from: Data(result.output.utf8))
  }

  @Test func backendsAreListed() throws {
    let found = try backends()
    #expect(found.backends.map(\.name) == ["cuda", "neon", "cpu"])
    #expect(found.chosen_backend.map { name in found.backends.contains { $0.name == name && $0.available } } == true)
    for entry in found.backends + found.kernel_sets { #expect(entry.available == (entry.reason == nil)) }
    #expect(found.kernels["u8s8f32_gemm"] == found.chosen_kernel_set && found.threads >= 1 && !found.openblas_core.isEmpty)
    let text = try run(["backends"]).output
    for word in ["cuda", "portable", "f32_gemm", "chosen", "threads"] { #expect(text.contains(word)) }

    // What is asked for and cannot be had is still a report, which says why.
    #expect(try backends(["SPANQA_BACKEND": "cuda"]).backend_error?.contains("cuBLASLt") == true)
    #expect(try backends(["SPANQA_KERNELS": "abacus"]).kernel_set_error?.contains("abacus") == true)
    let mask = found.processor_features.map { "-" + $0 }.joined(separator: ",")
    let masked = try backends(["SPANQA_FEATURES": mask])
    #expect(masked.processor_features.isEmpty && masked.hidden_features == found.processor_features)
    #expect(masked.chosen_kernel_set == "portable" && Set(masked.kernels.values) == ["portable"])
  }

  @Test func aBackendThatIsNotThereIsAnError() throws {
    let answer = ["answer", "--question", "How much is in Peru?", "--passage", Self.passage]
    let cases: [(arguments: [String], environment: [String: String], code: Int32, says: String)] = [
      ([], ["SPANQA_BACKEND": "cuda"], 1, "cuBLASLt"), (["--backend", "cuda"], [:], 1, "driver"),
      ([], ["SPANQA_BACKEND": "abacus"], 1, "automatic, cpu, neon, cuda"), (["--backend", "abacus"], [:], 2, "abacus"),
      ([], ["SPANQA_FEATURES": "avx2"], 1, "SPANQA_FEATURES"),
    ]
    for item in cases {
      let result = try run(answer + item.arguments, environment: item.environment)
      #expect(result.code == item.code && result.output.isEmpty && result.errors.contains(item.says), "\(item): \(result)")
      #expect(result.errors.filter { $0 == "\n" }.count == 1, "\(item): \(result)")
    }
    #expect(try run(answer + ["--backend", "cpu"], environment: ["SPANQA_BACKEND": "cuda"]).output == "13%\n")
  }

  /// The embedded model's logits to the last digit, in int8 and in float32 by our own kernels, whatever set is forced and whatever the
  /// processor lacks.
  @Test func everyKernelSetGivesTheSameLogits() throws {
    let batch = Data(#"{"input_ids": [[101, 2129, 2172, 2003, 1029, 102, 2410, 1003, 2003, 1999, 7304, 1012, 102]]}"#.utf8)
    let found = try backends()
    for precision in ["int8", "float32"] {
      let logits = ["logits", "--input", "-", "--precision", precision, "--gemm", "packed"]
      let expected = try run(logits, input: batch, environment: ["SPANQA_KERNELS": "portable"]).output
      #expect(expected.contains("start_logits"))
      var environments = found.kernel_sets.filter(\.available).map { ["SPANQA_KERNELS": $0.name] }
      environments += found.processor_features.map { ["SPANQA_FEATURES": "-" + $0] }
      for environment in environments {
        let result = try run(logits, input: batch, environment: environment)
        #expect(result.output == expected, "\(precision), \(environment): \(result.errors)")
      }
      print("logits, \(precision): the same digits in \(environments.count) environments")
    }
  }
}
