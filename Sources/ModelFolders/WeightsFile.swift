import SpanQA

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A file with a model's weights, in one of the formats that are read.
enum WeightsFile: Equatable {
  case onnx(URL)
  case safetensors(URL)
  case pyTorch(URL)

  var url: URL {
    switch self {
    case .onnx(let url), .safetensors(let url), .pyTorch(let url): url
    }
  }

  /// The file at `url`, by the end of its name.
  init?(_ url: URL) {
    switch url.pathExtension {
    case "onnx": self = .onnx(url)
    case "safetensors": self = .safetensors(url)
    case "bin", "pt", "pth": self = .pyTorch(url)
    default: return nil
    }
  }

  /// The weights at `location`, a file or a folder as the hub lays it out; of several files the one to prefer comes first.
  ///
  /// An ONNX file under an exporter's name for float models is preferred: it is what answers, so it is what is trained.
  static func candidates(at location: URL) throws -> [WeightsFile] {
    func isFile(_ url: URL) -> Bool {
      var isFolder = false
      return FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) && !isFolder
    }
    if isFile(location) {
      guard let file = WeightsFile(location) else { throw ModelSourceError.unknownFile(location.path) }
      return [file]
    }
    guard FileManager.default.fileExists(atPath: location.path) else { throw ModelSourceError.notFound(location.path) }
    let names = ["model.onnx", "onnx/model.onnx", "model.safetensors", "pytorch_model.bin"]
    let found = names.map { location.appending(path: $0) }.filter(isFile).compactMap(WeightsFile.init)
    if !found.isEmpty { return found }
    for name in ["model.safetensors.index.json", "pytorch_model.bin.index.json"] where isFile(location.appending(path: name)) {
      throw ModelSourceError.inParts(location.appending(path: name).path)
    }
    do {
      return [.onnx(try ModelFiles(at: location).onnx)]
    } catch {
      if case .noONNXFile = error { throw ModelSourceError.noWeights(folder: location.path) }
      throw error
    }
  }
}
