import Foundation
import Kernels
import Testing

@testable import Encoder

/// One suite over every backend, kernel set, precision and way to multiply; what cannot run here is skipped by name, with the reason.
struct BackendSuiteTests {
  struct Configuration {
    let backend: BackendName
    let kernels: KernelSet.Name
    let precision: Precision
    let gemm: FloatGEMM
    var title: String { "\(backend.rawValue) \(kernels.rawValue) \(precision.rawValue) \(gemm.rawValue)" }
  }

  /// Every one there is, whether it runs here or not.
  static let configurations: [Configuration] = KernelSet.Name.allCases.flatMap { set -> [Configuration] in
    [(Precision.float32, FloatGEMM.packed), (.float32, .openBLAS), (.int8, .packed)].map {
      Configuration(backend: set.isNEON ? .neon : .cpu, kernels: set, precision: $0.0, gemm: $0.1)
    }
  }

  @Test func everyBackendAndKernelSet() throws {
    // By precision, what the reference computed: all sets give the same bits, but for OpenBLAS.
    var expected: [Precision: [[UInt32]]] = [:]
    var rows: [(title: String, result: String)] = []
    var ran = 0
    for configuration in Self.configurations {
      if let reason = KernelSet.reasonUnavailable(configuration.kernels) {
        rows.append((configuration.title, "skipped: \(reason)"))
        continue
      }
      var (cases, bits) = (0, [[UInt32]]())
      for (index, shape) in EncoderTests.shapes.enumerated() {
        let tiny = TinyModel(shape, seed: 100 + UInt64(index))
        let exact = EncoderTests.sequences.flatMap { tiny.forward($0) }
        for threads in [1, 3] {
          let backend = try CPUBackend(
            threads: threads, kernels: KernelSet(configuration.kernels), precision: configuration.precision,
            gemm: configuration.gemm)
          #expect(backend.name == configuration.backend)
          let encoder = try Encoder(tiny.model, backend: backend)
          let together = try encoder.forward(PackedBatch(EncoderTests.sequences)).values
          // The formula in double precision; int8 within what its rounding takes.
          let range = (exact.max() ?? 0) - (exact.min() ?? 0)
          let worst = zip(together, exact).map { abs(Double($0) - $1) }.max() ?? .infinity
          #expect(worst < (configuration.precision == .int8 ? 0.05 * range : 2e-5), "\(configuration.title), \(shape)")
          cases += 1
          // Alone or in a batch.
          if configuration.gemm == .packed {
            let alone = try EncoderTests.sequences.flatMap { try encoder.forward(PackedBatch([$0])).values }
            #expect(alone == together, "\(configuration.title), \(shape)")
            bits.append(together.map(\.bitPattern))
            cases += 1
          }
        }
      }
      if configuration.gemm == .packed {
        #expect(bits == expected[configuration.precision, default: bits], "\(configuration.title): other bits than the reference")
        expected[configuration.precision] = expected[configuration.precision] ?? bits
      }
      rows.append((configuration.title, "\(cases) cases"))
      ran += cases
    }

    let stub = try checkStub()
    rows.append(("cuda: entries refused with the reason", "\(stub) cases"))
    let width = rows.map(\.title.count).max() ?? 0
    print("backends and kernel sets")
    for row in rows { print("  " + row.title.padding(toLength: width + 2, withPad: " ", startingAt: 0) + row.result) }
    #expect(ran > 0 && stub == 13)
    #expect(Set(expected.keys) == [.float32, .int8])
  }

