import Kernels

/// The backends, the fastest first. All choice between them is made in this file.
public enum BackendName: String, Sendable, CaseIterable {
  /// NVIDIA's devices (`CUDABackend`): not in this build.
  case cuda
  /// `CPUBackend` with the NEON kernel sets of ARM.
  case neon
  /// `CPUBackend` with the fastest kernel set of this processor.
  case cpu

  /// Whether the backend can run here, or why not.
  public var availability: BackendAvailability {
    switch self {
    case .cuda: CUDABackend.availability
    case .neon: KernelSet.reasonUnavailable(.neon).map { .unavailable(reason: $0) } ?? .available
    case .cpu: CPUBackend.availability
    }
  }

  /// What the backend does not run, in words.
  public var unsupported: [String] {
    switch self {
    case .cuda: CUDABackend.unsupported
    case .neon, .cpu: CPUBackend.unsupported
    }
  }
}

/// Whether a backend can run on this machine, in this build.
public enum BackendAvailability: Sendable, Equatable {
  case available
  case unavailable(reason: String)
}

/// Which backend shall run a model.
public enum BackendChoice: String, Sendable, CaseIterable {
  /// The one that `SPANQA_BACKEND` names, or else the fastest that is available.
  case automatic
  case cpu, neon, cuda

  /// The backend that this choice comes to.
  ///
  /// - Throws: `BackendError` where the variable names no backend, or the backend asked for cannot run here.
  public func resolved() throws(BackendError) -> BackendName {
    switch self {
    case .automatic:
      if let value = Environment[.backend] {
        guard let choice = BackendChoice(rawValue: value) else { throw .unknown(value) }
        if choice != .automatic { return try choice.resolved() }
      }
      return BackendName.allCases.first { $0.availability == .available } ?? .cpu
    case .cpu: return try Self.available(.cpu)
    case .neon: return try Self.available(.neon)
    case .cuda: return try Self.available(.cuda)
    }
  }

  private static func available(_ name: BackendName) throws(BackendError) -> BackendName {
    if case .unavailable(let reason) = name.availability { throw .unavailable(name, reason: reason) }
    return name
  }
}

/// Why a backend cannot be had, or could not compute.
public enum BackendError: Error, Equatable, CustomStringConvertible {
  case unknown(String)
  case unavailable(BackendName, reason: String)
  /// `SPANQA_KERNELS` names a set that is not the backend's.
  case kernels(KernelSet.Name, backend: BackendName)

  public var description: String {
    switch self {
    case .unknown(let name):
      "\(Environment.Variable.backend.rawValue)=\(name): no backend has this name; choose one of "
        + BackendChoice.allCases.map(\.rawValue).joined(separator: ", ")
    case .unavailable(let name, let reason):
      "the backend \(name.rawValue) cannot run: \(reason)"
    case .kernels(let set, let backend):
      "the kernel set \(set.rawValue) is none of the backend \(backend.rawValue)'s; unset \(Environment.Variable.kernels.rawValue)"
    }
  }
}
