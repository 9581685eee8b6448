import Foundation
import RandomModels
import SeededRandom
import Testing

/// The command ended from outside in the middle of its work, at many random moments: lines are whole, files are whole or were never
/// touched.
@Suite(.serialized)
struct KillTests {
  private static let rounds = 12

  /// A folder with the model, questions as lines and as a dataset.
  private struct Place {
    let folder: URL
    var lines: String { folder.appending(path: "questions.jsonl").path }
    var dataset: String { folder.appending(path: "dataset.json").path }
    var predictions: String { folder.appending(path: "predictions.json").path }
    var scores: String { folder.appending(path: "scores.json").path }

    var answer: [String] { ["answer", "--model", folder.path, "--threads", "1", "--jsonl", lines] }
    var evaluate: [String] {
      [
        "evaluate", "--model", folder.path, "--threads", "1", "--dataset", dataset, "--predictions", predictions,
        "--na-probabilities", scores,
      ]
    }

    init(_ folder: URL, questions: Int) throws {
      self.folder = folder
      try MinuteModel.write(to: folder)
      let records = (0..<questions).map { index in
        (id: "q\(index)", question: "What about \(index)?", context: MinuteModel.text(bytes: 200, seed: UInt64(index)))
      }
      try Data(
        records.map { #"{"id": "\#($0.id)", "question": "\#($0.question)", "context": "\#($0.context)"}"# + "\n" }
          .joined().utf8
      ).write(to: URL(filePath: lines))
      let paragraphs = records.map {
        #"{"context": "\#($0.context)", "qas": [{"id": "\#($0.id)", "question": "\#($0.question)", "answers": []}]}"#
      }
      try Data(
        #"{"version": "1.1", "data": [{"title": "t", "paragraphs": [\#(paragraphs.joined(separator: ",\n"))]}]}"#.utf8
      ).write(to: URL(filePath: dataset))
    }

    /// What a run that nothing stops writes to its standard output.
    func output(of arguments: [String]) throws -> [UInt8] {
      let pipe = try OutputPipe()
      let process = try CommandProcess(arguments, output: pipe.writing)
      pipe.closeWriting()
      var output: [UInt8] = []
      while case let bytes = pipe.read(), !bytes.isEmpty { output += bytes }
      #expect(process.wait().code == 0)
      return output
    }
  }

  @Test(arguments: [SIGKILL, SIGINT, SIGTERM])
  func linesAreWhole(signal: Int32) throws {
    try withFolder { folder in
      let place = try Place(folder, questions: 1500)
      let expected = try place.output(of: place.answer)
      #expect(expected.count { $0 == UInt8(ascii: "\n") } == 1500)
      var generator = SplitMix64(seed: UInt64(signal))
      var stopped = 0
      for _ in 0..<Self.rounds {
        let pipe = try OutputPipe()
        let process = try CommandProcess(place.answer, output: pipe.writing)
        pipe.closeWriting()
        // Somewhere in the output, and then some instructions further on.
        let enough = Int.random(in: 0..<expected.count * 3 / 4, using: &generator)
        var output: [UInt8] = []
        while output.count < enough, case let bytes = pipe.read(), !bytes.isEmpty { output += bytes }
        usleep(UInt32.random(in: 0..<1000, using: &generator))
        process.send(signal)
        while case let bytes = pipe.read(), !bytes.isEmpty { output += bytes }
        let end = process.wait()
        #expect(end.signal == signal || end.code == 0)
        #expect(output.isEmpty || output.last == UInt8(ascii: "\n"))
        #expect(expected.starts(with: output))
        if output.count < expected.count { stopped += 1 }
      }
      print("signal \(signal): stopped \(stopped) of \(Self.rounds) times in the middle of the lines")
      #expect(stopped > 0)
    }
  }

  /// The same where lines go to a file and nobody reads them.
  @Test(arguments: [SIGKILL, SIGINT])
  func linesOfAFileAreWhole(signal: Int32) throws {
    try withFolder { folder in
      let place = try Place(folder, questions: 1500)
      let expected = try place.output(of: place.answer)
      var generator = SplitMix64(seed: UInt64(signal) + 100)
      let file = folder.appending(path: "answers.jsonl").path
      var stopped = 0
      for _ in 0..<Self.rounds {
        let output = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { close(output) }
        let process = try CommandProcess(place.answer, output: output)
        let enough = Int.random(in: 1..<expected.count * 3 / 4, using: &generator)
        var status = stat()
        // Looks at the file's size until enough is written, or for ten seconds.
        for _ in 0..<100_000 where status.st_size < enough {
          usleep(100)
          fstat(output, &status)
        }
        process.send(signal)
        let end = process.wait()
        #expect(end.signal == signal || end.code == 0)
        let written = try [UInt8](Data(contentsOf: URL(filePath: file)))
        #expect(written.last == UInt8(ascii: "\n") && expected.starts(with: written))
        if written.count < expected.count { stopped += 1 }
      }
      print("signal \(signal), to a file: stopped \(stopped) of \(Self.rounds) times in the middle of the lines")
      #expect(stopped > 0)
    }
  }

