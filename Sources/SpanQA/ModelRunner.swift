import Encoder
import Interpreter
import Lowering
import ONNX
import Observation

/// A model that runs: in the fused encoder where its graph is understood, else node by node.
public enum ModelRunner: Sendable {
  case fused(Encoder, outputs: LoweredModel.Outputs)
  /// With what stopped lowering.
  case interpreted(InterpretedModel, reason: LoweringError)

  /// Prepares a model.
  ///
  /// - Throws: `LoweringError` where the graph is not understood and `engine` requires the fused encoder;
  ///   `ModelRunnerError` where the interpreter does not know the graph's operators either.
  public init(_ onnx: Model, engine: EngineOptions = EngineOptions()) throws {
    let lowered: LoweredModel
    do {
      lowered = try LoweredModel(onnx)
    } catch {
      if engine.requiresFused { throw error }
      do {
        self = .interpreted(try InterpretedModel(onnx), reason: error)
      } catch let other {
        throw ModelRunnerError(lowering: error, interpreting: "\(other)")
      }
      return
    }
    try self.init(lowered, engine: engine)
  }

  /// Prepares a lowered model.
  public init(_ lowered: LoweredModel, engine: EngineOptions = EngineOptions()) throws {
    self = .fused(try engine.encoder(for: lowered.model), outputs: lowered.outputs)
  }

  /// What a user should know before a long wait: nil for the fused encoder.
  public var warning: String? {
    guard case .interpreted(_, let reason) = self else { return nil }
    return "this graph runs node by node, which is slow (--require-fused makes it an error), because of \(reason)"
  }

  /// The names of the graph's outputs that `forward` computes.
  public var outputNames: [String] {
    switch self {
    case .fused(_, .spans(let start, let end)): [start, end]
    case .fused(_, .logits(let name, _)), .fused(_, .hiddenState(let name, _)): [name]
    case .interpreted(let model, _): model.interface.outputs
    }
  }

  /// The longest sequence, where known.
  public var positions: Int? {
    switch self {
    case .fused(let encoder, _): encoder.configuration.positions
    case .interpreted(let model, _): model.interface.sequence
    }
  }

  /// The outputs for every token of `batch`: start and end logits where the graph has both as outputs of their own, else the values of
  /// its first output.
  ///
  /// - Parameter observer: is handed the encoder's operations and values, or the nodes and values of the graph.
  public func forward(_ batch: PackedBatch, observer: Observer? = nil) throws -> EncoderOutput {
    switch self {
    case .fused(let encoder, _): try encoder.forward(batch, observer: observer)
    case .interpreted(let model, _): try model.forward(batch, observer: observer)
    }
  }
}

/// A graph that neither executor takes.
public struct ModelRunnerError: Error, CustomStringConvertible {
  public let lowering: LoweringError
  public let interpreting: String

  public var description: String { "\(lowering); nor can the graph run node by node: \(interpreting)" }
}
