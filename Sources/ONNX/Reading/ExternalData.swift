import Files

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// The files beside a model that hold the bytes of its tensors.
final class ExternalData {
  private let modelFile: String
  /// The folder in which locations are looked up; nil for a model that is not in a file.
  private let folder: String?
  /// Where the files must lie in the end: the model's folder, and the folder of the file that the model's path links to
  /// (the hub's cache links both the model and its data into one folder of blobs).
  private let realFolders: [String]
  private var mappings: [String: TensorBytes] = [:]

  /// The files of the model at the path `modelFile`, in its folder.
  init(ofModelAt modelFile: String) {
    let folder = modelFile.lastIndex(of: "/").map { String(modelFile[...$0]) } ?? "."
    let linkedFolder = Self.realPath(modelFile).flatMap { path in path.lastIndex(of: "/").map { String(path[...$0]) } }
    self.modelFile = modelFile
    self.folder = folder
    self.realFolders = [Self.realPath(folder), linkedFolder].compactMap { $0 }
  }

  /// The files of a model that is in memory and is called `name` in messages; without a folder it can have none.
  init(ofModelNamed name: String, folder: String?) {
    self.modelFile = name
    self.folder = folder
    self.realFolders = [folder.flatMap(Self.realPath)].compactMap { $0 }
  }

  /// The `byteCount` bytes of the tensor `name`, for the entries of its `external_data`. They are mapped, not copied.
  func bytes(
    of name: String, entries: [(key: String, value: String)], byteCount: Int
  ) throws(ONNXError) -> TensorBytes {
    func failure(_ reason: String) -> ONNXError { .externalData(file: modelFile, tensor: name, reason: reason) }
    var fields: [String: String] = [:]
    for entry in entries where fields.updateValue(entry.value, forKey: entry.key) != nil {
      throw failure("names '\(entry.key)' twice")
    }
    func number(_ key: String) throws(ONNXError) -> Int? {
      guard let text = fields[key] else { return nil }
      guard let value = Int(text), value >= 0 else { throw failure("\(key) '\(text)' is not a size") }
      return value
    }
    guard let location = fields["location"], !location.isEmpty else { throw failure("has no location") }
    let offset = try number("offset") ?? 0
    if let length = try number("length"), length != byteCount {
      throw failure("length is \(length), but the tensor's shape takes \(byteCount) bytes")
    }
    let file = try mapping(location, failure)
    let (end, overflow) = offset.addingReportingOverflow(byteCount)
    guard !overflow, let bytes = file.slice(offset..<end) else {
      throw failure("needs \(byteCount) bytes at \(offset), but '\(location)' has only \(file.count)")
    }
    return bytes
  }

  private func mapping(
    _ location: String, _ failure: (String) -> ONNXError
  ) throws(ONNXError) -> TensorBytes {
    if let known = mappings[location] { return known }
    guard let folder else { throw failure("is in '\(location)', but the model is not read from a folder") }
    // Read as paths are on any system, since the file may come from another one.
    guard !location.hasPrefix("/"), !location.hasPrefix("\\"), !location.contains("\0"),
      !location.split(whereSeparator: { $0 == "/" || $0 == "\\" }).contains("..")
    else { throw failure("location '\(location)' leaves the model's folder; put the file beside the model") }
    guard let path = Self.realPath("\(folder)/\(location)") else {
      throw failure("'\(location)' is not in '\(folder)'; put the file beside the model")
    }
    guard realFolders.contains(where: { path.hasPrefix($0.hasSuffix("/") ? $0 : $0 + "/") }) else {
      throw failure("location '\(location)' is a link that leaves the model's folder; put the file beside the model")
    }
    let file: FileMapping
    do throws(FileError) { file = try FileMapping(path: path) } catch { throw failure("\(error)") }
    let bytes = TensorBytes(file)
    mappings[location] = bytes
    return bytes
  }

  private static func realPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
