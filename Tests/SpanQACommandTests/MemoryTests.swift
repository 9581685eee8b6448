import Foundation
import Testing

/// The memory of a long passage: its text and its tokens, whatever its length; nothing of its windows stays.
struct MemoryTests {
  /// The most bytes that a byte of the passage may cost (`docs/evaluation.md`).
  private static let bytesPerByte = 8
  /// What a process may take more or less from one run to the next.
  private static let slack = 4 << 20

  @Test(arguments: ["answer", "evaluate"])
  func growsWithTheTextAndItsTokensAlone(_ subcommand: String) throws {
    try withFolder { folder in
      try MinuteModel.write(to: folder)
      var peaks: [(length: Int, memory: Int)] = []
      for megabytes in [1, 2, 4] {
        let text = MinuteModel.text(bytes: megabytes << 20, seed: UInt64(megabytes))
        let line = Data(#"{"id": "1", "question": "What about the river?", "context": "\#(text)"}"#.utf8) + [UInt8(ascii: "\n")]
        let memory = try subcommand == "answer" ? answer(line, in: folder) : evaluate(line, in: folder)
        guard let memory else { return print("peak memory: this system does not tell that of another process") }
        peaks.append((text.utf8.count, memory))
      }
      let figures = peaks.map { "\($0.length >> 10) KiB: \($0.memory >> 10) KiB" }.joined(separator: ", ")
      print("\(subcommand), peak memory by passage: \(figures)")
      for (shorter, longer) in zip(peaks, peaks.dropFirst()) {
        #expect(longer.memory - shorter.memory <= (longer.length - shorter.length) * Self.bytesPerByte + Self.slack)
      }
    }
  }

  /// The command's peak once it has answered, while it waits for another line.
  private func answer(_ line: Data, in folder: URL) throws -> Int? {
    let input = folder.appending(path: "input").path
    if mkfifo(input, 0o600) != 0 && errno != EEXIST { throw POSIXError(.EIO) }
    // For reading too, so that opening does not wait.
    let writing = open(input, O_RDWR | O_CLOEXEC)
    let pipe = try OutputPipe()
    let process = try CommandProcess(
      ["answer", "--model", folder.path, "--jsonl", "-"], input: input, output: pipe.writing)
    pipe.closeWriting()
    try FileHandle(fileDescriptor: writing, closeOnDealloc: false).write(contentsOf: line)
    #expect(pipe.read().last == UInt8(ascii: "\n"))
    let memory = process.peakMemory
    close(writing)
    #expect(process.wait().code == 0)
    return memory
  }

  /// The peak that the command tells.
  private func evaluate(_ line: Data, in folder: URL) throws -> Int? {
    let dataset = folder.appending(path: "passage.jsonl")
    try line.write(to: dataset)
    let pipe = try OutputPipe()
    let process = try CommandProcess(
      ["evaluate", "--model", folder.path, "--dataset", dataset.path, "--json"], output: pipe.writing)
    pipe.closeWriting()
    let report = try JSONSerialization.jsonObject(with: Data(pipe.read())) as? [String: Any]
    #expect(process.wait().code == 0)
    return try #require(report?["peak_memory_bytes"] as? Int)
  }
}
