"""Small matrix products for compiled kernels, in registers, with a fixed order of summation; copies and zeros."""

from __future__ import annotations

from numba import njit

from insula.models.kernels.vector import LANES, ZERO, fill, load, spread, store

ROWS = 4
_TWO = 2 * LANES


@njit
def copy(a, a0, b, b0, size):  # type: ignore[no-untyped-def]
    """Write ``size`` numbers of A, a multiple of 16, over those of B."""
    for i in range(0, size, LANES):
        store(b, b0 + i, load(a, a0 + i))


@njit
def clear(a, a0, size):  # type: ignore[no-untyped-def]
    """Set ``size`` numbers of A, a multiple of 16, to zero."""
    zero = fill(ZERO)
    for i in range(0, size, LANES):
        store(a, a0 + i, zero)


@njit
def add_product(a, a0, a_row, a_depth, b, b0, b_row, c, c0, c_row, rows, depth, width):  # type: ignore[no-untyped-def]
    """Add A B to C: C[r, o] += sum_k A[r, k] B[k, o].

    Flat arrays with the place of their first element and strides: A at a0 with a_row, a_depth; B at b0 with b_row
    and contiguous columns; C at c0 with c_row and contiguous columns. ``rows`` is a multiple of 4, ``width`` of 16.
    """
    o = 0
    while o + _TWO <= width:
        for r in range(0, rows, ROWS):
            p = c0 + r * c_row + o
            x0, y0 = load(c, p), load(c, p + LANES)
            x1, y1 = load(c, p + c_row), load(c, p + c_row + LANES)
            x2, y2 = load(c, p + 2 * c_row), load(c, p + 2 * c_row + LANES)
            x3, y3 = load(c, p + 3 * c_row), load(c, p + 3 * c_row + LANES)
            for k in range(depth):
                bx, by = load(b, b0 + k * b_row + o), load(b, b0 + k * b_row + o + LANES)
                q = a0 + r * a_row + k * a_depth
                s = spread(a, q)
                x0, y0 = x0 + s * bx, y0 + s * by
                s = spread(a, q + a_row)
                x1, y1 = x1 + s * bx, y1 + s * by
                s = spread(a, q + 2 * a_row)
                x2, y2 = x2 + s * bx, y2 + s * by
                s = spread(a, q + 3 * a_row)
                x3, y3 = x3 + s * bx, y3 + s * by
            store(c, p, x0)
            store(c, p + LANES, y0)
            store(c, p + c_row, x1)
            store(c, p + c_row + LANES, y1)
            store(c, p + 2 * c_row, x2)
            store(c, p + 2 * c_row + LANES, y2)
            store(c, p + 3 * c_row, x3)
            store(c, p + 3 * c_row + LANES, y3)
        o += _TWO
    if o < width:
        for r in range(0, rows, ROWS):
            p = c0 + r * c_row + o
            x0, x1, x2, x3 = load(c, p), load(c, p + c_row), load(c, p + 2 * c_row), load(c, p + 3 * c_row)
            for k in range(depth):
                bx = load(b, b0 + k * b_row + o)
                q = a0 + r * a_row + k * a_depth
                x0 = x0 + spread(a, q) * bx
                x1 = x1 + spread(a, q + a_row) * bx
                x2 = x2 + spread(a, q + 2 * a_row) * bx
                x3 = x3 + spread(a, q + 3 * a_row) * bx
            store(c, p, x0)
            store(c, p + c_row, x1)
            store(c, p + 2 * c_row, x2)
            store(c, p + 3 * c_row, x3)
