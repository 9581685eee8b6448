/// An ONNX model as Swift values.
public struct Model: Sendable, Equatable {
  /// The version of the file format (ONNX's `ir_version`).
  public var irVersion: Int64
  /// The name of the tool that made the model; empty if not stated.
  public var producerName: String
  /// The version of the tool that made the model; empty if not stated.
  public var producerVersion: String
  /// The operator set's version of each domain. The default domain is the empty string (never `ai.onnx`).
  public var opsetImports: [String: Int64]
  /// The key-value pairs that the file carries beside the graph.
  public var metadata: [String: String]
  /// The graph. Calls of functions that the file defines have been replaced by the functions' nodes.
  public var graph: Graph

  /// A model of these parts.
  public init(
    irVersion: Int64 = 8, producerName: String = "", producerVersion: String = "", opsetImports: [String: Int64],
    metadata: [String: String] = [:], graph: Graph
  ) {
    self.irVersion = irVersion
    self.producerName = producerName
    self.producerVersion = producerVersion
    self.opsetImports = opsetImports
    self.metadata = metadata
    self.graph = graph
  }
}
