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
