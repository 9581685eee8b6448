import COpenBLAS
import CKernels

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The float32 matrix product of the system's OpenBLAS.
///
/// The work is split by our own thread pool; each call of OpenBLAS stays on its caller's thread.
public enum OpenBLAS {
  /// c = a · b, all row-major: a is `[m, k]`, b `[k, n]`, c `[m, n]`, with `lda`, `ldb`, `ldc` floats from row to row.
  public static func multiply(
    m: Int, n: Int, k: Int, a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>, ldb: Int,
    c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    _ = isReady
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(m), blasint(n), blasint(k), 1, a, blasint(lda), b, blasint(ldb),
      0, c, blasint(ldc))
  }

  /// c = a · b, or c += a · b where `adding`: a is `[m, k]`, b `[k, n]`, c `[m, n]`, row-major. Of a transposed operand the memory
  /// holds the transpose, `[k, m]` or `[n, k]`.
  public static func multiply(
    m: Int, n: Int, k: Int, a: UnsafePointer<Float>, lda: Int, transposeA: Bool, b: UnsafePointer<Float>, ldb: Int,
    transposeB: Bool, adding: Bool, c: UnsafeMutablePointer<Float>, ldc: Int
  ) {
    _ = isReady
    cblas_sgemm(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans, blasint(m),
      blasint(n), blasint(k), 1, a, blasint(lda), b, blasint(ldb), adding ? 1 : 0, c, blasint(ldc))
  }

  /// The processor that OpenBLAS took this one for, and so whose kernels it runs.
  public static var coreName: String {
    _ = isReady
    return String(cString: openblas_get_corename())
  }

  /// The cores of OpenBLAS that use what this processor offers, the best first. A name that a library does not know makes it choose by
  /// itself.
  public static var suitableCores: [String] {
    let features = Processor.current.features
    if features.contains(.avx512) {
      return (features.contains(.avx512bf16) ? ["SapphireRapids", "Cooperlake"] : []) + ["SkylakeX"]
    }
    if features.contains(.avx2) { return ["Haswell", "Zen"] }
    return []
  }

  /// Done before the first product: the right core, and no threads of OpenBLAS's own.
  private static let isReady: Bool = {
    chooseCore()
    openblas_set_num_threads(1)
    return true
  }()

  /// OpenBLAS 0.3.21 takes a processor that it does not know for a Prescott and runs SSE3 kernels, at a fifth of the speed.
  ///
  /// It reads `OPENBLAS_CORETYPE` when it is loaded, which is before we run. So set the variable and have the library choose anew,
  /// through the two functions that it runs itself when it is loaded and unloaded. A choice that the user made stands.
  private static func chooseCore() {
    guard Environment[.openBLASCore] == nil, let quit = function("gotoblas_dynamic_quit"),
      let start = function("gotoblas_dynamic_init")
    else { return }
    for core in suitableCores where !isSuitable(String(cString: openblas_get_corename())) {
      setenv(Environment.Variable.openBLASCore.rawValue, core, 1)
      quit()
      start()
      unsetenv(Environment.Variable.openBLASCore.rawValue)
    }
  }

  /// Whether OpenBLAS runs kernels as wide as this processor allows.
  static func isSuitable(_ core: String) -> Bool {
    suitableCores.isEmpty || suitableCores.contains { $0.lowercased() == core.lowercased() }
  }

  private static func function(_ name: String) -> (@convention(c) () -> Void)? {
    // A null handle searches everything that is loaded.
    dlsym(nil, name).map { unsafeBitCast($0, to: (@convention(c) () -> Void).self) }
  }
}
