#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The bytes of a file, a pipe or memory, a buffer at a time.
final class ByteStream {
  private var buffer: [UInt8]
  private var position = 0
  private var end: Int
  /// The offset of `buffer`'s first byte.
  private var bufferOffset = 0
  /// nil for bytes in memory.
  private let descriptor: Int32?
  private let closes: Bool
  /// A terminal would be read again after its end.
  private var hasEnded = false

  /// Reading past this offset is an error: bounds what a record can take.
  var limit = Int.max

  /// The offset of the next byte.
  var offset: Int { bufferOffset + position }

  init(bytes: [UInt8]) {
    buffer = bytes
    end = bytes.count
    descriptor = nil
    closes = false
  }

  /// Reads a descriptor that stays the caller's.
  init(descriptor: Int32) {
    buffer = [UInt8](repeating: 0, count: 1 << 16)
    end = 0
    self.descriptor = descriptor
    closes = false
  }

  init(path: String) throws(JSONFailure) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw JSONFailure(offset: nil, reason: String(cString: strerror(errno))) }
    buffer = [UInt8](repeating: 0, count: 1 << 16)
    end = 0
    self.descriptor = descriptor
    closes = true
  }

  deinit {
    if closes, let descriptor { close(descriptor) }
  }

  /// The next byte without taking it; nil at the end.
  func peek() throws(JSONFailure) -> UInt8? {
    if position == end { try refill() }
    return position < end ? buffer[position] : nil
  }

  /// Takes the next byte.
  func next() throws(JSONFailure) -> UInt8? {
    guard let byte = try peek() else { return nil }
    position += 1
    return byte
  }

  /// Takes bytes up to the first that `stops`, which stays, and appends them; false at the end of the stream.
  func append(to bytes: inout [UInt8], until stops: (UInt8) -> Bool) throws(JSONFailure) -> Bool {
    while try peek() != nil {
      let start = position
      while position < end, !stops(buffer[position]) { position += 1 }
      bytes += buffer[start..<position]
      if offset > limit { throw JSONFailure(offset: offset, reason: "the record is too long") }
      if position < end { return true }
    }
    return false
  }

  /// Whether a whole line, or the end, can be had without waiting for a slow writer; true too where part of a line has just come.
  var isReady: Bool {
    guard let descriptor, !hasEnded else { return true }
    if buffer[position..<end].contains(0x0A) { return true }
    var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&request, 1, 0) > 0
  }

  private func refill() throws(JSONFailure) {
    guard let descriptor, !hasEnded else { return }
    if offset > limit { throw JSONFailure(offset: offset, reason: "the record is too long") }
    bufferOffset += end
    position = 0
    end = 0
    while true {
      let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
      if count >= 0 {
        end = count
        hasEnded = count == 0
        return
      }
      if errno != EINTR { throw JSONFailure(offset: nil, reason: String(cString: strerror(errno))) }
    }
  }
}

/// What is wrong with JSON, and where; without an offset the file cannot be read.
struct JSONFailure: Error {
  var offset: Int?
  var reason: String
}
