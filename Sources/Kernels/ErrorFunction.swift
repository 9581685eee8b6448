/// erf, for passes that go through GELU step by step.
public enum ErrorFunction {
  /// erf(x) = 2 · Φ(√2 · x) − 1 within 2 · 10⁻⁷, by the kernels' own Φ: the same bits on every processor.
  public static func erf(_ x: Float) -> Float {
    if x.isNaN { return x }
    let t = min(x.magnitude * Float(2).squareRoot(), 8)
    let magnitude = 1 - 2 * Reference.normalTail(t)
    return x < 0 ? -magnitude : magnitude
  }
}
