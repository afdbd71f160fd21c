"""Arithmetic of every tensor operation torch runs, by its aten name.

Conventions: a sum of n numbers is n additions (the accumulator starts at zero), so that a product of (M, K) and (K, N)
matrices is M K N multiply-accumulates and a bias is free (the accumulator starts there). Zeros of padding are
counted. A mean adds one division an output. Moving, choosing, masking and negating numbers is free. A complex
multiply-accumulate is four real ones, a complex addition two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from insula.errors import InputError
from insula.explain.cost.operations import Work

Args = tuple[Any, ...]
Rule = Callable[[Args, Mapping[str, Any], Any], Work]

_MOVES = """
    _conj _local_scalar_dense _reshape_alias _to_copy _unsafe_view alias alias_copy all any as_strided bernoulli
    bitwise_and bitwise_not bitwise_or bitwise_xor broadcast_tensors cat channel_shuffle chunk clone complex
    constant_pad_nd contiguous copy detach diagonal embedding empty empty_like empty_strided equal expand fill
    flip full full_like gather im2col imag index index_fill index_put index_select item lift logical_and
    logical_not logical_or logical_xor masked_fill masked_scatter masked_select movedim narrow native_dropout neg
    new_empty new_empty_strided new_full new_ones new_zeros nonzero ones ones_like permute pixel_shuffle positive
    rand randn real reflection_pad1d reflection_pad2d repeat repeat_interleave replication_pad1d replication_pad2d
    reshape resize resize_as resolve_conj resolve_neg roll scatter select select_scatter set slice slice_scatter
    split split_with_sizes squeeze stack t take_along_dim transpose tril triu unbind unfold unsafe_chunk
    unsafe_split unsqueeze upsample_nearest1d upsample_nearest2d view view_as view_as_complex view_as_real where
    zero zeros zeros_like
