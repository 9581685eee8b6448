import Encoder
import Interpreter
import Lowering
import ONNX
import Observation

/// A model run node by node: for graphs that the fused encoder does not understand, and for comparisons with it. Slow.
public struct InterpretedModel: Sendable {
  /// What the graph takes and gives.
  public let interface: GraphInterface
  /// The values that the graph's nodes compute, and its outputs.
  public let valueNames: Set<String>

  private let inputs: [ValueInfo]
  /// Outputs that are declared with a number first and the sequence last.
  private let stackedOutputs: Set<String>
  private let interpreter: Interpreter

  /// - Throws: `LoweringError.interface` where the inputs' names do not say what they are, `InterpreterError` where the graph holds an
  ///   operator that is not implemented.
  public init(_ model: Model) throws {
    interface = try GraphInterface(model.graph)
    inputs = model.graph.inputs
    stackedOutputs = Set(
      model.graph.outputs.filter { output in
        guard let shape = output.shape, shape.count == 3, case .fixed = shape[0] else { return false }
        if case .fixed = shape[2] { return false }
        return true
      }.map(\.name))
    valueNames = Set(model.graph.nodes.flatMap(\.outputs)).union(model.graph.outputs.map(\.name)).subtracting([""])
    interpreter = try Interpreter(model)
  }

  /// Values of the graph by name, computed for all rows at once.
  public func values(_ names: [String], of batch: PaddedBatch, observer: Observer? = nil) throws -> [String: Value] {
    var fed: [String: Value] = [:]
    let shape = [batch.inputIDs.count, batch.width]
    for input in inputs {
      let rows: [[Int32]]
      switch input.name {
      case interface.inputs.inputIDs: rows = batch.inputIDs
      case interface.inputs.attentionMask: rows = batch.attentionMask
      case interface.inputs.tokenTypes: rows = batch.tokenTypes
      case let name where name.lowercased().contains("position"):
        rows = batch.inputIDs.map { $0.indices.map { Int32($0) } }
      default: throw InterpretedModelError.input(name: input.name)
      }
      fed[input.name] = try Value(
        shape: shape, int64s: rows.joined().map { Int64($0) }, as: input.elementType ?? .int64)
    }
    return try interpreter.run(fed, outputs: names, observer: observer)
  }

  /// What the graph's outputs are for every token of `batch`.
  public func forward(_ batch: PackedBatch, observer: Observer? = nil) throws -> EncoderOutput {
    let padded = try PaddedBatch(batch, width: interface.sequence ?? 0)
    let rows = padded.inputIDs.count
    let chunk = max(1, interface.batch ?? rows)
    var (values, outputs): ([Float], Int) = ([], interface.outputs.count)
    for start in stride(from: 0, to: batch.tokenCount == 0 ? 0 : rows, by: chunk) {
      let range = start..<min(start + chunk, rows)
      let part = padded.rows(range, filledTo: interface.batch ?? 0)
      let places = part.tokenPlaces.filter { $0 < range.count * part.width }
      let found = try self.values(interface.outputs, of: part, observer: observer)
      let columns = try interface.outputs.map { name in
        guard let value = found[name] else { throw InterpretedModelError.shape(name: name, shape: []) }
        return try tokenRows(of: value, name: name, batch: part)
      }
      if columns.count == 1 {
        guard start == 0 || outputs == columns[0].width else {
          throw InterpretedModelError.shape(name: interface.outputs[0], shape: [outputs, columns[0].width])
        }
        outputs = columns[0].width
        for place in places { values += columns[0].values[place * outputs..<(place + 1) * outputs] }
      } else {
        guard columns.allSatisfy({ $0.width == 1 }) else {
          throw InterpretedModelError.shape(name: interface.outputs[0], shape: found[interface.outputs[0]]?.shape ?? [])
        }
        for place in places { values += columns.map { $0.values[place] } }
      }
    }
    guard values.allSatisfy(\.isFinite) else { throw BatchError.notFinite(output: "the model's output") }
    return EncoderOutput(values: values, outputs: outputs, sequenceStarts: batch.sequenceStarts)
  }

  /// A value that holds `width` numbers for each token of a padded batch, `[batch, sequence]`, `[batch, sequence, width]`,
  /// `[batch · sequence, width]` or, stacked, `[width, batch, sequence]`; the numbers of each token side by side.
  func tokenRows(
    of value: Value, name: String, batch: PaddedBatch
  ) throws -> (values: [Float], width: Int) {
    let (rows, columns) = (batch.inputIDs.count, batch.width)
    let width: Int
    switch value.shape {
    case [rows, columns]: width = 1
    case let shape where shape.count == 3 && Array(shape.prefix(2)) == [rows, columns] && !stackedOutputs.contains(name):
      width = shape[2]
    case let shape where shape.count == 2 && shape[0] == rows * columns: width = shape[1]
    case let shape where shape.count == 3 && Array(shape.suffix(2)) == [rows, columns]:
      let (stacked, places) = (try value.floats(), rows * columns)
      return ((0..<stacked.count).map { stacked[$0 % shape[0] * places + $0 / shape[0]] }, shape[0])
    default: throw InterpretedModelError.shape(name: name, shape: value.shape)
    }
    return (try value.floats(), width)
  }
}

/// Why a graph that is interpreted cannot be used as an encoder.
public enum InterpretedModelError: Error, Equatable, CustomStringConvertible {
  case input(name: String)
  case shape(name: String, shape: [Int])

  public var description: String {
    switch self {
    case .input(let name):
      "the graph takes an input '\(name)', which is none of input_ids, attention_mask, token_type_ids and position_ids"
    case .shape(let name, let shape):
      "the graph's value '\(name)' has the shape \(shape), which does not hold numbers for every token"
    }
  }
}
