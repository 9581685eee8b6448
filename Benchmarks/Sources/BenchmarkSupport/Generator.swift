/// Numbers that look random, quickly and the same in every run (Knuth's MMIX constants).
public struct Generator: RandomNumberGenerator {
  private var state: UInt64 = 1

  public init() {}

  public mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 32
  }
}