  /// Every entry of the CUDA stub is the same typed error; returns how many were asked.
  private func checkStub() throws -> Int {
    let (cuda, model) = (CUDABackend(), TinyModel(EncoderTests.shapes[0], seed: 1).model)
    let (part, workspace) = (PackedBatch([[1]]).whole, CUDABackend.Workspace())
    let result = UnsafeMutablePointer<Float>.allocate(capacity: 2)
    defer { result.deallocate() }
    let (linear, norm, embeddings) = (CUDABackend.Linear(), CUDABackend.Norm(), CUDABackend.Embeddings())
    guard case .unavailable(let reason) = CUDABackend.availability else {
      Issue.record("no build has a CUDA backend that is available")
      return 0
    }
    let entries: [() throws -> Void] = [
      { _ = try cuda.prepare(model.embeddings, configuration: model.configuration) },
      { _ = try cuda.prepare([model.layers[0].query]) },
      { _ = try cuda.prepareHead(model.layers[0].query) },
      { _ = try cuda.prepare(model.embeddings.norm) },
      { _ = try cuda.makeWorkspace(for: part, configuration: model.configuration, outputs: 2) },
      { try cuda.embed(part, embeddings, norm, in: workspace) },
      { try cuda.projectQueryKeyValue(linear, in: workspace) },
      { try cuda.attend(part, after: linear, configuration: model.configuration, in: workspace) },
      { try cuda.addAttention(linear, norm, in: workspace) },
      { try cuda.addFeedForward(linear, .gelu, linear, norm, in: workspace) },
      { try cuda.head(linear, in: workspace, to: result) },
      { try cuda.hidden(in: workspace, to: result) },
      { _ = try Encoder(model, backend: cuda) },
    ]
    for entry in entries { #expect(throws: BackendError.unavailable(.cuda, reason: reason)) { try entry() } }
    #expect(reason.contains("cuBLASLt") && reason.contains("driver"))
    #expect(!CUDABackend.unsupported.isEmpty && cuda.name == .cuda)
    return entries.count
  }

  @Test func choice() throws {
    let chosen = try BackendChoice.automatic.resolved()
    #expect(chosen.availability == .available)
    #expect(try Encoder(TinyModel(EncoderTests.shapes[0], seed: 1).model).backend == chosen)
    #expect(try BackendChoice.cpu.resolved() == .cpu)
    #expect(throws: BackendError.self) { try BackendChoice.cuda.resolved() }
    #expect(throws: BackendError.self) {
      try Encoder(TinyModel(EncoderTests.shapes[0], seed: 1).model, backend: .cuda)
    }
    #expect(CPUBackend.unsupported.isEmpty)
    for choice in BackendChoice.allCases where choice != .automatic {
      #expect(BackendName(rawValue: choice.rawValue) != nil, "a choice is automatic or a backend")
    }
    if KernelSet.available.contains(.neon) {
      #expect(try BackendChoice.neon.resolved() == .neon)
    } else {
      #expect(throws: BackendError.self) { try BackendChoice.neon.resolved() }
    }
  }

  @Test func missingDrivers() {
    #expect(throws: CUDADriver.Absence.noLibrary("libnothing.so.1")) { try CUDADriver(library: "libnothing.so.1") }
    // Any library is not a driver.
    #expect(throws: CUDADriver.Absence.self) { try CUDADriver(library: "libm.so.6") }
  }

  static let compiler = ["/usr/bin/cc", "/usr/bin/clang"]
    .first { FileManager.default.isExecutableFile(atPath: $0) }

  /// A library with the driver's functions, as one would answer that has a device, and as one that has none.
  @Test(.enabled(if: compiler != nil, "needs a C compiler"), arguments: [0, 100])
  func driversAreAsked(_ initCode: Int32) throws {
    let folder = URL(filePath: NSTemporaryDirectory()).appending(path: "spanqa-driver-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let source = folder.appending(path: "driver.c"), library = folder.appending(path: "libdriver.so").path
    try Data(
      """
      int cuInit(unsigned flags) { return flags == 0 ? \(initCode) : 1; }
      int cuDriverGetVersion(int *version) { *version = 12040; return 0; }
      int cuDeviceGetCount(int *count) { *count = 2; return 0; }
      int cuDeviceGet(int *device, int index) { *device = index + 7; return 0; }
      int cuDeviceGetName(char *name, int length, int device) {
        const char text[] = "Device 7";
        for (int i = 0; i < (int)sizeof text && i < length; i++) name[i] = text[i];
        name[7] = (char)('0' + device);
        return 0;
      }
      """.utf8
    ).write(to: source)
    let process = Process()
    process.executableURL = URL(filePath: try #require(Self.compiler))
    process.arguments = ["-shared", "-fPIC", "-o", library, source.path]
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
    if initCode == 0 {
      let driver = try CUDADriver(library: library)
      #expect(driver.version == 12040 && driver.devices == ["Device 7", "Device 8"])
      #expect(CUDABackend.reason(.success(driver)).contains("CUDA 12.4 was found with Device 7, Device 8"))
    } else {
      #expect(throws: CUDADriver.Absence.failure(function: "cuInit", code: initCode)) { try CUDADriver(library: library) }
    }
  }
}
