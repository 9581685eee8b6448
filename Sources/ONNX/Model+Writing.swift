import CONNXProto
import CProtobufC
import Files

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension Model {
  /// Writes the model as one ONNX file, which appears whole or not at all.
  ///
  /// It may replace the file that the model was read from.
  /// The tensors' bytes go from where they are straight to the file, and nodes that are out of order are put in order.
  /// Equal models give equal files.
  ///
  /// - Throws: `ONNXError.cannotWrite`, and for a model that breaks the rules that reading checks, `ONNXError.invalid`.
  public func write(to url: URL) throws(ONNXError) {
    let path = url.path
    var model = self
    model.graph = try GraphChecker(file: path).checked(graph)
    let encoder = ModelEncoder(model, file: path)
    defer { withExtendedLifetime(encoder) {} }
    let message = try encoder.message()
    let size = onnx__model_proto__get_packed_size(message)
    // The limit of protobuf messages, which other readers of the file enforce.
    guard size <= Int32.max else {
      throw .cannotWrite(
        file: path,
        reason: "the model takes \(size) bytes, and a file without external data holds at most \(Int32.max)")
    }
    let output: ReplacementFile
    do throws(FileError) { output = try ReplacementFile(path: path) } catch { throw ONNXError(error) }
    var buffer = FileBuffer(
      base: ProtobufCBuffer(append: { buffer, count, bytes in
        guard let buffer else { return }
        UnsafeMutableRawPointer(buffer).assumingMemoryBound(to: FileBuffer.self).pointee
          .file.takeUnretainedValue().append(UnsafeRawBufferPointer(start: bytes, count: count))
      }),
      file: Unmanaged.passUnretained(output))
    withUnsafeMutablePointer(to: &buffer) { pointer in
      let base = UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: ProtobufCBuffer.self)
      _ = onnx__model_proto__pack_to_buffer(message, base)
    }
    do throws(FileError) { try output.commit() } catch { throw ONNXError(error) }
  }
}

/// A buffer of protobuf-c that passes everything on to a file. `base` has to come first: its address is the buffer's.
private struct FileBuffer {
  var base: ProtobufCBuffer
  var file: Unmanaged<ReplacementFile>
}
