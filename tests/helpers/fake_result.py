"""Invented results with the shape of real ones, for tests of the report; no number in here was measured."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from insula.evaluation.results import Result
from insula.evaluation.system import System
from insula.explain.facts import Facts, gather
from insula.report import page

EMOTIONS = ("anger", "disgust", "fear", "happy", "neutral", "sad", "surprise")
_TAU = {"eeg": (0.02, 2.0, 48), "peripheral": (1.0, 600.0, 32)}


def _windows(
    people: int, classes: tuple[str, ...], trials: int, trial_s: float, hop_s: float, rng: Any
) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for person in range(people):
        order = [classes[(t + (person if len(classes) > 2 else 0)) % len(classes)] for t in range(trials)]
        if len(classes) > 2:
            rng.shuffle(order)
        start = 0.0
        for t, label in enumerate(order):
            long_s = trial_s * rng.uniform(0.7, 1.3)
            for i in range(int((long_s - 4) / hop_s)):
                begin = start + i * hop_s
                rows.append(
                    {"subject": f"S{person + 1:02d}", "session": "1", "trial": f"t{t:02d}", "stimulus": f"clip {t}",
                     "start_s": begin, "stop_s": begin + 4.0, "elapsed_s": begin + 4.0, "y_true": label}
                )  # fmt: skip
            start += long_s + 20
    return pd.DataFrame(rows)


def _discrete(windows: pd.DataFrame, classes: tuple[str, ...], skill: float, rng: Any) -> pd.DataFrame:
    k = len(classes)
    code = windows["y_true"].map({c: i for i, c in enumerate(classes)}).to_numpy()
    person = windows["subject"].factorize()[0]
    trial = windows.groupby(["subject", "trial"], sort=False).ngroup().to_numpy()
    able = skill * (1 + 0.35 * np.random.default_rng(5).standard_normal(person.max() + 1))
    logits = rng.normal(0, 0.55, (trial.max() + 1, k))[trial] + rng.normal(0, 0.5, (len(windows), k))
    logits[np.arange(len(windows)), code] += np.maximum(able, 0)[person]
    p = np.exp(1.7 * logits)
    p /= p.sum(axis=1, keepdims=True)
    out = windows.copy()
    out["y_pred"] = np.array(classes)[p.argmax(axis=1)]
    out[[f"p_{c}" for c in classes]] = p
    return out


def _result(
    target: str,
    classes: tuple[str, ...],
    protocol: dict[str, Any],
    windows: pd.DataFrame,
    skills: dict[str, tuple[str, str, str, float]],
    rng: Any,
    **more: Any,
) -> Result:
    leaky = bool(protocol["leaky"])
    systems, tables = [], []
    for name, (title, kind, scope, skill) in skills.items():
        network = kind in ("model", "ablation")
        notes = ("state carried across the session: it can read the clock",) if scope == "session" else ()
        systems.append(
            System(name, title, kind, scope, "none" if kind == "baseline" else "opening", leaky,  # type: ignore[arg-type]
                   name.endswith("_whole"), 41_287 if network else None, 312.4 if network else 2.1, notes)
        )  # fmt: skip
        table = _discrete(windows, classes, skill, rng) if classes else _continuous(windows, skill, rng)
        table.insert(0, "system", name)
        table.insert(1, "fold", table["subject"])
        tables.append(table)
    return Result(
        target=target,
        classes=classes,
        protocol=protocol,
        systems=tuple(systems),
        predictions=pd.concat(tables, ignore_index=True),
        config={
            "experiment": {"data": {"name": "simulate", "target": target}, "model": {"name": "liquid"}, "seed": 7},
            "recipe": {"window_s": 4.0, "hop_s": 2.0, "guard_s": 2.0},
        },
        provenance={
            "versions": {"insula": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6", "python": "3.11.2"},
            "seed": 7,
            "data_hash": "sha256:9f2c51d7a8e04b6691d3c8a70c1ffb2e5a4d7e9b6c3f210884de7f25a9b1c034",
            "command": "insula evaluate --data simulate --target emotion --model liquid "
            "--protocol within_subject --out runs/demo",
            "date": "2026-03-04T10:22:31+00:00",
            "device": "cpu",
            "seconds": 214.7,
        },
        **more,
    )


@cache
def gathered(name: str) -> Facts:
    """Facts of one of the results below, made once."""
    return gather({"emotions": emotions, "stress": stress, "valence": valence, "leaky": leaky}[name]())


@cache
def rendered(name: str) -> str:
    """Page of one of the results below, made once."""
    return page._render(gathered(name))


def emotions(people: int = 8, seed: int = 0) -> Result:
    """Seven emotions, personal protocol, every analysis filled in; the liquid model wins."""
    rng = np.random.default_rng(seed)
    windows = _windows(people, EMOTIONS, 21, 44.0, 4.0, rng)
    skills = {
        "liquid": ("Liquid fusion network", "model", "trial", 1.05),
        "liquid_session": ("Liquid fusion network, state carried across the session", "model", "session", 1.12),
        "liquid_ema": ("Exponential average in the liquid layer's place", "ablation", "trial", 0.9),
        "liquid_gru": ("GRU in the liquid layer's place", "ablation", "trial", 1.02),
        "logistic_regression": ("Logistic regression", "classical", "trial", 0.75),
        "random_forest_whole": ("Random forest, whole-session z-scores", "classical", "trial", 0.85),
        "elapsed_trial": ("Elapsed time and time in trial", "baseline", "none", 0.12),
        "prior": ("Prior", "baseline", "none", 0.0),
    }
    protocol = {"name": "within_subject", "leaky": False, "folds": 3, "notes": []}
    result = _result(
        "emotion", EMOTIONS, protocol, windows, skills, rng, shared_schedule=False,
        nulls={"liquid": _null(rng, 1 / 7, 0.02, 40)},
    )  # fmt: skip
    return result.with_analyses(**_analyses(result, rng))


def stress(people: int = 8, seed: int = 1) -> Result:
    """Rest and stress on a shared schedule across people; the clock beats the model."""
    rng = np.random.default_rng(seed)
    classes = ("rest", "stress")
    windows = _windows(people, classes, 7, 420.0, 20.0, rng)
    skills = {
        "liquid": ("Liquid fusion network", "model", "trial", 0.45),
        "logistic_regression": ("Logistic regression", "classical", "trial", 0.4),
        "elapsed_trial": ("Elapsed time and time in trial", "baseline", "none", 1.4),
        "majority": ("Majority", "baseline", "none", 0.0),
    }
    protocol = {"name": "leave_one_subject_out", "leaky": False, "folds": people, "notes": []}
    result = _result("stress", classes, protocol, windows, skills, rng, shared_schedule=True)
    pairs = [_pair(result, "liquid", other) for other in ("elapsed_trial", "logistic_regression")]
    return result.with_analyses(pairs=pairs)


def valence(people: int = 9, seed: int = 2) -> Result:
    """A continuous target."""
    rng = np.random.default_rng(seed)
    windows = _windows(people, EMOTIONS, 12, 60.0, 8.0, rng)
    level = windows.groupby(["subject", "trial"], sort=False).ngroup().to_numpy()
    windows["y_true"] = rng.uniform(1, 9, level.max() + 1)[level]
    skills = {
        "liquid": ("Liquid fusion network", "model", "trial", 0.5),
        "random_forest": ("Random forest", "classical", "trial", 0.4),
        "elapsed_trial": ("Elapsed time and time in trial", "baseline", "none", 0.05),
    }
    protocol = {"name": "leave_one_subject_out", "leaky": False, "folds": people, "notes": []}
    return _result("valence", (), protocol, windows, skills, rng)


def leaky(people: int = 8) -> Result:
    """The result of `stress` as if its windows had been shuffled between both sides."""
    clean = stress(people)
    return replace(
        clean,
        protocol={**clean.protocol, "name": "random_windows", "leaky": True},
        systems=tuple(replace(s, leaky=True) for s in clean.systems),
    )


def _continuous(windows: pd.DataFrame, skill: float, rng: Any) -> pd.DataFrame:
    out = windows.copy()
    true = windows["y_true"].to_numpy(dtype=float)
    out["y_pred"] = 5 + skill * (true - 5) + rng.normal(0, 1.1, len(true))
    return out


def _null(rng: Any, chance: float, spread: float, m: int) -> dict[str, Any]:
    scores = rng.normal(chance, spread, m)
    return {
        "score": 0.5, "p": 1 / (1 + m), "floor": 1 / (1 + m), "shuffles": m, "mean": scores.mean(), "lo": chance - 0.01,
        "hi": chance + 0.01, "chance": chance, "at_chance": True, "enough": True, "labellings": 10_000,
        "scores": scores.tolist(),
    }  # fmt: skip


def _pair(result: Result, a: str, b: str) -> dict[str, Any]:
    found = result.compare(a, b)
    return {"a": a, "b": b, "difference": found.mean, "lo": found.lo, "hi": found.hi, "p": found.p, "n": found.people}


def _quality(people: list[str], windows: int, rng: Any) -> dict[str, Any]:
    """Shares of flags with the shape of `insula.explain.quality`; the fourth person has gaps."""
    judged = {
        "eeg": ("flat", "clipped", "gap", "line noise"), "eda": ("flat", "gap", "motion"),
        "bvp": ("flat", "clipped", "gap", "motion"), "hr": ("gap",),
    }  # fmt: skip
    flags = ("flat", "clipped", "gap", "line noise", "motion")
    modalities = {}
    for m, own in judged.items():
        each = {
            who: {
                f: (float(rng.beta(0.3, 8 if f == "motion" else 60)) + 0.6 * (i == 3 and f == "gap")) * (f != "flat")
                if f in own
                else None
                for f in flags
            }
            for i, who in enumerate(people)
        }
        time = {f: float(np.mean([v[f] for v in each.values()])) if f in own else None for f in flags}
        flagged = {f: None if t is None else round(0.7 * t, 3) for f, t in time.items()}
        modalities[m] = {"flagged": flagged, "time": time, "any": 0.09, "people": each}
    rows = [("eda", -0.03), ("bvp", -0.06), ("any", -0.051)]
    return {
        "share": 0.5, "windows": windows, "modalities": modalities,
        "training": {"how": "keep", "dropped": 37, "mean_weight": 0.953},
        "scores": [
            {"name": n, "windows": 212, "people": 6, "flagged": 0.4, "good": 0.4 - d, "difference": d, "lo": d - 0.05,
             "hi": d + 0.04} for n, d in rows
        ],
        "note": "",
    }  # fmt: skip


def _analyses(result: Result, rng: Any) -> dict[str, Any]:
    ages = np.linspace(3.75, 0, 16)
    bump = {c: np.exp(-((ages - 0.5 * i) ** 2) / 0.8) for i, c in enumerate(EMOTIONS)}
    mean = {c: (0.04 + 0.06 * v) / (0.04 + 0.06 * v).sum() for c, v in bump.items()}
    layers: dict[str, Any] = {}
    for layer, (low, high, n) in _TAU.items():
        tau = np.geomspace(low, high, n) * rng.lognormal(0, 0.1, n)
        mid = np.sqrt(low * high)
        trained = np.where(np.arange(n) < n // 2, mid / 6, mid * 3) * rng.lognormal(0, 0.35, n)
        layers[layer] = {
            "tau_s": tau.tolist(), "tau_sys_mean_s": trained.tolist(), "tau_sys_untrained_s": (0.6 * tau).tolist(),
            "groups": {"bic1": 141.2, "bic2": 118.9 if layer == "eeg" else 143.6, "fast": list(range(n // 2)),
                       "slow": list(range(n // 2, n)), "separated": layer == "eeg", "untrained_separated": False},
            "retention": {"1 s": np.exp(-1 / trained).tolist(), "window": np.exp(-4 / trained).tolist()},
            "memory_dominant_share": {"trained": 0.31, "untrained": 0.12, "per_seed": [0.28, 0.33, 0.36]},
        }  # fmt: skip
    one = result.of("liquid").iloc[::2]
    centre = {c: rng.normal(0, 18, 2) for c in EMOTIONS}
    offset = {s: rng.normal(0, 9, 2) for s in one["subject"].unique()}
    xy = np.array([centre[y] + offset[s] for y, s in zip(one["y_true"], one["subject"], strict=True)])
    rows = [("time constants frozen", -0.021), ("time constants shuffled", -0.034), ("time constants equal", -0.062)]
    sensors = [("without eeg", -0.14), ("without eda", -0.041), ("without bvp", -0.012), ("without temp", 0.004)]
    return {
        "attention": {
            "tokens_s": ages.tolist(), "classes": {c: v.tolist() for c, v in mean.items()},
            "interval": {c: [(v - 0.008).tolist(), (v + 0.008).tolist()] for c, v in mean.items()},
            "p": {c: 0.002 + 0.09 * i for i, c in enumerate(EMOTIONS)}, "note": "",
        },
        "time_constants": {"layers": layers, "note": ""},
        "controls": {"rows": [
            {"name": n, "balanced_accuracy": 0.5 + d, "lo": 0.4 + d, "hi": 0.6 + d, "difference": d,
             "difference_lo": d - 0.03, "difference_hi": d + 0.03} for n, d in rows], "note": ""},
        "latent": {
            "xy": (xy + rng.normal(0, 3.5, xy.shape)).tolist(), "label": one["y_true"].tolist(),
            "subject": one["subject"].tolist(), "silhouette": 0.18,
            "silhouette_shuffled": rng.normal(-0.05, 0.01, 20).tolist(), "note": "",
        },
        "modalities": {"rows": [{"name": n, "difference": d, "lo": d - 0.025, "hi": d + 0.022} for n, d in sensors]},
        "pairs": [_pair(result, "liquid", s.name) for s in result.systems if s.name != "liquid"],
        "data": {
            "people": 8, "sessions": 8, "trials": 168, "windows": len(result.of("liquid")),
            "rates_hz": {"eeg": 256, "eda": 4, "bvp": 64},
            "problems": [{"file": "E4/S03/S03_07_EDA_4.csv", "what": "flat for 12 s; masked", "fatal": False}],
        },
        "quality": _quality(sorted(result.predictions["subject"].unique()), len(result.of("liquid")), rng),
    }  # fmt: skip
