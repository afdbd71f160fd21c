"""Pictures: well-formed, accessible, in inks that follow the page, with letters that cannot break out."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insula import plots
from insula.plots.style import fold, shorten, spread

EMOTIONS = ("anger", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _examples() -> Iterator[tuple[str, Callable[..., str], tuple, dict]]:
    rng = np.random.default_rng(0)
    rows = [
        plots.Interval("Liquid fusion network", 0.61, 0.52, 0.7, "model", True),
        plots.Interval("Exponential average in the liquid layer's place", 0.58, 0.5, 0.66, "ablation"),
        plots.Interval("Clock", 0.8, float("nan"), float("nan"), "clock"),
    ]
    lines = (plots.Line("chance", 0.5), plots.Line("clock", 0.52, "clock"))
    yield "intervals", plots.intervals, (rows, lines), {"axis": "score", "text": percent, "tick": percent}
    yield "sides", plots.intervals, (rows, lines[:1]), {
        "axis": "score", "text": percent, "tick": percent, "sides": ("worse", "better"),
    }  # fmt: skip
    costs = [
        plots.CostPoint("Liquid", 1e-5, 0.6, 0.5, 0.7, "model", True),
        plots.CostPoint("EEGNet", 3e-6, 0.5, 0.4, 0.6),
    ]
    words = {"axis": "score", "tick": percent, "joules": lambda v: f"{v:.0e} J"}
    yield "energy", plots.energy, (costs, 0.5), words
    curve = [plots.GatePoint(woken, 1e-6 + woken * 1e-5, 0.5 + woken / 5) for woken in (0.0, 0.4, 1.0)]
    yield "gate", plots.gate, (curve, plots.GatePoint(1.0, 1e-5, 0.68), 0.5), words
    bills = [plots.SpikeBill("spiking", 1e-7, 2e-7, 3e-6), plots.SpikeBill("non-spiking twin", 0.0, 1e-7, 6e-6)]
    rates = [("eeg · input", 0.2), ("hidden", 0.0), ("last", 0.004)]
    yield "spikes", plots.spikes, (rates, bills), {"joules": words["joules"]}
    share = rng.dirichlet(np.ones(4), 4)
    maps = [plots.ElectrodeMap("model", share), plots.ElectrodeMap("shuffled", share[::-1])]
    places = np.array([[-0.4, 0.5], [0.4, 0.5], [-0.4, -0.5], [0.4, -0.5]])
    yield "heads", plots.electrode_heads, (maps, ("F3", "F4", "P3", "P4"), places, ()), {}
    yield "matrices", plots.electrode_matrices, (maps, ("F3", "F4", "P3", "P4")), {}
    graphs = [plots.HeadGraph("alpha", [(0, 1, 0.4), (2, 3, 0.2)]), plots.HeadGraph("apart", [(0, 3, -0.3)])]
    yield "graphs", plots.head_graphs, (graphs, ("F3", "F4", "P3", "P4"), places), {}
    yield "null", plots.null_histogram, (rng.normal(0.5, 0.02, 30).tolist(), 0.7, 0.5), {"axis": "x", "tick": percent}
    yield "confusion", plots.confusion, (rng.integers(0, 9, (7, 7)), EMOTIONS), {}
    bins = [plots.ReliabilityBin(c, c - 0.1, 10) for c in (0.55, 0.75, 0.95)]
    yield "reliability", plots.reliability, (bins, 0.5), {}
    yield "scatter", plots.true_against_predicted, (rng.normal(size=50), rng.normal(size=50)), {"axis": "valence"}
    people = [plots.PersonScore(f"S{i}", 0.5 + 0.03 * i, 0.55) for i in range(9)]
    yield "people", plots.per_person, (people,), {
        "titles": ("Liquid", "Clock"), "chance": 0.5, "axis": "score", "text": percent,
    }  # fmt: skip
    for k in (2, 7):
        p = rng.dirichlet(np.ones(k), 30)
        start = np.arange(30.0) * 10
        strip = plots.Strip("S01", "61 %", start, start + 60, np.repeat([0, 1, 0], 10), p, np.repeat([0, 1, 2], 10))
        yield f"timeline{k}", plots.timeline, ([strip, strip], EMOTIONS[:k]), {}
    curve = np.linspace(0.1, 0.2, 6)
    seen = [plots.ClassCurve(c, curve, curve - 0.01, curve + 0.01, 0.2) for c in EMOTIONS]
    yield "attention", plots.class_curves, (np.linspace(-3, 0, 6), seen), {}
    shares = [plots.ClassShares(c, np.array([0.5, 0.3, 0.2]), np.full(3, 0.1), np.full(3, 0.6)) for c in EMOTIONS]
    yield "class shares", plots.class_shares, (("eeg", "eda", "traits"), shares), {}
    rates = np.linspace(0, 1, 9)
    yield "roc", plots.roc, ([plots.Roc(c, rates, rates**0.5, 0.67) for c in EMOTIONS],), {}
    taus = rng.lognormal(0, 1, 20).tolist()
    yield "constants", plots.time_constants, (taus, taus[:10], {"fast": [0, 1], "slow": [2, 99]}), {}
    kept = {"1 s": [0.2, 0.9], "one window": [0.1, 0.5]}
    yield "retention", plots.retention, (kept, 0.5, 0.1, [0.4, 0.6]), {}
    strips = [
        plots.Strips("eda", ("flat", "gap"), ("0", "3 %"), np.array([[0, 0, 0.01], [0.6, np.nan, 0.2]])),
        plots.Strips("hr", ("gap",), ("100 %",), np.ones((1, 3))),
    ]
    yield "quality", plots.quality, (strips, ("S1", "a person with a long name", "S3")), {}
    yield (
        "quality of many",
        plots.quality,
        ([plots.Strips("eda", ("gap",), ("1 %",), rng.random((1, 90)))], ["S"] * 90),
        {},
    )
    falls = [plots.Slope("Liquid", 0.98, 0.9, 0.5, 0.5), plots.Slope("Forest", float("nan"), 0.8, 0.5, 0.5)]
    yield "slopes", plots.slopes, (falls,), {}
    shares = rng.dirichlet(np.ones(4), 6)
    mixed = [plots.MixedTrial(f"film {i}", shares[i], shares[5 - i]) for i in range(6)]
    yield "mixtures", plots.mixtures, (mixed, EMOTIONS[:4]), {}
    minutes = np.concatenate([np.arange(9.0) / 6, 5 + np.arange(9.0) / 6])
    yield "conductance", plots.conductance, (minutes, rng.normal(size=18), np.where(minutes > 5, 0.5, np.nan)), {}
    yield "agreement", plots.agreement, (np.full(20, 0.05), rng.dirichlet(np.ones(20))), {}
    three = (0.6, 0.5, 0.4)
    line = plots.StressLine("Liquid", "model", (0.0, 1.0, 2.0), three, three, three)
    panel = plots.StressPanel(
        "added noise",
        "deviations",
        (line, plots.StressLine("Forest", "classical", (0.0, 1.0, 2.0), three, three, three)),
    )
    yield "stress", plots.stress, ([panel],), {"chance": 0.5, "axis": "score", "tick": percent}
    curve_line = plots.CurveLine("head", "c1", (0, 1, 2), three, three, three, strong=True)
    yield "calibration", plots.calibration, ([curve_line],), {"unit": "trials", "chance": 0.5, "own": 0.7}
    yield "coverage", plots.coverage, ((1.0, 0.5, 0.2), three), {"tick": percent}
    trace = plots.Trace("eda", rng.normal(size=200))
    yield "window", plots.window, ([trace], 4.0, rng.dirichlet(np.ones(8), 2)), {}
    bars, times = (("eda", 0.2), ("eeg", -0.1)), ((-2.0, 0.1), (-1.0, 0.2))
    one = plots.SingleWindow(bars, bars, bars, bars, times, 2.0, 0.8, (0.1, 0.2, 0.3), three, three, three, three)
    yield "single", plots.single, (one, 0.5), {}
    labels = [EMOTIONS[i % 7] for i in range(40)]
    yield "latent", plots.latent, (rng.normal(size=(40, 2)), labels, [f"S{i % 9}" for i in range(40)], EMOTIONS), {}


EXAMPLES = {name: (function, args, options) for name, function, args, options in _examples()}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("width_px", [plots.WIDE_PX, plots.NARROW_PX])
def test_picture_is_well_formed_named_and_inked(name: str, width_px: int) -> None:
    function, args, options = EXAMPLES[name]
    svg = function(*args, **options, name=f"fig-{name}", alt='says "a < b"', width_px=width_px)
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'says "a < b"'
    assert 0 < float(root.get("width", "0")) <= width_px
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert ids
    assert all(i.startswith(f"fig-{name}-") for i in ids)
    assert len(ids) == len(set(ids))
    targets = re.findall(r'(?:url\(|href=")#([^)"]+)', svg)
    assert set(targets) <= set(ids)
    # Every colour is an ink; a bare one would not follow a dark page.
    bare = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{3,6})", svg))
    assert bare == set()
    assert "<style" not in svg
    assert "<metadata" not in svg
    assert [e for e in root.iter() if e.tag.endswith("text") and (e.text or "").strip()]


def test_every_public_picture_has_an_example() -> None:
    functions = {n for n in plots.__all__ if callable(getattr(plots, n)) and n.islower()}
    functions -= {"class_inks", "css_variables", "keeping", "seconds"}
    assert functions == {f.__name__ for f, _, _ in EXAMPLES.values()}


def test_places_lie_a_pitch_apart_between_their_bounds() -> None:
    wanted = np.asarray([10.0, 11.0, 12.0, 200.0, 201.0])
    for pitch in (16.0, np.asarray([16.0, 30.0, 16.0, 40.0])):
        at = spread(wanted, pitch, 12.0, 220.0)
        assert (np.diff(at) > pitch - 0.5).all()
        assert at[0] >= 11.5
        assert at[-1] <= 220.5
    assert spread(np.asarray([5.0, 90.0]), 10.0, 0.0, 100.0).tolist() == [5.0, 90.0]


def test_slopes_cut_no_name() -> None:
    words = "FreqDGT: adaptive bands, dynamic graph, temporal transformer, Esports sensors"
    rows = [plots.Slope(words, float("nan"), 0.8, 0.5, 0.5), plots.Slope("EEGNet", float("nan"), 0.7, 0.5, 0.5)]
    for width_px in (plots.NARROW_PX, plots.WIDE_PX):
        told = plots.slopes(rows, name="n", alt="a", width_px=width_px)
        assert "…" not in told
        assert all(word in told for word in words.split())


def test_slopes_leave_out_a_step_that_nobody_has() -> None:
    rows = [plots.Slope("Forest", float("nan"), 0.8, 0.5, 0.5)]
    told = plots.slopes(rows, name="n", alt="a")
    assert "ours, leaky" in told
    assert "published" not in told


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=30).filter(str.strip))
def test_names_stay_letters(name: str) -> None:
    rows = [plots.Interval(name, 0.5, 0.4, 0.6)]
    svg = plots.intervals(rows, (), axis="x", text=percent, tick=percent, name="n", alt=name, width_px=plots.NARROW_PX)
    root = ET.fromstring(svg)
    assert root.get("aria-label") == name
    found = [" ".join((e.text or "").split()) for e in root.iter() if e.tag.endswith("text")]
    assert " ".join(name.split()) in found


def test_dollar_signs_are_no_formula() -> None:
    rows = [plots.Interval("$x^2$", 0.5, 0.4, 0.6)]
    svg = plots.intervals(rows, (), axis="x", text=percent, tick=percent, name="n", alt="a")
    assert "$x^2$" in svg


@given(st.lists(st.sampled_from((*EMOTIONS, "rest", "stress", "left", "right")), unique=True, min_size=1, max_size=9))
def test_class_inks_are_distinct_and_known_emotions_keep_theirs(classes: list[str]) -> None:
    inks = plots.class_inks(classes)
    assert list(inks) == classes
    assert len(set(inks.values())) == len(classes)
    if not {"rest", "stress"} & set(classes):
        assert all(inks[c] == plots.class_inks(EMOTIONS)[c] for c in classes if c in EMOTIONS)


def test_more_classes_than_inks_still_get_one() -> None:
    inks = plots.class_inks([f"class {i}" for i in range(27)])
    assert len(inks) == 27
    assert set(inks.values()) <= set(plots.INKS)


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a: str, b: str) -> float:
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_inks_can_be_read_on_their_paper(mode: int) -> None:
    paper, fill = plots.INKS["paper"][mode], plots.INKS["fill"][mode]
    for name in ("ink", "soft", "model", "clock", "good", "bad", "ablation"):
        assert _contrast(plots.INKS[name][mode], paper) >= 4.5, name
    assert _contrast(plots.INKS["soft"][mode], fill) >= 4.5
    for name in ("classical", "baseline", *(f"c{i}" for i in range(1, 10))):
        assert _contrast(plots.INKS[name][mode], paper) >= 3, name


def test_inks_are_told_apart_by_their_drawing_colour() -> None:
    light = [pair[0] for pair in plots.INKS.values()]
    assert all(a != b for a, b in combinations(light, 2))
    css = plots.css_variables()
    assert all(f"--{name}:{color}" in css for name, pair in plots.INKS.items() for color in pair)


@given(st.text(max_size=90), st.integers(4, 40))
def test_names_are_cut_to_what_fits(text: str, letters: int) -> None:
    assert len(shorten(text, letters)) <= letters
    lines = fold(text, letters)
    assert len(lines) <= 2
    assert all(len(line) <= letters for line in lines)
    if len(" ".join(text.split())) <= letters:
        assert " ".join(lines) == " ".join(text.split())


@pytest.mark.parametrize(
    ("value", "text"), [(0.02, "20 ms"), (0.9999, "1 s"), (1.5, "1.5 s"), (119.0, "119 s"), (600.0, "10 min")]
)
def test_seconds_in_the_unit_people_say(value: float, text: str) -> None:
    assert plots.seconds(value) == text


def test_a_gate_that_does_nothing_looks_flat() -> None:
    curve = [plots.GatePoint(w, 1e-6 + w * 1e-5, 0.5 + 0.002 * (i % 2)) for i, w in enumerate(np.linspace(0, 1, 9))]
    options = {"axis": "x", "tick": lambda v: f"{v:.4f}", "joules": percent, "name": "g", "alt": "g"}
    svg = plots.gate(curve, plots.GatePoint(1.0, 1e-5, 0.5), 0.5, **options)
    texts = [e.text or "" for e in ET.fromstring(svg).iter() if e.tag.endswith("text")]
    levels = [float(t) for t in texts if re.fullmatch(r"0\.\d{4}", t)]
    assert max(levels) - min(levels) >= 0.08  # ticks of an axis of at least ten points


def test_drawing_leaves_no_trace_in_matplotlib() -> None:
    before = dict(matplotlib.rcParams)
    function, args, options = EXAMPLES["null"]
    first = function(*args, **options, name="a", alt="a")
    assert dict(matplotlib.rcParams) == before
    assert function(*args, **options, name="a", alt="a") == first


def test_pyplot_is_never_imported() -> None:
    code = "import sys, insula.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_interval_past_what_can_be_ends_there_with_an_arrow() -> None:
    rows = [plots.Interval("model", 0.3, -0.2, 1.6), plots.Interval("other", 0.1, -0.1, 0.2)]
    how: Any = {"axis": "difference", "text": str, "tick": lambda v: f"at{v:+.1f}", "name": "x", "alt": "y"}
    ends = (-1.0, 1.0)
    free, held = (plots.intervals(rows, [], **how, **more) for more in ({}, {"ends": ends}))
    assert "at+1.5" in free
    assert "at+1.0" in held
    assert "at+1.5" not in held
    inside = plots.intervals(rows[1:], [], **how, ends=ends)
    assert inside == plots.intervals(rows[1:], [], **how), "nothing changes where nothing goes past"
