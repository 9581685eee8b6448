#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Where a model's files lie: an ONNX file, and the folder that holds its tokeniser's files.
///
/// Understood are a folder as the Hugging Face hub lays it out (`vocab.txt` or `tokenizer.json` beside `model.onnx` or
/// `onnx/model.onnx`) and one ONNX file with the tokeniser's files beside it or one folder up.
public struct ModelFiles: Sendable, Equatable {
  public var onnx: URL

  /// The folder with `tokenizer.json` or `vocab.txt`; `nil` where there is none, which is enough to run the model on token ids.
  public var tokenizerFolder: URL?

  /// Finds the files of the model at `location`, a folder or an ONNX file.
  public init(at location: URL) throws(ModelFilesError) {
    switch Self.kind(of: location) {
    case nil:
      throw .notFound(location.path)
    case .file:
      onnx = location
    case .folder:
      onnx = try Self.onnxFile(in: location)
    }
    tokenizerFolder = [onnx.deletingLastPathComponent(), onnx.deletingLastPathComponent().deletingLastPathComponent()]
      .first(where: Self.holdsTokenizer)
  }

  /// Whether a folder holds what a tokeniser is made of.
  package static func holdsTokenizer(_ folder: URL) -> Bool {
    ["tokenizer.json", "vocab.txt"].contains { kind(of: folder.appending(path: $0)) == .file }
  }

  /// The names that exporters give the model to be used, the one to prefer first.
  private static let preferredNames = ["model.onnx", "onnx/model.onnx", "model_quantized.onnx", "onnx/model_quantized.onnx"]

  private static func onnxFile(in folder: URL) throws(ModelFilesError) -> URL {
    for name in preferredNames {
      let file = folder.appending(path: name)
      if kind(of: file) == .file { return file }
    }
    let others: [URL] = [folder, folder.appending(path: "onnx")].flatMap { place -> [URL] in
      let names = (try? FileManager.default.contentsOfDirectory(atPath: place.path)) ?? []
      return names.sorted().filter { $0.hasSuffix(".onnx") }.map { place.appending(path: $0) }
    }
    switch others.count {
    case 1: return others[0]
    case 0: throw .noONNXFile(folder: folder.path)
    default: throw .severalONNXFiles(folder: folder.path, names: others.map { $0.lastPathComponent })
    }
  }

  private enum Kind { case file, folder }

  private static func kind(of url: URL) -> Kind? {
    var isDirectory = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) else { return nil }
    return isDirectory ? .folder : .file
  }
}

/// Why a model's files were not found.
public enum ModelFilesError: Error, Equatable, CustomStringConvertible {
  case notFound(String)
  case noONNXFile(folder: String)
  case severalONNXFiles(folder: String, names: [String])
  case noTokenizer(onnx: String)

  public var description: String {
    switch self {
    case .notFound(let path):
      "\(path): no such file or folder; name a model folder or an .onnx file"
    case .noONNXFile(let folder):
      "\(folder): holds no .onnx file, here or in its folder onnx/; spanqa export makes one of model.safetensors or pytorch_model.bin"
    case .severalONNXFiles(let folder, let names):
      "\(folder): holds several models (\(names.joined(separator: ", "))); name one of the files"
    case .noTokenizer(let onnx):
      "\(onnx): neither tokenizer.json nor vocab.txt lies beside it or one folder up; copy the model's vocabulary there"
    }
  }
}
