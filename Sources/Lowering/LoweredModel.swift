import Encoder
import ONNX

/// A graph that was proved to be an encoder: its weights and sizes, and what was found on the way.
public struct LoweredModel: Sendable {
  /// The encoder that computes the graph's function.
  public var model: DistilBERT
  /// What each pass did, in the order in which they ran.
  public var passes: [PassReport]
  /// The default domain's operator set.
  public var opset: Int64
  /// The tool that made the file and its version; empty if not stated.
  public var producer: String
  /// How the file holds the weights: `float32`, `float16`, `int8, dynamic activations`, …
  public var weightPrecision: String
  /// The graph's inputs by their meaning.
  public var inputs: Inputs
  /// The graph's outputs by their meaning.
  public var outputs: Outputs
  /// The graph's values that hold the hidden state after the embeddings, and then after each layer. (The name is none of
  /// the graph's where the file has the value inside a fused operator only.)
  public var layerOutputs: [String]

  /// The names of a graph's inputs.
  public struct Inputs: Sendable, Equatable {
    /// `[batch, sequence]`, token ids.
    public var inputIDs: String
    /// `[batch, sequence]`, 1 for tokens and 0 for padding; `nil` where the graph attends to everything.
    public var attentionMask: String?
    /// Whether the graph takes the mask as the number of its ones: it is the mask only where the ones come first.
    public var maskIsLength = false
    /// `[batch, sequence]`, rows of the token-type table; `nil` for DistilBERT.
    public var tokenTypes: String?
    /// Inputs that no output depends on.
    public var unused: [String]
  }

  /// What a graph computes for every token.
  public enum Outputs: Sendable, Equatable {
    /// Question answering in two outputs: columns 0 and 1 of the model's output, each `[batch, sequence]`.
    case spans(start: String, end: String)
    /// The model's output as it is, `[batch, sequence, width]`, or stacked, `[width, batch, sequence]`: a head's logits (width 2:
    /// start, end) ...
    case logits(name: String, width: Int)
    /// ... or the last hidden state of an encoder without a head.
    case hiddenState(name: String, width: Int)
  }

  /// Lowers a model's graph.
  ///
  /// Weights stay views of the model's bytes where they are used as the file has them.
  ///
  /// - Throws: `LoweringError`, naming the node that stopped it, for every graph that is not proved to be an encoder
  ///   of the BERT family. Cost: time linear in the number of nodes, times the number of passes.
  public init(_ model: Model) throws(LoweringError) {
    self = try Lowering(model).run()
  }

  init(
    model: DistilBERT, passes: [PassReport], opset: Int64, producer: String, weightPrecision: String, inputs: Inputs,
    outputs: Outputs, layerOutputs: [String]
  ) {
    self.model = model
    self.passes = passes
    self.opset = opset
    self.producer = producer
    self.weightPrecision = weightPrecision
    self.inputs = inputs
    self.outputs = outputs
    self.layerOutputs = layerOutputs
  }
}

/// What one pass did to the graph.
public struct PassReport: Sendable, Equatable {
  /// The pass's name.
  public var name: String
  /// What it does, in a line.
  public var summary: String
  /// How often it did what, by the names of the forms it met.
  public var counts: [String: Int]
  /// The number of nodes before and after.
  public var nodesBefore: Int
  public var nodesAfter: Int
}
