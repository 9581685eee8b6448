import ArgumentParser
import Encoder
import Interpreter
import SpanQA

/// `spanqa logits`
struct LogitsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logits",
    abstract: "Runs the model on token ids and writes its raw outputs.",
    discussion: """
      The input holds {"input_ids": [[…]], "attention_mask": [[…]]}, the mask and "token_type_ids" being optional; the output \
      {"start_logits": [[…]], "end_logits": [[…]]}, with null where the mask is 0. A model without these two outputs gives \
      its own by name, with a list of values a token.

      With --output-name, the output holds the value of that name: one of the model's outputs as above, any other value of the graph \
      as it is, in all its dimensions. Values that the fused encoder does not compute are computed node by node, which is slow.
      """)

  @OptionGroup var model: ModelOption

  @Option(help: ArgumentHelp("The batch, as JSON (- for standard input).", valueName: "file|-"))
  var input: String

  @Option(help: ArgumentHelp("Where the logits go, as JSON. Without it: standard output.", valueName: "file"))
  var output: String?

  @Option(help: ArgumentHelp("The value to give, by its name in the graph.", valueName: "name"))
  var outputName: String?

  func run() throws {
    if let output { try Output.checkWritable(output) }
    let batch = try TokenBatch(contentsOf: input)
    let json = try outputName.map { try value($0, of: batch) } ?? outputs(of: batch)
    if let output {
      try Output.write(json.text + "\n", toFile: output)
    } else {
      try Output.write(json.text)
    }
  }

  /// The model's outputs, start and end logits under these names.
  private func outputs(of batch: TokenBatch) throws -> JSON {
    let packed = try batch.packed()
    let runner = try model.runner()
    let result = try runner.forward(packed)
    if result.outputs == 2 {
      return .object([
        ("start_logits", batch.rows(of: result) { .float($0[$0.startIndex]) }),
        ("end_logits", batch.rows(of: result) { .float($0[$0.startIndex + 1]) }),
      ])
    }
    return .object([(runner.outputNames[0], batch.rows(of: result) { .array($0.map(JSON.float)) })])
  }

  /// The value of a name in the graph.
  private func value(_ name: String, of batch: TokenBatch) throws -> JSON {
    let packed = try batch.packed()
    let graph = try model.onnx()
    if let runner = try? ModelRunner(graph, engine: model.fusedEngine), let column = runner.outputNames.firstIndex(of: name) {
      let result = try runner.forward(packed)
      let isColumn = runner.outputNames.count > 1
      return .object([
        (name, batch.rows(of: result) { isColumn ? .float($0[$0.startIndex + column]) : .array($0.map(JSON.float)) })
      ])
    }
    let interpreted = try InterpretedModel(graph)
    guard interpreted.valueNames.contains(name) else { throw InterpreterError.unknownValue(name: name) }
    guard !model.requireFused else { throw LogitsError.notFused(name: name) }
    let values = try interpreted.values([name], of: batch.padded())
    guard let value = values[name] else { throw InterpreterError.unknownValue(name: name) }
    return .object([(name, try JSON(value))])
  }
}

enum LogitsError: Error, CustomStringConvertible {
  case notFused(name: String)

  var description: String {
    switch self {
    case .notFused(let name):
      "the fused encoder does not compute '\(name)'; leave --require-fused out to run the graph node by node"
    }
  }
}

extension JSON {
  /// A value's elements, nested as its dimensions are.
  init(_ value: Value) throws {
    let elements: [JSON]
    switch value.storage {
    case .float(let numbers): elements = numbers.map(JSON.float)
    case .double(let numbers): elements = numbers.map(JSON.number)
    case .bool(let truths): elements = truths.map(JSON.bool)
    default: elements = try value.int64s().map { .integer(Int($0)) }
    }
    func nested(_ shape: ArraySlice<Int>, _ elements: ArraySlice<JSON>) -> JSON {
      guard let size = shape.first else { return elements.first ?? .null }
      let inner = size == 0 ? 0 : elements.count / size
      return .array(
        (0..<size).map { index in
          let start = elements.startIndex + index * inner
          return nested(shape.dropFirst(), elements[start..<start + inner])
        })
    }
    self = nested(value.shape[...], elements[...])
  }
}
