import Checkpoints
import Encoder
import Export
import Files
import ONNX
import SpanQA

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A question-answering model as a folder that the hub, transformers and ONNX engines take, and this engine too:
///
///     config.json              model.safetensors  with transformers' names
///     model.onnx               vocab.txt, tokenizer_config.json and what else the tokeniser came with
public struct ModelFolder: Sendable {
  /// With a head of two outputs; float.
  public var model: DistilBERT
  public var configuration: ModelConfiguration
  public var tokenizer: TokenizerFiles
  /// Text by key that `model.onnx` and `model.safetensors` carry beside the weights.
  public var metadata: [String: String]
  /// Files of the caller's own, by name.
  public var additionalFiles: [String: Data]

  public init(
    model: DistilBERT, configuration: ModelConfiguration, tokenizer: TokenizerFiles, metadata: [String: String] = [:],
    additionalFiles: [String: Data] = [:]
  ) {
    self.model = model
    self.configuration = configuration
    self.tokenizer = tokenizer
    self.metadata = metadata
    self.additionalFiles = additionalFiles
  }

  /// A source's model as it is.
  public init(_ source: ModelSource) {
    self.init(model: source.model, configuration: source.configuration, tokenizer: source.tokenizer)
  }

  private enum Name {
    static let configuration = "config.json"
    static let onnx = "model.onnx"
    static let safetensors = "model.safetensors"
  }

  /// The names of the files that are written, in their order.
  public var fileNames: [String] {
    additionalFiles.keys.sorted() + tokenizer.contents.keys.sorted() + [Name.safetensors, Name.onnx, Name.configuration]
  }

  /// Writes the folder, which appears whole or not at all: filled beside its place, synced, renamed. Its parent must be there.
  ///
  /// - Parameter replaces: whether a folder that is there and not empty is replaced, in one step. One that holds anything else than a
  ///   model's files is left alone even so: nothing is lost but a model.
  /// - Throws: an error that names the file that cannot be written; nothing has changed then.
  public func write(to folder: URL, replaces: Bool = false) throws {
    if replaces { try checkHoldsModelOnly(folder) }
    let replacement: ReplacementFolder
    do throws(FileError) {
      replacement = try ReplacementFolder(path: folder.path, replaces: replaces)
    } catch {
      throw ModelFolderError.folder("\(error)")
    }
    try write(into: URL(filePath: replacement.temporaryPath))
    do throws(FileError) { try replacement.commit() } catch { throw ModelFolderError.folder("\(error)") }
  }

  /// Writes the files into a folder that is there, beside what else it holds. Each appears whole or not at all, `config.json` last.
  public func write(into folder: URL) throws {
    func path(_ name: String) -> String { folder.appending(path: name).path }
    for (name, bytes) in additionalFiles.merging(tokenizer.contents, uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }) {
      try Self.write(bytes, to: path(name))
    }
    let metadata = metadata.merging(["spanqa.version": SpanQAVersion.current]) { $1 }
    try Checkpoint.writeSafetensors(
      model.checkpointTensors(), metadata: metadata.merging(["format": "pt"]) { $1 }, to: path(Name.safetensors))
    try Model(model, producerVersion: SpanQAVersion.current, metadata: metadata).write(to: folder.appending(path: Name.onnx))
    let json = configuration.json(model.configuration, paddingID: tokenizer.tokenizer.paddingID)
    try Self.write(Data(json.utf8), to: path(Name.configuration))
  }

  private static func write(_ bytes: Data, to path: String) throws(ModelFolderError) {
    do throws(FileError) {
      let file = try ReplacementFile(path: path)
      bytes.withUnsafeBytes { file.append($0) }
      try file.commit()
    } catch {
      throw .folder("\(error)")
    }
  }

  /// - Throws: `ModelFolderError.otherFiles` where replacing a folder would lose a file that is no model's.
  private func checkHoldsModelOnly(_ folder: URL) throws(ModelFolderError) {
    let known = Set(fileNames + TokenizerFiles.names + ["pytorch_model.bin"])
    func isModel(_ name: String) -> Bool { name.hasSuffix(".onnx") || name.hasSuffix(".onnx_data") }
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.path))?.sorted() ?? [] {
      if known.contains(name) || isModel(name) { continue }
      let place = folder.appending(path: name).path
      if name == "onnx", let within = try? FileManager.default.contentsOfDirectory(atPath: place), within.allSatisfy(isModel) { continue }
      throw .otherFiles(folder: folder.path, name: name)
    }
  }
}

/// Why a model's folder cannot be written.
public enum ModelFolderError: Error, Equatable, CustomStringConvertible {
  case folder(String)
  case otherFiles(folder: String, name: String)

  public var description: String {
    switch self {
    case .folder(let reason): reason
    case .otherFiles(let folder, let name):
      "\(folder): holds '\(name)', which is no model's file and would be lost; move it away or name another folder"
    }
  }
}
