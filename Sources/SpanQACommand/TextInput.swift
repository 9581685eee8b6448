#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Reads text from files and standard input (named `-`), which must be UTF-8.
enum TextInput {
  static let standardInputName = "-"

  /// The whole text of `path`. Memory is twice the text's length for the moment.
  static func contents(of path: String) throws(InputError) -> String {
    let descriptor = try opened(path)
    defer { if descriptor != STDIN_FILENO { close(descriptor) } }
    var reader = LineReader(descriptor: descriptor)
    let bytes = reader.readToEnd()
    if reader.hasFailed { throw .unreadable(path) }
    return try text(bytes, from: path)
  }

  private static func opened(_ path: String) throws(InputError) -> Int32 {
    if path == standardInputName { return STDIN_FILENO }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .unreadable(path) }
    return descriptor
  }

  /// Bytes as text.
  static func text(_ bytes: some Collection<UInt8>, from path: String, line: Int? = nil) throws(InputError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .notUTF8(path, line: line)
    }
    return text
  }

  /// Calls `body` with each line of `path` that is not empty, and its number.
  static func forEachLine(of path: String, _ body: ([UInt8], Int) throws -> Void) throws {
    let descriptor = try opened(path)
    defer { if descriptor != STDIN_FILENO { close(descriptor) } }
    var reader = LineReader(descriptor: descriptor)
    var number = 0
    while let line = reader.next() {
      number += 1
      if !line.isEmpty { try body(line, number) }
    }
    if reader.hasFailed { throw InputError.unreadable(path) }
  }

  static var standardInputIsTerminal: Bool { isatty(STDIN_FILENO) == 1 }
  static var standardOutputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
}

/// Reads a file descriptor line by line, and can tell whether more is there without waiting.
struct LineReader {
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  /// Where the bytes not yet handed out begin.
  private var start = 0
  private var isAtEnd = false
  /// Whether reading ended with an error: a folder's name, a damaged disk, a descriptor that is closed.
  private(set) var hasFailed = false

  init(descriptor: Int32 = STDIN_FILENO) {
    self.descriptor = descriptor
  }

  /// The next line without its line feed; `nil` at the end.
  mutating func next() -> [UInt8]? {
    var searched = start
    while true {
      if let lineFeed = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        defer { start = lineFeed + 1 }
        let line = buffer[start..<lineFeed]
        return Array(line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
      }
      let pending = buffer.count - start
      guard fill() else {
        defer { start = buffer.count }
        return pending == 0 ? nil : Array(buffer[start...])
      }
      searched = start + pending
    }
  }

  /// Everything that is left.
  mutating func readToEnd() -> [UInt8] {
    while fill() {}
    defer { (buffer, start) = ([], 0) }
    return start == 0 ? buffer : Array(buffer[start...])
  }

  /// Whether `next()` would return without waiting for a slow writer.
  var isReady: Bool {
    if isAtEnd || buffer[start...].contains(UInt8(ascii: "\n")) { return true }
    var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return systemPoll(&poll, 1, 0) > 0
  }

  /// Appends what the descriptor has to the buffer; false at its end.
  private mutating func fill() -> Bool {
    if isAtEnd { return false }
    if start > 0 {
      buffer.removeSubrange(..<start)
      start = 0
    }
    var failed = false
    let chunk = [UInt8](unsafeUninitializedCapacity: 1 << 16) { chunk, count in
      repeat { count = max(-1, read(descriptor, chunk.baseAddress, chunk.count)) } while count < 0 && errno == EINTR
      failed = count < 0
      count = max(0, count)
    }
    hasFailed = hasFailed || failed
    buffer += chunk
    isAtEnd = chunk.isEmpty
    return !isAtEnd
  }
}

/// `poll`, under a name that a local variable does not hide.
private func systemPoll(_ descriptors: UnsafeMutablePointer<pollfd>, _ count: nfds_t, _ timeout: Int32) -> Int32 {
  poll(descriptors, count, timeout)
}

/// Why input could not be read.
enum InputError: Error, CustomStringConvertible {
  case unreadable(String)
  case notUTF8(String, line: Int?)
  case notJSON(String, line: Int?, expected: String)
  case noValues(String)

  var description: String {
    switch self {
    case .unreadable(let path):
      "\(Self.place(path, nil)): cannot be read; check that the file exists and may be read"
    case .notUTF8(let path, let line):
      "\(Self.place(path, line)): is not UTF-8 text; convert it first, for example with iconv -t UTF-8"
    case .notJSON(let path, let line, let expected):
      "\(Self.place(path, line)): is not \(expected)"
    case .noValues(let path):
      "\(path): holds no values of the model's graph; its initialisers must have the names of the graph's inputs and values"
    }
  }

  private static func place(_ path: String, _ line: Int?) -> String {
    (path == TextInput.standardInputName ? "standard input" : path) + (line.map { ", line \($0)" } ?? "")
  }
}
