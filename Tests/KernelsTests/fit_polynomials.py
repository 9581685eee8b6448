"""Fits the polynomials of powers of two and GELU in Sources/CKernels/elementary.inc.h.

Iteratively reweighted least squares on Chebyshev nodes (Lawson's algorithm), in long double. Prints C hexadecimal constants,
lowest power first, and the largest relative error of the real-valued polynomial. Needs numpy and scipy.
"""
import numpy as np
from scipy import special


def minimax(basis, target, weight, rounds=400):
    """Coefficients c that make max |weight * (basis @ c - target)| least."""
    w = np.ones_like(target)
    c = None
    for _ in range(rounds):
        root = np.sqrt(w) * weight
        c, *_ = np.linalg.lstsq(basis * root[:, None], target * root, rcond=None)
        error = np.abs(weight * (basis @ c - target))
        w = w * (error / error.max() + 1e-3)
        w /= w.sum()
    return c, error.max()


def nodes(a, b, n=4000):
    return (a + b) / 2 + (b - a) / 2 * np.cos(np.pi * (np.arange(n) + 0.5) / n)


def show(name, c, error):
    print(f"{name}: max relative error {error:.3g}")
    print("  " + ", ".join(float(np.float32(v)).hex() + "f" for v in c))


# 2^r = 1 + r * P(r) for |r| <= 1/2
r = nodes(-0.5001, 0.5001)
c, e = minimax(np.stack([r ** (1 + i) for i in range(5)], 1), 2.0 ** r - 1, 2.0 ** -r)
show("exp2", c, e)


def rounded(u, target, weight, powers, fixed):
    """Coefficients of powers of u as floats: the highest is rounded, the others are fitted anew, and so on down."""
    c = dict(fixed)
    rest = target - sum(v * u ** i for i, v in c.items())
    free = [i for i in powers if i not in c]
    while free:
        basis = np.stack([u ** i for i in free], 1)
        scale = np.abs(basis).max(0)
        fitted, _ = minimax(basis / scale, rest, weight, 150)
        i = free.pop()
        c[i] = float(np.float32(fitted[-1] / scale[-1]))
        rest = rest - c[i] * u ** i
    return [c[i] for i in powers], np.abs(rest * weight).max()


# 2^m as a polynomial of 1 + m for 0 <= m < 1
x = nodes(1, 2)
c, e = rounded(x, 2.0 ** (x - 1), 2.0 ** (1 - x), range(6), {})
show("exp2 of fixed point", c, e)

# max(x, 0) - GELU(x) = t * Phi(-t) with t = |x|: in each of sixteen parts a polynomial in t - point, zero at 0 and at 5.5. What counts is the error
# relative to 1 + t; a half for the first part's first coefficient keeps small numbers' relative error small.
ends = [0, 0.375, 0.4375, 0.5, 0.625, 0.75, 0.875, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5.5]
for a, b in zip(ends, ends[1:]):
    point = 0 if a == 0 else b if b == ends[-1] else (a + b) / 2
    fixed = {0: 0.0, 1: 0.5} if a == 0 else {0: 0.0} if b == ends[-1] else {}
    t = nodes(a + 1e-6 * (a == 0), b - 1e-6 * (b == ends[-1]), 1500)
    c, e = rounded(t - point, t * special.erfc(t / np.sqrt(2)) / 2, 1 / (1 + t), range(6), fixed)
    show(f"GELU, {a} to {b}, around {point}", c, e)

# Phi(-t) = 2^-(1 + t * P(t)) for 0 <= t <= 8; what counts is the error of t * Phi(-t): d Phi = Phi * ln 2 * t * dP
t = nodes(1e-9, 8.0)
phi = special.erfc(t / np.sqrt(2)) / 2
c, e = minimax(np.stack([t ** (1 + i) for i in range(9)], 1), -np.log2(phi) - 1, phi * np.log(2) * np.maximum(t, 0.05))
show("-log2 of Phi(-t)", c, e)
