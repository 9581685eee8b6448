#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Model {
  /// Reads the ONNX model in the file at `url`, and its external data from the file's folder.
  ///
  /// Tensors are views of the mapped files: their bytes are not copied, and each mapping goes away with the last tensor
  /// that views it.
  ///
  /// - Throws: `ONNXError` for a file that is not a valid model or that uses something not read here.
  public init(contentsOf url: URL) throws(ONNXError) {
    throw .unreadableFile(file: url.path, reason: "reading is not built yet")
  }
}
