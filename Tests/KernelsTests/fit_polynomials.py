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


def rounded(u, target, weight, degree, fixed):
    """Coefficients of u, u^2, ... as floats: the highest is rounded, the others are fitted anew, and so on down."""
    c = dict(fixed)
    rest = target - sum(v * u ** i for i, v in c.items())
    free = [i for i in range(1, degree + 1) if i not in c]
    while free:
        powers = np.stack([u ** i for i in free], 1)
        scale = np.abs(powers).max(0)
        fitted, _ = minimax(powers / scale, rest, weight, 150)
        i = free.pop()
        c[i] = float(np.float32(fitted[-1] / scale[-1]))
        rest = rest - c[i] * u ** i
    return [c[i] for i in range(1, degree + 1)], np.abs(rest * weight).max()


# max(x, 0) - GELU(x) = t * Phi(-t) with t = |x|: one polynomial in t up to 2.2, one in 5.5 - t from there to 5.5, both zero where their variable
# is. What counts is the error relative to 1 + t; a half for the first coefficient keeps small numbers' relative error small.
bound, end = 2.2, 5.5
for name, t, u, fixed in [("near", nodes(1e-6, bound, 1500), lambda t: t, {1: 0.5}), ("far", nodes(bound, end - 1e-6, 1500), lambda t: end - t, {})]:
    c, e = rounded(u(t), t * special.erfc(t / np.sqrt(2)) / 2, 1 / (1 + t), 10, fixed)
    show(f"GELU {name}", c, e)

# Phi(-t) = 2^-(1 + t * P(t)) for 0 <= t <= 8; what counts is the error of t * Phi(-t): d Phi = Phi * ln 2 * t * dP
t = nodes(1e-9, 8.0)
phi = special.erfc(t / np.sqrt(2)) / 2
c, e = minimax(np.stack([t ** (1 + i) for i in range(9)], 1), -np.log2(phi) - 1, phi * np.log(2) * np.maximum(t, 0.05))
show("-log2 of Phi(-t)", c, e)