"""
FREE = frozenset(_MOVES.split())
"""Operations that move, choose or mask."""

PASSING = frozenset(
    ("detach", "alias", "lift", "lift_fresh", "clone", "contiguous", "_to_copy", "resolve_conj", "resolve_neg")
)
"""What handing a tensor to code outside torch looks like: no sign that torch computes anything."""

CONSTANT = frozenset(
    ("arange", "linspace", "logspace", "eye", "scalar_tensor", "lift_fresh", "tril_indices", "triu_indices")
)
"""Factories whose result does not depend on data: what is computed from them alone is done once, not a decision."""

# (multiply-accumulates, additions, others) for each element of the result
ELEMENTWISE: Mapping[str, tuple[int, int, int]] = {
    "add": (0, 1, 0), "sub": (0, 1, 0), "rsub": (0, 1, 0), "cumsum": (0, 1, 0),
    "mul": (1, 0, 0), "square": (1, 0, 0), "cumprod": (1, 0, 0), "addcmul": (2, 0, 0), "lerp": (1, 1, 0),
    "div": (0, 0, 1), "reciprocal": (0, 0, 1), "remainder": (0, 0, 1), "floor_divide": (0, 0, 1), "addcdiv": (1, 0, 1),
    "sqrt": (0, 0, 1), "rsqrt": (0, 0, 1), "exp": (0, 0, 1), "exp2": (0, 0, 1), "expm1": (0, 0, 1), "log": (0, 0, 1),
    "log2": (0, 0, 1), "log10": (0, 0, 1), "log1p": (0, 0, 1), "sigmoid": (0, 0, 1), "tanh": (0, 0, 1),
    "gelu": (0, 0, 1), "silu": (0, 0, 1), "elu": (0, 0, 1), "celu": (0, 0, 1), "selu": (0, 0, 1), "mish": (0, 0, 1),
    "softplus": (0, 0, 1), "log_sigmoid_forward": (0, 0, 1), "erf": (0, 0, 1), "sin": (0, 0, 1), "cos": (0, 0, 1),
    "atan": (0, 0, 1), "atan2": (0, 0, 1), "angle": (0, 0, 1), "sinc": (0, 0, 1), "logit": (0, 0, 1),
    "logaddexp": (0, 0, 1), "pow": (0, 0, 1), "hypot": (2, 0, 1),
    "eq": (0, 1, 0), "ne": (0, 1, 0), "lt": (0, 1, 0), "le": (0, 1, 0), "gt": (0, 1, 0), "ge": (0, 1, 0),
    "relu": (0, 1, 0), "maximum": (0, 1, 0), "minimum": (0, 1, 0), "fmax": (0, 1, 0), "fmin": (0, 1, 0),
    "clamp_min": (0, 1, 0), "clamp_max": (0, 1, 0), "hardtanh": (0, 2, 0), "leaky_relu": (1, 1, 0),
    "heaviside": (0, 1, 0), "sign": (0, 1, 0), "isnan": (0, 1, 0), "isinf": (0, 1, 0), "isfinite": (0, 1, 0),
    "nan_to_num": (0, 1, 0), "floor": (0, 1, 0), "ceil": (0, 1, 0), "round": (0, 1, 0), "trunc": (0, 1, 0),
    "hardsigmoid": (1, 2, 0), "hardswish": (2, 2, 0), "searchsorted": (0, 0, 1),
    # softmax, an element: comparison for the maximum, subtraction, sum; exponential and division
    "_softmax": (0, 3, 2), "_safe_softmax": (0, 3, 2),
    # log-softmax, an element: comparison, subtraction, sum, subtraction; exponential (its logarithm a row: below)
    "_log_softmax": (0, 4, 1),
}  # fmt: skip

# (for each element of the input), (for each element of the result)
REDUCTIONS: Mapping[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "sum": ((0, 1, 0), (0, 0, 0)),
    "nansum": ((0, 2, 0), (0, 0, 0)),
    "mean": ((0, 1, 0), (0, 0, 1)),
    "prod": ((1, 0, 0), (0, 0, 0)),
    "amax": ((0, 1, 0), (0, 0, 0)),
    "amin": ((0, 1, 0), (0, 0, 0)),
    "max": ((0, 1, 0), (0, 0, 0)),
    "min": ((0, 1, 0), (0, 0, 0)),
    "argmax": ((0, 1, 0), (0, 0, 0)),
    "argmin": ((0, 1, 0), (0, 0, 0)),
    "count_nonzero": ((0, 1, 0), (0, 0, 0)),
    "var": ((1, 2, 0), (0, 0, 2)),
    "std": ((1, 2, 0), (0, 0, 3)),
    "logsumexp": ((0, 3, 1), (0, 1, 1)),
    "linalg_vector_norm": ((1, 0, 0), (0, 0, 1)),
    "norm": ((1, 0, 0), (0, 0, 1)),
    "_adaptive_avg_pool2d": ((0, 1, 0), (0, 0, 1)),
    "_adaptive_avg_pool3d": ((0, 1, 0), (0, 0, 1)),
    "adaptive_max_pool2d": ((0, 1, 0), (0, 0, 0)),
}


def _first(result: Any) -> Tensor:
    tensor: Tensor = result[0] if isinstance(result, (tuple, list)) else result
    return tensor


def _complex(*values: Any) -> bool:
    return all(isinstance(v, Tensor) and v.is_complex() for v in values)


def matrices(name: str, args: Args) -> tuple[Tensor, Tensor] | None:
    """Return the two factors of a matrix product, or None."""
    if name in ("mm", "bmm", "mv", "dot", "vdot", "matmul", "linear"):
        return args[0], args[1]
    if name in ("addmm", "baddbmm", "addmv", "addbmm"):
        return args[1], args[2]
    return None


def product_macs(left: Tensor, right: Tensor) -> int:
    """Count (..., M, K) x (..., K, N) as batch x M x K x N, four times that for complex numbers.

    A complex and a real factor cost two.
    """
    columns = 1 if right.dim() < 2 else right.shape[-1]
    each = {0: 1, 1: 2, 2: 4}[left.is_complex() + right.is_complex()]
    return left.numel() * columns * each


def _convolution(args: Args, kwargs: Mapping[str, Any], result: Any) -> Work:
    del kwargs
    values, weight, transposed = args[0], args[1], bool(args[6])
    each = {0: 1, 1: 2, 2: 4}[values.is_complex() + weight.is_complex()]
    positions = values.numel() if transposed else _first(result).numel()
    return Work(positions * math.prod(weight.shape[1:]) * each)


def _attention(args: Args, kwargs: Mapping[str, Any], result: Any) -> Work:
    del kwargs, result
    query, key, value = args[0], args[1], args[2]  # (B, heads, N, d), (B, heads, S, d), (B, heads, S, e)
    weights = math.prod(query.shape[:-1]) * key.shape[-2]
    macs = weights * query.shape[-1] + weights + weights * value.shape[-1]  # Q K^T, its scale, and A V
    return Work(macs, 3 * weights, 2 * weights)


def _layer_norm(args: Args, kwargs: Mapping[str, Any], result: Any) -> Work:
    del kwargs
    values = args[0]
    rows = _first(result[1]).numel()
    scale = args[2] if len(args) > 2 else None
    # mean: n additions; centred: n additions; variance: n MACs; scaled: n MACs; weight and bias: n MACs
    macs = values.numel() * (3 if isinstance(scale, Tensor) else 2)
    return Work(macs, 2 * values.numel(), 3 * rows)  # two divisions by n and one root a row


def _group_norm(args: Args, kwargs: Mapping[str, Any], result: Any) -> Work:
    del kwargs
    macs = args[0].numel() * (3 if isinstance(args[1], Tensor) else 2)
    return Work(macs, 2 * args[0].numel(), 3 * _first(result[1]).numel())


def _batch_norm(args: Args, kwargs: Mapping[str, Any], result: Any) -> Work:
    del args, kwargs
    return Work(_first(result).numel())  # statistics are fixed: one scale and shift an element


def _pool(args: Args, kwargs: Mapping[str, Any], result: Any) -> Work:
    del kwargs
    size = args[1] if isinstance(args[1], (list, tuple)) else [args[1]]
    dimensions = args[0].dim() - 2
    window = math.prod(size) if len(size) > 1 else int(size[0]) ** dimensions
    outputs = _first(result).numel()
    return Work(0, outputs * window, outputs)


def _max_pool(args: Args, kwargs: Mapping[str, Any], result: Any) -> Work:
    return Work(0, _pool(args, kwargs, result).adds)


def _clamp(args: Args, kwargs: Mapping[str, Any], result: Any) -> Work:
    bounds = [*args[1:3], kwargs.get("min"), kwargs.get("max")]
    return Work(0, _first(result).numel() * sum(b is not None for b in bounds))


def _power(args: Args, kwargs: Mapping[str, Any], result: Any) -> Work:
    del kwargs
    n = _first(result).numel()
    exponent = args[1]
    if isinstance(exponent, (int, float)) and float(exponent).is_integer() and 1 <= exponent <= 4:
        return Work(n * (int(exponent) - 1))
    return Work(0, 0, n)


def _fourier(args: Args, kwargs: Mapping[str, Any], result: Any) -> Work:
    """Radix-2: N/2 log2 N butterflies of one complex product and two complex additions; half if one side is real."""
    del kwargs
    values, answer = args[0], _first(result)
    dimensions = args[1]
    larger = values if values.numel() >= answer.numel() else answer
    length = math.prod(max(values.shape[d], answer.shape[d]) for d in dimensions)
    transforms = larger.numel() // length
    butterflies = transforms * length * math.ceil(math.log2(max(2, length))) // 2
    halved = 1 if _complex(values, answer) else 2
    return Work(4 * butterflies // halved, 4 * butterflies // halved)


def _absolute(args: Args, kwargs: Mapping[str, Any], result: Any) -> Work:
    del kwargs
    n = _first(result).numel()
    return Work(2 * n, 0, n) if args[0].is_complex() else Work()


def _sort(args: Args, kwargs: Mapping[str, Any], result: Any) -> Work:
    del kwargs, result
    return Work(0, args[0].numel() * math.ceil(math.log2(max(2, args[0].shape[-1]))))  # n log2 n comparisons


RULES: Mapping[str, Rule] = {
    "sort": _sort,
    "argsort": _sort,
    "topk": _sort,
    "convolution": _convolution,
    "_convolution": _convolution,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "avg_pool1d": _pool,
    "avg_pool2d": _pool,
    "avg_pool3d": _pool,
    "max_pool2d_with_indices": _max_pool,
    "max_pool3d_with_indices": _max_pool,
    "clamp": _clamp,
    "pow": _power,
    "_fft_r2c": _fourier,
    "_fft_c2r": _fourier,
    "_fft_c2c": _fourier,
    "abs": _absolute,
}


def base_name(function: Any) -> str:
    """Name of an aten operation without overload and in-place mark: ``aten::add_.Tensor`` is ``add``."""
    namespace, name = str(function._schema.name).split("::")
    plain = name.strip("_") if name.startswith("__") else name.removesuffix("_")
    return plain if namespace == "aten" else f"{namespace}::{plain}"


def arithmetic(name: str, args: Args, kwargs: Mapping[str, Any], result: Any, layer: str) -> Work:
    """Count one operation; raise InputError for one that has no rule, naming it and its layer."""
    factors = matrices(name, args)
    if factors is not None:
        return Work(product_macs(*factors))
    if name in RULES:
        return RULES[name](args, kwargs, result)
    if name in ELEMENTWISE:
        return _elementwise(name, args, kwargs, _first(result))
    if name in REDUCTIONS:
        if name in ("max", "min") and len(args) > 1 and isinstance(args[1], Tensor):
            return Work(0, _first(result).numel())
        each_in, each_out = (Work(*r) for r in REDUCTIONS[name])
        double = 2 if _complex(args[0]) else 1
        values: Tensor = args[0]
        return each_in * (values.numel() * double) + each_out * _first(result).numel()
    if name in FREE or name in CONSTANT:
        return Work()
    raise InputError(
        f"operation {name!r} in layer {layer}; expected one that the energy counter knows. "
        "Give the module a method operations(*inputs) that returns (multiply-accumulates, additions, others)."
    )


def _elementwise(name: str, args: Args, kwargs: Mapping[str, Any], result: Tensor) -> Work:
    n = int(result.numel())
    macs, adds, others = ELEMENTWISE[name]
    if name in ("add", "sub", "rsub") and abs(kwargs.get("alpha", 1)) != 1:
        macs, adds = 1, 0
    if name == "_log_softmax":
        return Work(0, adds * n, others * n + n // max(1, result.shape[args[1]]))
    if result.is_complex():
        each = 4 if _complex(*args[:2]) or name == "square" else 2
        macs, adds = macs * each, adds * 2
    return Work(macs * n, adds * n, others * n)


def nonzero_pairs(left: Tensor, right: Tensor) -> int:
    """Count the products of (..., M, K) and (..., K, N) in which neither factor is zero."""
    return int(((left != 0).double() @ (right != 0).double()).sum())


def is_spikes(values: Tensor) -> bool:
    """Say whether every value is 0 or 1."""
    return bool(((values == 0) | (values == 1)).all())


def spike_convolution(args: Args) -> int:
    """Count the pairs of an input spike and a weight that meet in a convolution."""
    spikes, weight = (args[0] != 0).double(), torch.ones_like(args[1], dtype=torch.float64)
    total = torch.ops.aten.convolution(spikes, weight, None, *args[3:]).sum()
    return int(total.round())
