import Foundation
import ModelFolders
import Testing

/// What happens to folders that are there, and to those that cannot be written.
@Suite struct ModelFolderTests {
  @Test func foldersAreWholeAndNothingElseIsLost() throws {
    let model = ModelFolder(try ModelSource(at: Goldens.source("distilbert")))
    let files = ["config.json", "model.onnx", "model.safetensors", "tokenizer_config.json", "vocab.txt"]
    try withTemporaryFolder { folder in
      let place = folder.appending(path: "model")
      func refused(_ replaces: Bool, _ reason: String, at place: URL) throws {
        do {
          try model.write(to: place, replaces: replaces)
          Issue.record("written: \(reason)")
        } catch {
          #expect("\(error)".contains(reason) && "\(error)".contains(place.lastPathComponent), "\(error)")
        }
        #expect(try names(in: folder).filter { $0.hasSuffix(".partial") }.isEmpty)
      }
      // An empty folder is filled; a full one is left alone, unless it is asked for and holds a model only.
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: false)
      try model.write(to: place)
      try refused(false, "holds files already", at: place)
      try Data().write(to: place.appending(path: "model.onnx"))
      try model.write(to: place, replaces: true)
      #expect(try names(in: place) == files && !Data(contentsOf: place.appending(path: "model.onnx")).isEmpty)

      try Data("mine".utf8).write(to: place.appending(path: "thesis.txt"))
      try refused(true, "'thesis.txt'", at: place)
      #expect(try names(in: place) == (files + ["thesis.txt"]).sorted())

      // An additional file of this kind may be there, and a model's own folder of graphs.
      try FileManager.default.removeItem(at: place.appending(path: "thesis.txt"))
      try FileManager.default.createDirectory(at: place.appending(path: "onnx"), withIntermediateDirectories: false)
      try Data().write(to: place.appending(path: "onnx/model_quantized.onnx"))
      var noted = model
      noted.additionalFiles["notes.txt"] = Data("notes".utf8)
      try noted.write(to: place, replaces: true)
      try noted.write(to: place, replaces: true)
      #expect(try names(in: place) == ["config.json", "model.onnx", "model.safetensors", "notes.txt", "tokenizer_config.json", "vocab.txt"])
      try refused(true, "'notes.txt'", at: place)

      // Files and links in its place, and a parent that is not there.
      let file = folder.appending(path: "file")
      try Data("mine".utf8).write(to: file)
      try refused(true, "it is a file", at: file)
      #expect(try Data(contentsOf: file) == Data("mine".utf8))
      try refused(false, "No such file", at: folder.appending(path: "nowhere/model"))
      let (target, link) = (folder.appending(path: "target"), folder.appending(path: "link"))
      try FileManager.default.createDirectory(at: target, withIntermediateDirectories: false)
      try FileManager.default.createSymbolicLink(at: link, withDestinationURL: target)
      try model.write(to: link)
      #expect(try names(in: target) == files)
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link.path) == target.path)
    }
  }

  @Test func filesGoIntoAFolderBesideOthers() throws {
    let model = ModelFolder(try ModelSource(at: Goldens.source("distilbert")))
    try withTemporaryFolder { folder in
      try Data().write(to: folder.appending(path: "a record"))
      try model.write(into: folder)
      #expect(
        try names(in: folder) == ["a record", "config.json", "model.onnx", "model.safetensors", "tokenizer_config.json", "vocab.txt"])
      #expect(throws: (any Error).self) { try model.write(into: folder.appending(path: "nowhere")) }
    }
  }
}
