import CKernels
import Foundation
import KernelCases
import Testing

@testable import Kernels

/// Every kernel that a set has of its own, on the cases of `Tests/KernelCases`, against the Swift reference: the same bits.
struct KernelSuiteTests {
  static let kernels = (0..<sq_kernel_count()).map { (index: $0, name: String(cString: sq_kernel_name($0))) }

  @Test func everySetGivesTheBitsOfTheReference() throws {
    var reference = sq_kernel_set.reference
    let sets = KernelSet.Name.allCases.filter { $0 != .reference }
    var (expected, found) = (sq_case_result(), sq_case_result())
    defer {
      sq_case_result_free(&expected)
      sq_case_result_free(&found)
    }
    // How many cases each kernel of each set ran.
    var record: [KernelSet.Name: [String: Int]] = [:]
    var cases: [String: Int] = [:]
    var hashes = ""
    for kernel in Self.kernels {
      var (index, hash) = (0, UInt64(SQ_HASH_START))
      while sq_case_run(kernel.index, index, &reference, &expected) != 0 {
        hash = sq_case_hash(&expected, hash)
        for set in sets where KernelSet.reasonUnavailable(set) == nil {
          var table = KernelSet.ownTable(of: set)
          guard sq_set_has_kernel(&table, kernel.index) != 0 else { continue }
          _ = sq_case_run(kernel.index, index, &table, &found)
          if found.count != expected.count || memcmp(found.bytes, expected.bytes, found.count) != 0 {
            let text = withUnsafeBytes(of: &expected.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            Issue.record("\(kernel.name) of \(set.rawValue), \(text): other bits than the reference")
          }
          record[set, default: [:]][kernel.name, default: 0] += 1
        }
        index += 1
      }
      cases[kernel.name] = index
      hashes += "\(kernel.name) \(index) \(String(hash, radix: 16))\n"
    }

    print(Self.table(sets: sets, record: record))
    for kernel in Self.kernels { #expect((cases[kernel.name] ?? 0) > 0, "no case ran \(kernel.name)") }
    for set in sets where KernelSet.reasonUnavailable(set) == nil {
      var table = KernelSet.ownTable(of: set)
      for kernel in Self.kernels where sq_set_has_kernel(&table, kernel.index) != 0 {
        #expect(record[set]?[kernel.name] == cases[kernel.name], "\(kernel.name) of \(set.rawValue) was not run on every case")
      }
      // What the set hands out is what was tested: its own kernel, or that of a set below.
      for origin in try KernelSet(set).origins {
        #expect((record[origin.set]?[origin.kernel] ?? 0) > 0, "\(origin.kernel) of \(origin.set.rawValue) was never run")
      }
    }

    // For the driver of Tests/arm64, which compares the NEON kernels with it.
    let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let build = package.appending(path: ".build")
    if FileManager.default.fileExists(atPath: build.path) {
      try Data(hashes.utf8).write(to: build.appending(path: "kernel-reference.txt"), options: .atomic)
    }
  }

  private static func table(sets: [KernelSet.Name], record: [KernelSet.Name: [String: Int]]) -> String {
    func line(_ first: String, _ cells: [String]) -> String {
      ([first.padding(toLength: 26, withPad: " ", startingAt: 0)]
        + cells.map { String(repeating: " ", count: max(0, 13 - $0.count)) + $0 }).joined(separator: " ")
    }
    var lines = [line("cases with the same bits", sets.map(\.rawValue))]
    for kernel in kernels {
      lines.append(
        line(
          kernel.name,
          sets.map { set in
            KernelSet.reasonUnavailable(set) != nil ? "skipped" : record[set]?[kernel.name].map(String.init) ?? "set below"
          }))
    }
    for set in sets {
      if let reason = KernelSet.reasonUnavailable(set) { lines.append("\(set.rawValue) skipped: \(reason)") }
    }
    return lines.joined(separator: "\n")
  }

  /// The symbols in the objects of the kernel files, which the linker saw.
  @Test func symbolsKeepTheNamingRule() throws {
    let folder = URL(filePath: ProcessInfo.processInfo.arguments[0]).deletingLastPathComponent()
    let objects = [folder, Bundle.main.bundleURL].map { $0.appending(path: "CKernels.build") }
      .first { FileManager.default.fileExists(atPath: $0.path) }
    let nm = ["/usr/bin/nm", "/usr/bin/llvm-nm"].first { FileManager.default.isExecutableFile(atPath: $0) }
    guard let objects, let nm else { return print("symbols: not checked, there is no nm or no folder of objects") }
    let names = Set(Self.kernels.map(\.name))
    var checked = 0
    for set in KernelSet.Name.allCases where set != .reference {
      let isa = set.symbolSuffix
      var table = KernelSet.ownTable(of: set)
      let own = Self.kernels.filter { sq_set_has_kernel(&table, $0.index) != 0 }.map(\.name)
      let process = Process()
      process.executableURL = URL(filePath: nm)
      process.arguments = ["--defined-only", "-g", objects.appending(path: "sq_\(isa).c.o").path]
      let output = Pipe()
      (process.standardOutput, process.standardError) = (output, FileHandle.nullDevice)
      try process.run()
      let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
      process.waitUntilExit()
      var symbols = Set(text.split(separator: "\n").compactMap { $0.split(separator: " ").last.map(String.init) })
      if own.isEmpty { continue }
      #expect(symbols.remove("sq_kernels_\(isa)") != nil, "\(set.rawValue) has no table")
      #expect(symbols == Set(own.map { "sq_\($0)_\(isa)" }))
      #expect(names.isSuperset(of: own))
      checked += symbols.count
    }
    print("symbols: \(checked) checked")
    #expect(checked > 0)
  }
}