  /// The reader goes away: every piece that it had got ends with a line, and the command ends without a word.
  @Test func aReaderThatGoesAway() throws {
    try withFolder { folder in
      let place = try Place(folder, questions: 1500)
      let expected = try place.output(of: place.answer)
      var generator = SplitMix64(seed: 13)
      var stopped = 0
      for _ in 0..<Self.rounds {
        let pipe = try OutputPipe()
        let process = try CommandProcess(place.answer, output: pipe.writing)
        pipe.closeWriting()
        let enough = Int.random(in: 0..<expected.count * 3 / 4, using: &generator)
        var output: [UInt8] = []
        while output.count < enough, case let bytes = pipe.read(), !bytes.isEmpty {
          output += bytes
          #expect(output.last == UInt8(ascii: "\n"))
        }
        pipe.closeReading()
        let end = process.wait()
        #expect(end.signal == SIGPIPE || end.code == 0)
        #expect(expected.starts(with: output))
        if end.signal == SIGPIPE { stopped += 1 }
      }
      print("a reader that goes away: \(stopped) of \(Self.rounds) times in the middle of the lines")
      #expect(stopped > 0)
    }
  }

  /// `evaluate` ended at a random moment, every other time as soon as something is being written beside the dataset.
  @Test(arguments: [SIGKILL, SIGINT, SIGPIPE])
  func predictionsAreWholeOrAbsent(signal: Int32) throws {
    try withFolder { folder in
      let place = try Place(folder, questions: 600)
      let clock = ContinuousClock()
      let start = clock.now
      _ = try place.output(of: place.evaluate)
      let duration = clock.now - start
      let expected = try [place.predictions, place.scores].map { try Data(contentsOf: URL(filePath: $0)) }
      #expect(expected.allSatisfy { $0.count > 600 * 10 })
      let before = Data("{\"before\": \"\"}\n".utf8)
      let entries = Set(try FileManager.default.contentsOfDirectory(atPath: folder.path))
      var generator = SplitMix64(seed: UInt64(signal) + 200)
      var (untouched, whole, partly) = (0, 0, 0)
      for round in 0..<Self.rounds {
        // The files of an earlier run are there, or none.
        let hadFiles = round % 4 < 2
        for path in [place.predictions, place.scores] {
          try? FileManager.default.removeItem(atPath: path)
          if hadFiles { try before.write(to: URL(filePath: path)) }
        }
        let pipe = try OutputPipe()
        let process = try CommandProcess(place.evaluate, output: pipe.writing)
        pipe.closeWriting()
        let deadline = clock.now + duration * 3
        if round % 2 == 0 {
          usleep(UInt32(Double.random(in: 0...1.1, using: &generator) * (duration / .microseconds(1))))
        } else {
          while clock.now < deadline,
            try entries.isSuperset(of: FileManager.default.contentsOfDirectory(atPath: folder.path))
          {}
          usleep(UInt32.random(in: 0..<500, using: &generator))
        }
        // A reader that goes away, where that is the signal.
        if signal == SIGPIPE { pipe.closeReading() } else { process.send(signal) }
        let end = process.wait()
        #expect(end.signal == signal || end.code == 0)
        var states: [Bool] = []
        for (path, expected) in zip([place.predictions, place.scores], expected) {
          let found = FileManager.default.contents(atPath: path)
          #expect(found == expected || found == (hadFiles ? before : nil))
          states.append(found == expected)
        }
        if states == [true, true] { whole += 1 } else if states == [false, false] { untouched += 1 } else { partly += 1 }
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where !entries.contains(name) {
          try FileManager.default.removeItem(at: folder.appending(path: name))
        }
      }
      print("signal \(signal), evaluate: \(untouched) times before the files, \(partly) between them, \(whole) after")
      // Standard output is written to last: a reader that went away costs no file.
      if signal == SIGPIPE { #expect(whole == Self.rounds) } else { #expect(untouched + partly > 0) }
    }
  }
}
