"""Compiled loops over pairs of channels and over graphs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from insula.signals.compiling import compiled

STEPS = 200
"""Most steps of the power iteration; it stops when nothing changes by more than 1e-9."""


@compiled
def pairs(spectra: Any, seen: Any, alive: Any, least: int) -> Any:
    """Measure pairs: spectra (n, C, bins, S) complex64, seen (n, S), alive (n, C) -> (n, 6, C, C) float32."""
    count, channels, bins, segments = spectra.shape
    out = np.full((count, 6, channels, channels), np.nan, np.float32)
    for n in range(count):
        used = 0
        for s in range(segments):
            used += seen[n, s]
        if used < least:
            continue
        power = np.zeros((channels, bins))
        for c in range(channels):
            for f in range(bins):
                for s in range(segments):
                    if seen[n, s]:
                        z = spectra[n, c, f, s]
                        power[c, f] += z.real * z.real + z.imag * z.imag
        for i in range(channels):
            out[n, :, i, i] = 0.0
            if not alive[n, i]:
                continue
            for j in range(i):
                if not alive[n, j]:
                    continue
                coherence, imaginary, locked, lagged, information, shared = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                for f in range(bins):
                    re, im, size, unit_re, unit_im = 0.0, 0.0, 0.0, 0.0, 0.0
                    for s in range(segments):
                        if seen[n, s]:
                            a, b = spectra[n, i, f, s], spectra[n, j, f, s]
                            x = float(a.real) * b.real + float(a.imag) * b.imag
                            y = float(a.imag) * b.real - float(a.real) * b.imag
                            re += x
                            im += y
                            size += abs(y)
                            length = math.sqrt(x * x + y * y)
                            if length > 0:
                                unit_re += x / length
                                unit_im += y / length
                    scale = math.sqrt(power[i, f] * power[j, f])
                    if scale > 0:
                        squared = min((re * re + im * im) / (scale * scale), 1 - 1e-9)
                        coherence += math.sqrt(squared)
                        information -= math.log(1 - squared)
                        imaginary += im / scale
                    locked += math.sqrt(unit_re * unit_re + unit_im * unit_im) / used
                    if size > 0:
                        lagged += abs(im) / size
                    shared += re
                total = math.sqrt(power[i].sum() * power[j].sum())
                found = (
                    coherence / bins, abs(imaginary) / bins, locked / bins, lagged / bins, abs(shared) / total,
                    information / bins,
                )  # fmt: skip
                for m in range(6):
                    out[n, m, i, j] = found[m]
                    out[n, m, j, i] = found[m]
    return out


@compiled
def describe(weights: Any) -> Any:
    """Strength, clustering and centrality (N, 3, C) and efficiency (N,) of graphs (N, C, C); NaN for one with NaN."""
    count, size, _ = weights.shape
    nodes = np.full((count, 3, size), np.nan)
    whole = np.full(count, np.nan)
    for n in range(count):
        w = weights[n].copy()
        for i in range(size):
            w[i, i] = 0.0
        top = w.max() if size else 0.0
        if size < 3 or not np.isfinite(w).all() or top <= 0:
            continue
        root = np.cbrt(w / top)
        triangles = root @ root
        for i in range(size):
            degree = 0
            around = 0.0
            for j in range(size):
                degree += w[i, j] > 0
                around += triangles[i, j] * root[j, i]
            nodes[n, 0, i] = w[i].sum() / (size - 1)
            nodes[n, 1, i] = around / (degree * (degree - 1)) if degree > 1 else 0.0
        vector = np.full(size, 1.0 / math.sqrt(size))
        for _ in range(STEPS):
            after = w @ vector + vector * (1e-3 * top)  # the shift keeps a graph of two halves from swinging
            after /= math.sqrt((after * after).sum())
            change = np.abs(after - vector).max()
            vector = after
            if change < 1e-9:
                break
        nodes[n, 2] = vector
        distance = np.full((size, size), np.inf)
        for i in range(size):
            for j in range(size):
                if w[i, j] > 0:
                    distance[i, j] = 1.0 / w[i, j]
        for k in range(size):
            for i in range(size):
                for j in range(size):
                    distance[i, j] = min(distance[i, j], distance[i, k] + distance[k, j])
        total = 0.0
        for i in range(size):
            for j in range(size):
                if i != j:
                    total += 1.0 / distance[i, j]
        whole[n] = total / (size * (size - 1))
    return nodes, whole
