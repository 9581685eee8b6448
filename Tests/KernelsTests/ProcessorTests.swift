import Testing

@testable import Kernels

struct ProcessorTests {
  @Test func masksAreRead() throws {
    #expect(try Processor.features(hiddenBy: "") == [])
    #expect(try Processor.features(hiddenBy: "-avx512,-avx2") == [.avx512, .avx2])
    for text in ["avx2", "-abacus", "-avx2;-neon", "+avx2"] {
      #expect(throws: FeatureMaskError.self) { try Processor.features(hiddenBy: text) }
    }
  }

  @Test func limitsOfAGroupAreItsOwnAndThoseAbove() {
    #expect(
      ProcessorCount.limitFiles(of: "/kubepods/pod1")
        == ["/sys/fs/cgroup/kubepods/pod1/cpu.max", "/sys/fs/cgroup/kubepods/cpu.max", "/sys/fs/cgroup/cpu.max"])
    #expect(ProcessorCount.limitFiles(of: "/") == ["/sys/fs/cgroup/cpu.max"])
  }

  @Test func theChoiceOfGEMMIsTheTables() throws {
    for line in GEMMChoice.measured {
      #expect(line.ratios.count == GEMMChoice.rows.count)
      #expect(line.ratios.allSatisfy { ($0 > 1) == (line.faster == .packed) })
    }
    for name in KernelSet.available {
      let kernels = try KernelSet(name)
      #expect(GEMMChoice.automatic.resolved(for: kernels, sameBits: false) == (name == .portable ? .openBLAS : .packed))
      #expect(GEMMChoice.automatic.resolved(for: kernels, sameBits: true) == .packed)
      #expect(GEMMChoice.openBLAS.resolved(for: kernels, sameBits: true) == .openBLAS)
      #expect(GEMMChoice.packed.resolved(for: kernels, sameBits: false) == .packed)
    }
  }

  @Test func everySetFallsBackOnASetThatRuns() throws {
    #expect(KernelSet.available.contains(.portable))
    for name in KernelSet.Name.allCases where KernelSet.reasonUnavailable(name) != nil {
      #expect(throws: KernelSetError.self) { try KernelSet(name) }
    }
    for name in KernelSet.available {
      if let feature = name.requirement { #expect(Processor.current.features.contains(feature)) }
    }
  }
}
