"""Fits the polynomials of exp and erf in Sources/CKernels/elementary.inc.h.

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


# exp(r) = 1 + r + r^2 * P(r) for |r| <= ln(2)/2
r = nodes(-0.3467, 0.3467)
c, e = minimax(np.stack([r ** (2 + i) for i in range(5)], 1), np.exp(r) - 1 - r, 1 / np.exp(r))
show("exp", c, e)

# erf(x) = x + x * P(x^2) for 0 <= x <= 0.93
x = nodes(1e-6, 0.9301)
c, e = minimax(np.stack([x ** (2 * i) for i in range(7)], 1), special.erf(x) / x - 1, x / special.erf(x))
show("erf, small", c, e)

# erf(x) = 1 - exp(-x * Q(x)) for 0.93 <= x <= 4; what counts is the error of erf: d erf = exp(-xQ) * x * dQ
x = nodes(0.9299, 4.0)
q = -np.log(special.erfc(x)) / x
c, e = minimax(np.stack([x ** i for i in range(8)], 1), q, special.erfc(x) * x / special.erf(x))
show("erf, large", c, e)
