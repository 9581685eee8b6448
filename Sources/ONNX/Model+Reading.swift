import Files

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Model {
  /// Reads the ONNX model in the file at `url`, and its external data from the file's folder.
  ///
  /// Tensors are views of the mapped files: their bytes are not copied, and each mapping goes away with the last tensor
  /// that views it. Files must not be changed in place meanwhile; replacing them is fine.
  ///
  /// - Throws: `ONNXError` for a file that is not a valid model or that uses something not read here.
  public init(contentsOf url: URL) throws(ONNXError) {
    let path = url.path
    let mapping: FileMapping
    do throws(FileError) { mapping = try FileMapping(path: path) } catch { throw ONNXError(error) }
    try self.init(TensorBytes(mapping), file: path, external: ExternalData(ofModelAt: path))
  }

  /// Reads an ONNX model from memory, without copying the bytes of its tensors.
  ///
  /// - Parameters:
  ///   - bytes: A whole model file.
  ///   - name: What the model is called in messages.
  ///   - folder: Where its external data lies, if it has any.
  /// - Throws: `ONNXError` for bytes that are not a valid model or that use something not read here.
  public init(bytes: TensorBytes, name: String, folder: URL? = nil) throws(ONNXError) {
    try self.init(bytes, file: name, external: ExternalData(ofModelNamed: name, folder: folder?.path))
  }

  private init(_ bytes: TensorBytes, file: String, external: ExternalData) throws(ONNXError) {
    if let reason = bytes.withUnsafeBytes(Self.otherFormat) { throw .notAModel(file: file, reason: reason) }
    let skeleton: ModelSkeleton
    do throws(ModelSkeleton.Failure) {
      skeleton = try bytes.withUnsafeBytes { bytes throws(ModelSkeleton.Failure) in try ModelSkeleton(of: bytes) }
    } catch {
      let place = error.path.isEmpty ? "" : "field \(error.path.joined(separator: ".")): "
      throw .notAModel(file: file, reason: "\(place)\(error.reason) (cut short or damaged?)")
    }
    guard let unpacked = UnpackedModel(skeleton.bytes) else {
      throw .notAModel(file: file, reason: "it cannot be unpacked, or says too little for its size")
    }
    let decoder = ModelDecoder(file: file, source: bytes, payloads: skeleton.payloads, external: external)
    defer { withExtendedLifetime(unpacked) {} }
    self = try decoder.model(unpacked.message.pointee)
    graph = try GraphChecker(file: file).checked(graph)
  }

  /// What a file is instead, where its first bytes say so.
  private static func otherFormat(_ bytes: UnsafeRawBufferPointer) -> String? {
    guard !bytes.isEmpty else { return "the file is empty" }
    let start = bytes.prefix(64)
    func begins(_ text: String) -> Bool { start.starts(with: text.utf8) }
    if begins("version https://git-lfs") { return "it is a Git LFS pointer; fetch the file that it stands for" }
    if begins("PK\u{3}\u{4}") { return "it is a ZIP archive; unpack it, or make ONNX of a checkpoint with spanqa export" }
    // The length of a header, small enough to end in zeros, and the header's first characters.
    if start.count > 10, start[5..<8].allSatisfy({ $0 == 0 }), start[8...].starts(with: "{\"".utf8) {
      return "it is a safetensors file; make ONNX of it with spanqa export"
    }
    let isText = start.allSatisfy { (0x20..<0x7F).contains($0) || (0x09...0x0D).contains($0) }
    guard isText else { return nil }
    return begins("{") || begins("[") ? "it is a JSON file" : "it is a text file"
  }
}
