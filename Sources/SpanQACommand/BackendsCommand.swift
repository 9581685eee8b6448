import ArgumentParser
import Encoder
import Kernels

/// `spanqa backends`
struct BackendsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backends",
    abstract: "Shows what can compute here: backends, kernel sets, and what was found of the processor.",
    discussion: """
      SPANQA_BACKEND names a backend, SPANQA_KERNELS forces a kernel set, SPANQA_THREADS sets the threads, and \
      SPANQA_FEATURES=-avx512,-avx2 hides features of the processor.
      """)

  @Option(help: "Ask for this backend: automatic, cpu, neon or cuda.")
  var backend = BackendChoice.automatic

  @Flag(help: "Print a JSON object.")
  var json = false

  func run() throws {
    let backend = Result { () throws(BackendError) in try self.backend.resolved() }
    let kernels = Result { () throws(KernelSetError) in try KernelSet.chosen() }
    try Output.write(json ? Self.json(backend, kernels).text : Self.text(backend, kernels))
  }

  private static func json(
    _ backend: Result<BackendName, BackendError>, _ kernels: Result<KernelSet, KernelSetError>
  ) -> JSON {
    func name(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }
    func features(_ set: Set<Processor.Feature>) -> JSON {
      .array(Processor.Feature.allCases.filter(set.contains).map { JSON.string($0.rawValue) })
    }
    var members: [(String, JSON)] = []
    let backends = BackendName.allCases.map { backend -> JSON in
      let unsupported = backend.unsupported.map(JSON.string)
      return .object([
        ("name", .string(backend.rawValue)), ("available", .bool(backend.reason == nil)), ("reason", name(backend.reason)),
        ("unsupported", .array(unsupported)),
      ])
    }
    members.append(("backends", .array(backends)))
    members.append(("chosen_backend", name((try? backend.get())?.rawValue)))
    members.append(("backend_error", name(backend.failure?.description)))
    let sets = KernelSet.Name.allCases.map { set -> JSON in
      let reason = KernelSet.reasonUnavailable(set)
      return .object([("name", .string(set.rawValue)), ("available", .bool(reason == nil)), ("reason", name(reason))])
    }
    members.append(("kernel_sets", .array(sets)))
    let chosen = try? kernels.get()
    members.append(("chosen_kernel_set", name(chosen?.name.rawValue)))
    members.append(("kernel_set_error", name(kernels.failure?.description)))
    members.append(("kernels", .object((chosen?.origins ?? []).map { ($0.kernel, JSON.string($0.set.rawValue)) })))
    members.append(("processor_features", features(Processor.current.features)))
    members.append(("hidden_features", features(Processor.current.hidden)))
    members.append(("threads", .integer(ProcessorCount.usable)))
    members.append(("openblas_core", .string(OpenBLAS.coreName)))
    let caches = ProcessorCache.all.map { cache -> JSON in
      .object([("level", .integer(cache.level)), ("type", .string(cache.kind)), ("bytes", .integer(cache.byteCount))])
    }
    members.append(("caches", .array(caches)))
    return .object(members)
  }

  private static func text(
    _ backend: Result<BackendName, BackendError>, _ kernels: Result<KernelSet, KernelSetError>
  ) -> String {
    func state(_ isChosen: Bool, _ reason: String?) -> String { reason ?? (isChosen ? "chosen" : "available") }
    func features(_ set: Set<Processor.Feature>) -> String {
      set.isEmpty ? "none" : Processor.Feature.allCases.filter(set.contains).map(\.rawValue).joined(separator: " ")
    }
    var lines: [String] = []
    func write(_ title: String, _ rows: [(String, String)]) {
      let width = rows.map(\.0.count).max() ?? 0
      lines.append(title)
      lines += rows.map { "  " + $0 + String(repeating: " ", count: width - $0.count + 2) + $1 }
    }

    let chosen = try? kernels.get()
    write("backends", BackendName.allCases.map { ($0.rawValue, state($0 == (try? backend.get()), $0.reason)) })
    if let error = backend.failure { lines.append("  \(error)") }
    write(
      "kernel sets",
      KernelSet.Name.allCases.map { ($0.rawValue, state($0 == chosen?.name, KernelSet.reasonUnavailable($0))) })
    if let error = kernels.failure { lines.append("  \(error)") }
    if let chosen { write("kernels", chosen.origins.map { ($0.kernel, $0.set.rawValue) }) }
    let caches = ProcessorCache.all.map { "L\($0.level) \($0.kind.lowercased()) \($0.byteCount >> 10) KiB" }
    write(
      "machine",
      [
        ("features", features(Processor.current.features)), ("hidden", features(Processor.current.hidden)),
        ("threads", String(ProcessorCount.usable)), ("OpenBLAS core", OpenBLAS.coreName),
        ("caches", caches.isEmpty ? "not known" : caches.joined(separator: ", ")),
      ])
    return lines.joined(separator: "\n")
  }
}

extension BackendName {
  fileprivate var reason: String? {
    if case .unavailable(let reason) = availability { reason } else { nil }
  }
}

extension Result {
  fileprivate var failure: Failure? {
    if case .failure(let error) = self { error } else { nil }
  }
}
