import Checkpoints
import Foundation
import Testing

/// `spanqa finetune` as a person runs it, stops it and goes on.
@Suite struct FineTuneTests {
  @Test func trainsAndLeavesACompleteFolder() throws {
    try withFolder { folder in
      let tiny = try TinyTraining(in: folder)
      let result = try run(tiny.arguments("out", ["--dev", tiny.dev, "--evaluate-every", "200"]))
      #expect(result.code == 0 && result.errors.isEmpty, "\(result)")
      #expect(result.output.split(separator: "\n").filter { $0.hasPrefix("step ") }.count == 3)
      let names = try FileManager.default.contentsOfDirectory(atPath: tiny.path("out")).sorted()
      #expect(
        names.filter { !$0.hasPrefix("tokenizer") && !$0.hasPrefix("special") } == [
          "config.json", "loss.svg", "metrics.jsonl", "model.onnx", "model.safetensors", "training.json", "vocab.txt",
        ])

      let metrics = try String(contentsOfFile: tiny.path("out/metrics.jsonl"), encoding: .utf8).split(separator: "\n").map {
        try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
      let losses = metrics.compactMap { $0["loss"] as? Double }
      #expect(losses.count == TinyTraining.steps && metrics.filter { $0["dev_f1"] != nil }.count == 3)
      let (first, last) = (losses.prefix(10).reduce(0, +), losses.suffix(10).reduce(0, +))
      #expect(last < first / 2, "the loss went from \(first / 10) to \(last / 10)")
      #expect(try String(contentsOfFile: tiny.path("out/loss.svg"), encoding: .utf8).contains("dev F1"))
      let record = try #require(
        JSONSerialization.jsonObject(with: Data(contentsOf: folder.appending(path: "out/training.json"))) as? [String: Any])
      #expect(record["steps"] as? Int == TinyTraining.steps && record["dev_f1"] as? Double ?? 0 > 20)

      // The model that is kept is the one that was scored.
      let evaluated = try run(["evaluate", "--model", tiny.path("out"), "--dataset", tiny.dev, "--json", "--max-sequence-length", "40"])
      let scores = try #require(JSONSerialization.jsonObject(with: Data(evaluated.output.utf8)) as? [String: Any])
      #expect(scores["f1"] as? Double == record["dev_f1"] as? Double)

      // A finished folder is not written to again.
      for more in [[], ["--resume"]] {
        let again = try run(tiny.arguments("out", more))
        #expect(again.code == 1 && again.errors.filter { $0 == "\n" }.count == 1 && again.errors.contains("finished"), "\(again)")
      }
    }
  }

  @Test func interruptedAndResumedIsTheSame() throws {
    try withFolder { folder in
      let tiny = try TinyTraining(in: folder)
      #expect(try run(tiny.arguments("whole")).code == 0)
      #expect(try run(tiny.arguments("two", ["--threads", "2"])).code == 0)
      #expect(try tiny.weights("whole") == tiny.weights("two"))
      #expect(try run(tiny.arguments("again", ["--recompute", "--token-budget", "4096"])).code == 0)
      #expect(try tiny.weights("whole") == tiny.weights("again"))

      let process = command(tiny.arguments("stopped"))
      let errors = Pipe()
      process.standardError = errors
      try process.run()
      try waitForSteps(10, in: tiny.path("stopped"), of: process)
      process.interrupt()
      let complaint = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
      process.waitUntilExit()
      #expect(process.terminationStatus == 130 && complaint.contains("--resume"), "\(complaint)")
      // Not without being told, and not with other options.
      let refused = try run(tiny.arguments("stopped"))
      #expect(refused.code == 1 && refused.errors.contains("--resume"))
      let other = try run(tiny.arguments("stopped", ["--resume", "--seed", "1"]))
      #expect(other.code == 1 && other.errors.contains("seed 0"), "\(other)")
      let resumed = try run(tiny.arguments("stopped", ["--resume"]))
      #expect(resumed.code == 0, "\(resumed)")
      #expect(try tiny.weights("whole") == tiny.weights("stopped"))
    }
  }

  /// Killed at five random moments, the last ones late.
  @Test func killedAndResumedIsTheSame() throws {
    try withFolder { folder in
      let tiny = try TinyTraining(in: folder)
      let scored = ["--dev", tiny.dev, "--evaluate-every", "100"]
      #expect(try run(tiny.arguments("whole", scored)).code == 0)
      var steps: [Int] = []
      for part in 0..<5 {
        let process = command(tiny.arguments("killed", scored + ["--resume"]))
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        try waitForSteps(part * 100 + 1, in: tiny.path("killed"), of: process)
        usleep(UInt32.random(in: 0...20_000))
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        // What is there is whole.
        if FileManager.default.fileExists(atPath: tiny.path("killed/checkpoint.safetensors")) {
          let checkpoint = try Checkpoint(safetensors: tiny.path("killed/checkpoint.safetensors"))
          steps.append(Int(checkpoint.metadata["spanqa.step"] ?? "") ?? 0)
        }
      }
      #expect(try run(tiny.arguments("killed", scored + ["--resume"])).code == 0)
      #expect(try tiny.weights("whole") == tiny.weights("killed"))
      print("killed five times, resumed from the checkpoints of steps \(steps)")
      // But for the seconds, the metrics are the same.
      func metrics(_ output: String) throws -> [String] {
        try String(contentsOfFile: tiny.path(output + "/metrics.jsonl"), encoding: .utf8).split(separator: "\n").map {
          String($0.prefix(upTo: $0.range(of: #", "seconds""#)?.lowerBound ?? $0.endIndex))
        }
      }
      #expect(try metrics("whole") == metrics("killed"))
    }
  }

  /// A limit on the size of files stands for a full disk: the write fails half-way.
  @Test func aFullDiskLeavesTheLastCheckpoint() throws {
    try withFolder { folder in
      let tiny = try TinyTraining(in: folder)
      let process = command(tiny.arguments("out"))
      process.standardError = FileHandle.nullDevice
      try process.run()
      try waitForSteps(10, in: tiny.path("out"), of: process)
      process.interrupt()
      process.waitUntilExit()
      let checkpoint = folder.appending(path: "out/checkpoint.safetensors")
      let before = try Data(contentsOf: checkpoint)
      let result = try run(tiny.arguments("out", ["--resume"]), shell: "trap '' XFSZ; ulimit -f \(before.count / 1024 / 2)")
      #expect(result.code == 1 && result.output.isEmpty && result.errors.contains("checkpoint.safetensors"), "\(result)")
      #expect(result.errors.filter { $0 == "\n" }.count == 1, "\(result)")
      #expect(try Data(contentsOf: checkpoint) == before)
      #expect(try FileManager.default.contentsOfDirectory(atPath: tiny.path("out")).allSatisfy { !$0.hasSuffix(".partial") })
      #expect(try run(tiny.arguments("out", ["--resume"])).code == 0)
    }
  }

  @Test func aTrainingThatDivergesKeepsTheLastCheckpoint() throws {
    try withFolder { folder in
      let tiny = try TinyTraining(in: folder)
      let result = try run(tiny.arguments("out", ["--learning-rate", "100", "--warmup", "1", "--checkpoint-every", "1"]))
      #expect(result.code == 1 && result.output.isEmpty && result.errors.contains("diverged at step"), "\(result)")
      #expect(result.errors.filter { $0 == "\n" }.count == 1 && result.errors.contains("the checkpoint of step"), "\(result)")
      let checkpoint = try Checkpoint(safetensors: tiny.path("out/checkpoint.safetensors"))
      for tensor in checkpoint.tensors {
        #expect(tensor.parameter?.floats().allSatisfy(\.isFinite) == true, "\(tensor.name)")
      }
    }
  }

  @Test func trainingStopsWhereTheDevScoreGetsNoBetter() throws {
    try withFolder { folder in
      let tiny = try TinyTraining(in: folder)
      // With a rate of nothing, no score is better than the first.
      let result = try run(
        tiny.arguments("out", ["--learning-rate", "0", "--dev", tiny.dev, "--evaluate-every", "10", "--patience", "2"]))
      #expect(result.code == 0 && result.output.contains("30 of \(TinyTraining.steps), stopped early"), "\(result)")
    }
  }

  @Test func everyOptionTrains() throws {
    try withFolder { folder in
      let tiny = try TinyTraining(in: folder)
      let frozen = ["--freeze", "*embeddings*,*layer.0.*"]
      #expect(try run(tiny.arguments("frozen", frozen)).code == 0)
      let (before, after) = (try Checkpoint(safetensors: tiny.path("model/model.safetensors")),
        try Checkpoint(safetensors: tiny.path("frozen/model.safetensors")))
      for tensor in before.tensors {
        let isSame = tensor.parameter?.floats() == after[tensor.name]?.parameter?.floats()
        #expect(isSame == (tensor.name.contains("embeddings") || tensor.name.contains("layer.0.")), "\(tensor.name)")
      }
      for (name, options) in [
        ("teacher", ["--teacher", tiny.path("frozen"), "--temperature", "3", "--teacher-weight", "0.7"]),
        ("smoothed", ["--label-smoothing", "0.1", "--clip", "0", "--weight-decay", "0.1", "--layer-decay", "0.8"]),
        ("accumulated", ["--accumulate", "2", "--token-budget", "60", "--warmup", "0"]),
        ("sparse", ["--sparse-embeddings", "--in-order"]), ("limited", ["--limit", "5", "--negative-windows", "0"]),
      ] {
        let result = try run(tiny.arguments(name, options))
        #expect(result.code == 0 && result.errors.isEmpty, "\(name): \(result)")
      }
    }
  }

  /// The same teacher from its graph, from its checkpoint, and from a folder that holds nothing but the checkpoint.
  @Test func teachersComeFromAnyFile() throws {
    try withFolder { folder in
      let tiny = try TinyTraining(in: folder)
      let short = ["--epochs", "1"]
      #expect(try run(tiny.arguments("teacher", short)).code == 0)
      let bare = folder.appending(path: "bare")
      try FileManager.default.createDirectory(at: bare, withIntermediateDirectories: false)
      for name in ["model.safetensors", "config.json", "vocab.txt", "tokenizer_config.json"] {
        try FileManager.default.copyItem(at: folder.appending(path: "teacher/\(name)"), to: bare.appending(path: name))
      }
      let teachers = ["teacher", "teacher/model.safetensors", "bare"]
      for (number, teacher) in teachers.enumerated() {
        let result = try run(tiny.arguments("out\(number)", short + ["--teacher", tiny.path(teacher), "--teacher-weight", "0.7"]))
        #expect(result.code == 0 && result.errors.isEmpty, "\(teacher): \(result)")
      }
      #expect(try run(tiny.arguments("alone", short)).code == 0)
      #expect(try tiny.weights("out0") == tiny.weights("out1") && tiny.weights("out0") == tiny.weights("out2"))
      #expect(try tiny.weights("out0") != tiny.weights("alone"))

      // One that was never trained teaches nothing.
      let checkpoint = try Checkpoint(safetensors: bare.appending(path: "model.safetensors").path)
      let headless = checkpoint.tensors.filter { !$0.name.hasPrefix("qa_outputs") }
      #expect(headless.count == checkpoint.tensors.count - 2)
      try Checkpoint.writeSafetensors(headless, to: bare.appending(path: "model.safetensors").path)
      let result = try run(tiny.arguments("none", short + ["--teacher", bare.path]))
      #expect(result.code == 1 && result.errors.contains("no head for question answering"), "\(result)")
      #expect(try run(tiny.arguments("none", short + ["--teacher", tiny.path("nothing")])).code == 1)
    }
  }

  @Test func questionsThatCannotBeTrainedOnAreCountedAndListed() throws {
    try withFolder { folder in
      let tiny = try TinyTraining(in: folder)
      let dataset = TinyTraining.dataset(articles: 0..<6).replacingOccurrences(of: #""text": "garden""#, with: #""text": "moon""#)
      try tiny.write(dataset, "some.json")
      let count = dataset.components(separatedBy: "moon").count - 1
      let result = try run(tiny.arguments("out", ["--train", tiny.path("some.json")]))
      #expect(count > 5 && result.code == 0, "\(result)")
      #expect(result.errors.hasPrefix("spanqa: \(count) of 48 questions cannot be trained on"), "\(result)")
      let record = try #require(
        JSONSerialization.jsonObject(with: Data(contentsOf: folder.appending(path: "out/training.json"))) as? [String: Any])
      let data = try #require(record["data"] as? [String: Any])
      #expect(data["unplaced"] as? Int == count && (data["unplaced_questions"] as? [String])?.count == count)
      // Where all are such, there is nothing to train on.
      try tiny.write(dataset.replacingOccurrences(of: #""text": ""#, with: #""text": "the moon's "#), "none.json")
      let none = try run(tiny.arguments("none", ["--train", tiny.path("none.json")]))
      #expect(none.code == 1 && none.errors.contains("none of its 48 questions") && none.errors.contains("article 1"), "\(none)")
    }
  }

  /// Each bad input is one line on standard error, and its exit code.
  @Test func badInput() throws {
    try withFolder { folder in
      let tiny = try TinyTraining(in: folder)
      try tiny.write(#"{"version": "1.1", "data": []}"#, "empty.json")
      try tiny.write(#"["questions"]"#, "list.json")
      func replacing(_ option: String, _ value: String) -> [String] {
        var arguments = tiny.arguments("out")
        if let place = arguments.firstIndex(of: option) { arguments[place + 1] = value } else { arguments += [option, value] }
        return arguments
      }
      let cases: [(arguments: [String], code: Int32, says: String)] = [
        (replacing("--train", tiny.path("empty.json")), 1, "holds no questions"),
        (replacing("--train", tiny.path("nowhere.json")), 1, "nowhere.json"),
        (replacing("--dev", tiny.path("list.json")), 1, "list.json"),
        (replacing("--dev", tiny.path("empty.json")), 1, "holds no questions"),
        (replacing("--model", tiny.path("nowhere")), 1, "nowhere"),
        (replacing("--learning-rate", "1e5"), 1, "diverged at step"),
        (replacing("--freeze", "*"), 1, "every parameter is frozen"), (replacing("--freeze", "layer.9"), 2, "layer.9"),
        (replacing("--max-length", "49"), 2, "48"), (replacing("--epochs", "0"), 2, "--epochs"),
        (replacing("--patience", "2"), 2, "--dev"), (replacing("--dropout", "1"), 2, "--dropout"),
        (replacing("--output", "/proc/nothing"), 1, "/proc/nothing"),
      ]
      for item in cases {
        let result = try run(item.arguments)
        #expect(result.code == item.code && result.output.isEmpty, "\(item.arguments): \(result)")
        #expect(result.errors.hasPrefix("spanqa: ") && result.errors.contains(item.says), "\(item.arguments): \(result)")
        #expect(result.errors.filter { $0 == "\n" }.count == 1, "\(item.arguments): \(result)")
        try? FileManager.default.removeItem(atPath: tiny.path("out"))
      }
    }
  }

  @Test func datasetsArePartedByArticle() throws {
    try withFolder { folder in
      let tiny = try TinyTraining(in: folder)
      func titles(_ name: String) throws -> [String] {
        let file = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: folder.appending(path: name))) as? [String: Any])
        return try #require(file["data"] as? [[String: Any]]).map { $0["title"] as? String ?? "" }
      }
      let result = try run(["dataset", tiny.train, "--split", "0.34", "--output", tiny.path("parts"), "--seed", "3"])
      #expect(result.code == 0 && result.output.contains("16 questions of 2 articles"), "\(result)")
      let (train, dev, all) = (try titles("parts/train.json"), try titles("parts/dev.json"), try titles("train.json"))
      #expect(train.count == 4 && dev.count == 2 && Set(train + dev) == Set(all))
      // Nothing of a question is lost.
      let report = try run(["dataset", tiny.path("parts/train.json"), "--model", tiny.model, "--json"]).output
      #expect(report.contains(#""questions": 32"#) && report.contains(#""misplaced_answers": 0"#))
      #expect(try run(["dataset", tiny.train, "--split", "0.34"]).code == 2)
      #expect(try run(["dataset", tiny.train, "--split", "0.01", "--output", tiny.path("other")]).code == 1)
    }
  }

  /// Waits until a training has written so many lines of its metrics, or has ended.
  private func waitForSteps(_ count: Int, in folder: String, of process: Process) throws {
    let metrics = URL(filePath: folder).appending(path: "metrics.jsonl")
    while process.isRunning {
      if let data = try? Data(contentsOf: metrics), data.count(where: { $0 == UInt8(ascii: "\n") }) >= count { return }
      usleep(2000)
    }
  }
}
