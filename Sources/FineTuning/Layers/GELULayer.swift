import Kernels

/// The activation, element by element (Hendrycks & Gimpel 2016): gelu(u) = u · Φ(u), with Φ the normal distribution function.
struct GELULayer {
  let computer: Computer

  /// y = u · Φ(u)
  func forward(_ u: Matrix, into y: Matrix, zeros: UnsafePointer<Float>) {
    computer.forEachRow(u.rows, cost: u.columns * 4) { row in
      y[row].update(from: u[row], count: u.columns)
      computer.kernels.finish(y[row], bias: zeros, count: u.columns, epilogue: .biasGELU)
    }
  }

  /// From dy = ∂loss/∂y, both in place:
  ///
  ///     dy becomes du = dy · (Φ(u) + u · φ(u)),  φ(u) = exp(−u² / 2) / √(2π)
  ///     u becomes  y  = u · Φ(u), which the layer above needs once more
  func backward(_ dy: Matrix, u: Matrix) {
    computer.forEachRow(u.rows, cost: u.columns * 8) { row in
      let (d, u) = (dy[row], u[row])
      let whole = dy.columns & ~15
      var i = 0
      while i < whole {
        let (value, slope) = Self.valueAndSlope(u.lanes(i))
        u.setLanes(i, value)
        d.setLanes(i, d.lanes(i) * slope)
        i += 16
      }
      while i < dy.columns {
        let (value, slope) = Self.valueAndSlope(Lanes(repeating: u[i]))
        u[i] = value[0]
        d[i] *= slope[0]
        i += 1
      }
    }
  }

  /// gelu and its derivative. With t = |u| and q = Φ(−t): gelu = max(u, 0) − t · q, and the derivative Φ(u) + u · φ(u).
  @inline(__always)
  static func valueAndSlope(_ u: Lanes) -> (value: Lanes, slope: Lanes) {
    let isNegative = u .< 0
    let magnitude = u.replacing(with: -u, where: isNegative)
    let t = magnitude.replacing(with: 8, where: magnitude .> 8)
    // log₂ Φ(−t), the polynomial that the GELU kernels share (Sources/CKernels/elementary.inc.h).
    var p = Lanes(repeating: 0x1.a5d72ap-22)
    p = p * t - 0x1.05c610p-17
    p = p * t + 0x1.0e2a5cp-14
    p = p * t - 0x1.06d9acp-12
    p = p * t - 0x1.883d98p-15
    p = p * t + 0x1.ca8dd4p-8
    p = p * t - 0x1.adddfap-5
    p = p * t - 0x1.d63b16p-2
    p = p * t - 0x1.26aedap+0
    p = p * t - 1
    let below = exp2(p)
    let distribution = (1 - below).replacing(with: below, where: isNegative)
    // −log₂ e / 2; 1 / √(2π)
    let density = exp2(t * t * -0x1.715476p-1) * 0x1.988454p-2
    let value = u.replacing(with: 0, where: isNegative) - t * below
    return (value, distribution + u * density)
  }

  /// 2ʸ for −126 ≤ y ≤ 126.
  @inline(__always)
  private static func exp2(_ y: Lanes) -> Lanes {
    let rounder: Float = 0x1.8p+23
    let shifted = y + rounder
    let r = y - (shifted - rounder)
    var p = Lanes(repeating: 0x1.5bb9e4p-10)
    p = p * r + 0x1.3ceab4p-7
    p = p * r + 0x1.c6b754p-5
    p = p * r + 0x1.ebf9bcp-3
    p = p * r + 0x1.62e42ap-1
    p = p * r + 1
    let bits = unsafeBitCast(p, to: SIMD16<Int32>.self) &+ (unsafeBitCast(shifted, to: SIMD16<Int32>.self) &<< 23)
    return unsafeBitCast(bits, to: Lanes.self)
  }
}
