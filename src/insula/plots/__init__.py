"""Pictures as inline SVG: the only place that knows matplotlib.

Every function takes plain numbers and a width in CSS pixels, and returns one SVG string whose colours are CSS
variables (`css_variables`) and whose letters are text.
"""

from insula.plots.agreement import agreement
from insula.plots.by_class import ClassShares, Roc, class_shares, roc
from insula.plots.calibration import CurveLine, calibration
from insula.plots.connectivity import HeadGraph, head_graphs
from insula.plots.cost import CostPoint, GatePoint, energy, gate
from insula.plots.coverage import coverage
from insula.plots.electrodes import ElectrodeMap, electrode_heads, electrode_matrices
from insula.plots.inside import ClassCurve, class_curves, latent, retention, seconds, time_constants
from insula.plots.mixtures import MixedTrial, mixtures
from insula.plots.people import PersonScore, Strip, per_person, timeline
from insula.plots.physics import conductance
from insula.plots.quality import Strips, quality
from insula.plots.scores import (
    Interval,
    Line,
    ReliabilityBin,
    confusion,
    intervals,
    null_histogram,
    reliability,
    true_against_predicted,
)
from insula.plots.single import SingleWindow, single
from insula.plots.slopes import Slope, slopes
from insula.plots.spikes import SpikeBill, spikes
from insula.plots.stress import StressLine, StressPanel, stress
from insula.plots.style import INKS, NARROW_PX, WIDE_PX, Format, class_inks, css_variables, keeping
from insula.plots.window import Trace, window

__all__ = [
    "INKS",
    "NARROW_PX",
    "WIDE_PX",
    "ClassCurve",
    "ClassShares",
    "CostPoint",
    "CurveLine",
    "ElectrodeMap",
    "Format",
    "GatePoint",
    "HeadGraph",
    "Interval",
    "Line",
    "MixedTrial",
    "PersonScore",
    "ReliabilityBin",
    "Roc",
    "SingleWindow",
    "Slope",
    "SpikeBill",
    "StressLine",
    "StressPanel",
    "Strip",
    "Strips",
    "Trace",
    "agreement",
    "calibration",
    "class_curves",
    "class_inks",
    "class_shares",
    "conductance",
    "confusion",
    "coverage",
    "css_variables",
    "electrode_heads",
    "electrode_matrices",
    "energy",
    "gate",
    "head_graphs",
    "intervals",
    "keeping",
    "latent",
    "mixtures",
    "null_histogram",
    "per_person",
    "quality",
    "reliability",
    "retention",
    "roc",
    "seconds",
    "single",
    "slopes",
    "spikes",
    "stress",
    "time_constants",
    "timeline",
    "true_against_predicted",
    "window",
]
