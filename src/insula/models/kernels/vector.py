"""Sixteen float32 lanes as one Numba value, so that inner loops say which registers they use.

LLVM splits a value into what the processor has (one AVX-512 register, two AVX, four SSE or NEON ones). Nothing here
may reorder a sum, so results do not depend on how a loop happens to be vectorised. NaN stays NaN.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16

_IR_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_IR_BITS = ir.VectorType(ir.IntType(32), LANES)
_CONTRACT = ("contract", "nsz")  # fused multiply-add; nothing that changes the order of a sum


class VectorType(types.Type):  # type: ignore[misc]
    """Numba's type of sixteen float32 lanes."""

    def __init__(self) -> None:
        super().__init__("float32x16")


VECTOR = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _IR_VECTOR)


def _splat(builder: Any, scalar: Any) -> Any:
    first = builder.insert_element(ir.Constant(_IR_VECTOR, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(_IR_BITS, [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(_IR_VECTOR, ir.Undefined), zeros)


def _define(operation: Callable[..., Any], name: str) -> None:
    """Teach Numba one arithmetic operator: vector with vector, and vector with scalar on either side."""
    cases = [
        signature(VECTOR, VECTOR, VECTOR),
        signature(VECTOR, VECTOR, types.float32),
        signature(VECTOR, types.float32, VECTOR),
    ]
    infer_global(operation)(type(f"Vector_{name}", (ConcreteTemplate,), {"cases": cases}))

    def lower(_context: Any, builder: Any, sig: Any, args: Any) -> Any:
        left, right = (a if kind == VECTOR else _splat(builder, a) for kind, a in zip(sig.args, args, strict=True))
        return getattr(builder, name)(left, right, flags=_CONTRACT)

    for case in cases:
        lower_builtin(operation, *case.args)(lower)


for _operation, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(_operation, _name)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic  # type: ignore[untyped-decorator]
def load(_typing: Any, array: Any, _index: Any) -> Any:
    """Sixteen lanes from a contiguous array, beginning at a flat index."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], *args)
        out = builder.load(builder.bitcast(pointer, _IR_VECTOR.as_pointer()))
        out.align = 4
        return out

    return VECTOR(array, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def store(_typing: Any, array: Any, _index: Any, _value: Any) -> Any:
    """Write sixteen lanes to a contiguous array, beginning at a flat index."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        builder.store(args[2], builder.bitcast(pointer, _IR_VECTOR.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.none(array, types.intp, VECTOR), generate


@intrinsic  # type: ignore[untyped-decorator]
def spread(_typing: Any, array: Any, _index: Any) -> Any:
    """One number of a contiguous array, at a flat index, in all sixteen lanes."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _splat(builder, builder.load(_pointer(context, builder, sig.args[0], *args)))

    return VECTOR(array, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator]
def fill(_typing: Any, _scalar: Any) -> Any:
    """One number in all sixteen lanes."""

    def generate(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return _splat(builder, args[0])

    return VECTOR(types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def total(_typing: Any, _vector: Any) -> Any:
    """Sum of the sixteen lanes, folded in halves."""

    def generate(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        value, width = args[0], LANES
        while width > 1:
            width //= 2
            low, high = (
                builder.shuffle_vector(
                    value,
                    ir.Constant(value.type, ir.Undefined),
                    ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(start, start + width))),
                )
                for start in (0, width)
            )
            value = builder.fadd(low, high)
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return types.float32(VECTOR), generate


@intrinsic  # type: ignore[untyped-decorator]
def _clamp(_typing: Any, _vector: Any, _low: Any, _high: Any) -> Any:
    def generate(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        value, low, high = args[0], _splat(builder, args[1]), _splat(builder, args[2])
        value = builder.select(builder.fcmp_ordered("<", value, low), low, value)
        return builder.select(builder.fcmp_ordered(">", value, high), high, value)

    return VECTOR(VECTOR, types.float32, types.float32), generate


@intrinsic  # type: ignore[untyped-decorator]
def magnitude(_typing: Any, _vector: Any) -> Any:
    """Absolute value of each lane."""

    def generate(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        bits = builder.and_(builder.bitcast(args[0], _IR_BITS), ir.Constant(_IR_BITS, [0x7FFFFFFF] * LANES))
        return builder.bitcast(bits, _IR_VECTOR)

    return VECTOR(VECTOR), generate


_ROUNDER = 1.5 * 2**23  # added to a small number, it leaves the nearest whole number in the low bits


@intrinsic  # type: ignore[untyped-decorator]
def _add_rounder(_typing: Any, _vector: Any) -> Any:
    def generate(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.fadd(args[0], _splat(builder, ir.Constant(ir.FloatType(), _ROUNDER)))

    return VECTOR(VECTOR), generate


@intrinsic  # type: ignore[untyped-decorator]
def _take_rounder(_typing: Any, _rounded: Any) -> Any:
    def generate(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.fsub(args[0], _splat(builder, ir.Constant(ir.FloatType(), _ROUNDER)))

    return VECTOR(VECTOR), generate


@intrinsic  # type: ignore[untyped-decorator]
def _scale_by_power(_typing: Any, _value: Any, _rounded: Any) -> Any:
    """value * 2^n, by adding n to the exponent bits; ``rounded`` is n with the rounder still in it."""

    def generate(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        value, rounded = (builder.bitcast(a, _IR_BITS) for a in args)
        shifted = builder.shl(rounded, ir.Constant(_IR_BITS, [23] * LANES))
        return builder.bitcast(builder.add(value, shifted), _IR_VECTOR)

    return VECTOR(VECTOR, VECTOR), generate


def _minimax_power() -> tuple[np.float32, ...]:
    """Coefficients c of sum c_i r^i close to 2^r for |r| <= 1/2: least squares of the relative error, below 1e-7."""
    nodes = 0.5 * np.cos(np.linspace(0, np.pi, 2001))
    weight = 2.0**-nodes
    table = np.vander(nodes, 6, increasing=True) * weight[:, None]
    return tuple(np.float32(c) for c in np.linalg.lstsq(table, np.ones_like(nodes), rcond=None)[0])


_C0, _C1, _C2, _C3, _C4, _C5 = _minimax_power()
_T1, _T2, _T3, _T4, _T5, _T6, _T7 = (np.float32(np.log(2) ** k / math.factorial(k)) for k in range(1, 8))
ZERO = np.float32(0)
ONE = np.float32(1)
LOG2_E = np.float32(np.log2(np.e))
LN_2 = np.float32(np.log(2))
_LOWEST, _HIGHEST = np.float32(-126), np.float32(126)
_SATURATED = np.float32(30)
_HUGE = np.float32(3e38)


@njit
def _raise_two(z):  # type: ignore[no-untyped-def]
    rounded = _add_rounder(z)
    r = z - _take_rounder(rounded)
    p = _C0 + r * (_C1 + r * (_C2 + r * (_C3 + r * (_C4 + r * _C5))))
    return _scale_by_power(p, rounded)


@njit
def exp(x):  # type: ignore[no-untyped-def]
    """e^x with relative error below 2e-7 for |x| < 1 (and growing with |x| like any float32 argument)."""
    return _raise_two(_clamp(x * LOG2_E, _LOWEST, _HIGHEST))


@njit
def expm1(x):  # type: ignore[no-untyped-def]
    """e^x - 1 with relative error below 5e-7: nothing is lost where x is small."""
    rounded = _add_rounder(_clamp(x * LOG2_E, _LOWEST, _HIGHEST))
    r = _clamp(x * LOG2_E, _LOWEST, _HIGHEST) - _take_rounder(rounded)
    p = r * (_T1 + r * (_T2 + r * (_T3 + r * (_T4 + r * (_T5 + r * (_T6 + r * _T7))))))  # 2^r - 1
    whole = _scale_by_power(fill(ONE), rounded)
    return whole * p + (whole - ONE)


@njit
def one_plus_power(z):  # type: ignore[no-untyped-def]
    """1 + 2^z, saturating beyond |z| = 30: the reciprocal of a sigmoid of -z ln 2."""
    return ONE + _raise_two(_clamp(z, -_SATURATED, _SATURATED))


@njit
def sigmoid(x):  # type: ignore[no-untyped-def]
    """1 / (1 + e^-x) with absolute error below 2e-7."""
    return ONE / one_plus_power(x * -LOG2_E)


@njit
def tanh(x):  # type: ignore[no-untyped-def]
    """tanh x = 2 sigmoid(2 x) - 1 with absolute error below 4e-7."""
    return np.float32(2) / one_plus_power(x * np.float32(-2 * np.log2(np.e))) - ONE


@njit
def above(x, low):  # type: ignore[no-untyped-def]
    """1 where x is above a number, else 0."""
    return _clamp((x - low) * _HUGE, ZERO, ONE)


@njit
def at_least(x, low):  # type: ignore[no-untyped-def]
    """The larger of x and a number."""
    return _clamp(x, low, _HUGE)


@njit
def sign(x):  # type: ignore[no-untyped-def]
    """-1, 0 or 1 as x is below, at or above 0."""
    return _clamp(x * _HUGE, -ONE, ONE)
