/// Sixteen floats that are computed at once. Sums over a row are taken in sixteen lanes, in an order that only the row's length decides.
typealias Lanes = SIMD16<Float>

extension UnsafePointer<Float> {
  @inline(__always) func lanes(_ index: Int) -> Lanes {
    UnsafeRawPointer(self + index).loadUnaligned(as: Lanes.self)
  }
}

extension UnsafeMutablePointer<Float> {
  @inline(__always) func lanes(_ index: Int) -> Lanes {
    UnsafeRawPointer(self + index).loadUnaligned(as: Lanes.self)
  }

  @inline(__always) func setLanes(_ index: Int, _ value: Lanes) {
    UnsafeMutableRawPointer(self + index).storeBytes(of: value, as: Lanes.self)
  }
}

/// The sum of `count` terms: `lanes(i)` gives terms i … i + 15, `one(i)` term i.
@inline(__always)
func sum(count: Int, lanes: (Int) -> Lanes, one: (Int) -> Float) -> Float {
  var sums = Lanes()
  let whole = count & ~15
  var i = 0
  while i < whole {
    sums += lanes(i)
    i += 16
  }
  var total = sums.sum()
  while i < count {
    total += one(i)
    i += 1
  }
  return total
}
