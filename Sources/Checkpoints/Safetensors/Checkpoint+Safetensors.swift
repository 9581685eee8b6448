import Encoder
import Files

// The safetensors format (Hugging Face): eight bytes with the length of the header, the header as JSON, and the tensors' bytes. The
// header maps each name to {"dtype", "shape", "data_offsets": [begin, end]}, and "__metadata__" to an object of strings.

extension Checkpoint {
  /// More than the header of any model here takes, about a hundred bytes a tensor. (The format's own limit is 100 MB, which as values in
  /// memory would be gigabytes.)
  private static let longestHeader = 8 << 20
  private static let metadataKey = "__metadata__"

  /// Reads a `.safetensors` file; the tensors are views of its mapping.
  ///
  /// The tensors' ranges must fill the file: one that overlaps another, leaves a gap, ends behind the file or does not fit its shape is
  /// refused, and so is a name given twice.
  public init(safetensors path: String) throws(CheckpointError) {
    let mapping: FileMapping
    do throws(FileError) { mapping = try FileMapping(path: path) } catch { throw .file("\(error)") }
    defer { withExtendedLifetime(mapping) {} }
    let bytes = mapping.bytes
    func invalid(_ place: String, _ reason: String) -> CheckpointError { .invalid(file: path, place: place, reason: reason) }

    guard bytes.count >= 8 else { throw invalid("header", "the file has \(bytes.count) bytes, less than a header's length takes") }
    let stated = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard let length = Int(exactly: stated), length <= Self.longestHeader, length <= bytes.count - 8 else {
      throw invalid("header", "its length \(stated) is more than the file holds or a model's header takes")
    }
    let text = UnsafeRawBufferPointer(rebasing: bytes[8..<8 + length]).bindMemory(to: UInt8.self)
    guard text.first == UInt8(ascii: "{"), String(validating: text, as: UTF8.self) != nil else {
      throw invalid("header", "is not JSON; the file is damaged or not a safetensors file")
    }
    let header: JSONValue
    do throws(JSONValue.ParseError) {
      header = try JSONValue(parsing: text)
    } catch {
      throw invalid("header, byte \(error.offset)", error.reason)
    }
    guard case .object(let members) = header else { throw invalid("header", "an object expected") }

    let data = UnsafeRawBufferPointer(rebasing: bytes[(8 + length)...])
    var tensors: [Tensor] = []
    var metadata: [String: String] = [:]
    var ranges: [(range: Range<Int>, name: String)] = []
    for (name, value) in members {
      if name == Self.metadataKey {
        guard case .object(let entries) = value else { throw invalid(name, "an object of strings expected") }
        for (key, value) in entries {
          guard case .string(let text) = value else { throw invalid("\(name) '\(key)'", "a string expected, not \(value.kind)") }
          metadata[key] = text
        }
        continue
      }
      let entry: HeaderEntry
      do throws(HeaderEntry.Failure) { entry = try HeaderEntry(value) } catch { throw invalid("tensor '\(name)'", error.reason) }
      guard entry.range.upperBound <= data.count else {
        throw invalid("tensor '\(name)'", "ends at byte \(entry.range.upperBound) of \(data.count)")
      }
      ranges.append((entry.range, name))
      let part = UnsafeRawBufferPointer(rebasing: data[entry.range])
      tensors.append(
        Tensor(name: name, shape: entry.shape, elementType: entry.type, bytes: ConstantBytes(unowned: part, owner: mapping)))
    }

    var end = 0
    for (range, name) in ranges.sorted(by: { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }) {
      guard range.lowerBound >= end else { throw invalid("tensor '\(name)'", "its bytes overlap another tensor's") }
      guard range.lowerBound == end else { throw invalid("tensor '\(name)'", "\(range.lowerBound - end) bytes before it are nobody's") }
      end = range.upperBound
    }
    guard end == data.count else { throw invalid("data", "\(data.count - end) bytes at the end are nobody's") }
    try self.init(file: path, tensors: tensors, metadata: metadata)
  }

  /// Writes tensors as a `.safetensors` file, which appears whole or not at all.
  ///
  /// - Throws: `CheckpointError` where the disk is full or the file cannot be written; what was there before stays then.
  public static func writeSafetensors(
    _ tensors: [Tensor], metadata: [String: String] = [:], to path: String
  ) throws(CheckpointError) {
    var members: [String] = []
    if !metadata.isEmpty {
      let entries = metadata.sorted { $0.key < $1.key }.map { JSONValue.quoted($0.key) + ":" + JSONValue.quoted($0.value) }
      members.append(JSONValue.quoted(metadataKey) + ":{" + entries.joined(separator: ",") + "}")
    }
    var offset = 0
    for tensor in tensors {
      let end = offset + tensor.bytes.count
      members.append(
        JSONValue.quoted(tensor.name) + #":{"dtype":""# + tensor.elementType.rawValue + #"","shape":["#
          + tensor.shape.map(String.init).joined(separator: ",") + #"],"data_offsets":[\#(offset),\#(end)]}"#)
      offset = end
    }
    var header = Array(("{" + members.joined(separator: ",") + "}").utf8)
    // The data begins at a multiple of eight bytes.
    header += repeatElement(UInt8(ascii: " "), count: (8 - header.count % 8) % 8)

    do throws(FileError) {
      let file = try ReplacementFile(path: path)
      withUnsafeBytes(of: UInt64(header.count).littleEndian) { file.append($0) }
      header.withUnsafeBytes { file.append($0) }
      for tensor in tensors { tensor.bytes.withUnsafeBytes { file.append($0) } }
      try file.commit()
    } catch {
      throw .file("\(error)")
    }
  }
}

/// What a header says of one tensor.
private struct HeaderEntry {
  let type: Checkpoint.ElementType
  let shape: [Int]
  let range: Range<Int>

  struct Failure: Error { var reason: String }

  init(_ value: JSONValue) throws(Failure) {
    guard case .string(let name) = value["dtype"] else { throw Failure(reason: "dtype is missing") }
    guard let type = Checkpoint.ElementType(rawValue: name) else { throw Failure(reason: "the dtype \(name) is not read here") }
    let shape = try Self.sizes(value["shape"], "shape")
    let offsets = try Self.sizes(value["data_offsets"], "data_offsets")
    guard offsets.count == 2, offsets[0] <= offsets[1] else { throw Failure(reason: "data_offsets are not a beginning and an end") }
    guard let bytes = type.byteCount(ofShape: shape) else { throw Failure(reason: "the shape overflows") }
    guard bytes == offsets[1] - offsets[0] else {
      throw Failure(reason: "the shape takes \(bytes) bytes and the data_offsets hold \(offsets[1] - offsets[0])")
    }
    (self.type, self.shape, range) = (type, shape, offsets[0]..<offsets[1])
  }

  private static func sizes(_ value: JSONValue?, _ key: String) throws(Failure) -> [Int] {
    guard case .array(let elements) = value else { throw Failure(reason: "\(key) is missing") }
    var sizes: [Int] = []
    for element in elements {
      // Whole numbers up to 2⁵³ are exact, more than any file has bytes.
      guard case .number(let number) = element, let size = Int(exactly: number), (0...1 << 53).contains(size) else {
        throw Failure(reason: "\(key) holds what is no size")
      }
      sizes.append(size)
    }
    return sizes
  }
}
