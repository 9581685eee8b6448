/// The package's version: what the command says, and what written models bear.
public enum SpanQAVersion {
  public static let current = "0.1.0"
}
