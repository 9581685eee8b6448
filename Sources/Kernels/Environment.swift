#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The environment variables that steer the engine.
package enum Environment {
  package enum Variable: String {
    /// Forces a kernel set.
    case kernels = "SPANQA_KERNELS"
    /// Names the backend where a caller leaves the choice open.
    case backend = "SPANQA_BACKEND"
    /// Hides processor features: `-avx512,-avx2`.
    case features = "SPANQA_FEATURES"
    /// Sets the number of threads.
    case threads = "SPANQA_THREADS"
    /// OpenBLAS's own: the processor that it shall take this one for.
    case openBLASCore = "OPENBLAS_CORETYPE"
  }

  /// The variable's value; `nil` where it is unset or empty.
  package static subscript(variable: Variable) -> String? {
    guard let value = getenv(variable.rawValue), value.pointee != 0 else { return nil }
    return String(cString: value)
  }
}
