import Encoder
import Files

extension Checkpoint {
  /// More than the pickle of any model takes, which names tensors and holds none of their bytes.
  private static let longestPickle = 16 << 20
  /// How often over a file's tensors may take its bytes: tied weights do so twice.
  private static let mostSharing = 4

  /// Reads a PyTorch checkpoint (`pytorch_model.bin`): a zip file with a pickle that names the tensors, and an entry of bytes for each
  /// storage. The tensors are views of the mapped file.
  ///
  /// Nothing in the file is run: see `Pickle`. Files of PyTorch before 1.6, which are no zip files, are not read.
  public init(pyTorch path: String) throws(CheckpointError) {
    let mapping: FileMapping
    do throws(FileError) { mapping = try FileMapping(path: path) } catch { throw .file("\(error)") }
    defer { withExtendedLifetime(mapping) {} }
    let bytes = mapping.bytes
    guard ZipArchive.isZip(bytes) else {
      throw .unsupported(
        file: path, place: "file", reason: "not a zip file: save the checkpoint with torch.save of PyTorch 1.6 or later, or as safetensors")
    }
    let archive: ZipArchive
    do throws(ZipArchive.Failure) { archive = try ZipArchive(bytes) } catch {
      throw .invalid(file: path, place: "archive", reason: error.reason)
    }
    guard let pickleName = archive.entries.keys.filter({ $0.hasSuffix("/data.pkl") }).min(), let pickle = archive.entries[pickleName] else {
      throw .invalid(file: path, place: "archive", reason: "holds no data.pkl; it was not written by torch.save")
    }
    guard pickle.count <= Self.longestPickle else {
      throw .unsupported(file: path, place: "pickle", reason: "\(pickle.count) bytes are more than the names of a model's tensors take")
    }
    let folder = pickleName.dropLast("data.pkl".count)
    if let order = archive.entries[folder + "byteorder"], !bytes[order].elementsEqual("little".utf8) {
      throw .unsupported(file: path, place: "byteorder", reason: "only little-endian checkpoints are read")
    }
    let value: Pickle.Value
    do throws(Pickle.Failure) {
      value = try Pickle.value(of: UnsafeRawBufferPointer(rebasing: bytes[pickle]))
    } catch {
      throw .invalid(file: path, place: "pickle", reason: error.reason)
    }
    guard case .dictionary(let dictionary) = value else {
      throw .unsupported(file: path, place: "pickle", reason: "not a dictionary of tensors: save the model's state_dict()")
    }
    var tensors: [Tensor] = []
    var bytesLeft = bytes.count * Self.mostSharing
    for (name, value) in dictionary.members {
      guard case .tensor(let tensor) = value else {
        throw .unsupported(file: path, place: "'\(name)'", reason: "not a tensor: save the model's state_dict() alone")
      }
      func invalid(_ reason: String) -> CheckpointError { .invalid(file: path, place: "tensor '\(name)'", reason: reason) }
      guard let storage = archive.entries["\(folder)data/\(tensor.storage.key)"] else { throw invalid("its bytes are missing") }
      guard tensor.isContiguous else { throw invalid("its rows are not in order: save it with .contiguous()") }
      let size = tensor.storage.type.byteCount
      let (start, overflow) = tensor.offset.multipliedReportingOverflow(by: size)
      guard !overflow, let count = tensor.storage.type.byteCount(ofShape: tensor.shape), start <= storage.count,
        count <= storage.count - start
      else { throw invalid("its shape \(tensor.shape) at element \(tensor.offset) needs more than its storage's \(storage.count) bytes") }
      bytesLeft -= count
      guard bytesLeft >= 0 else { throw invalid("the tensors take more than \(Self.mostSharing) times the file's bytes: they share one storage") }
      let part = UnsafeRawBufferPointer(rebasing: bytes[storage.lowerBound + start..<storage.lowerBound + start + count])
      tensors.append(
        Tensor(
          name: name, shape: tensor.shape, elementType: tensor.storage.type, bytes: ConstantBytes(unowned: part, owner: mapping)))
    }
    try self.init(file: path, tensors: tensors)
  }
}

extension Pickle.Tensor {
  /// Whether the elements stand row by row.
  fileprivate var isContiguous: Bool {
    var expected = 1
    for (size, stride) in zip(shape, strides).reversed() where size != 1 {
      guard stride == expected else { return shape.contains(0) }
      let (product, overflow) = expected.multipliedReportingOverflow(by: size)
      if overflow { return false }
      expected = product
    }
    return true
  }
}
