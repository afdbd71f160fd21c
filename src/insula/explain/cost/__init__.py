"""Operation counts, energy, latency and memory of every system, each with its basis."""

from insula.explain.cost.counting import count, count_layer
from insula.explain.cost.estimators import column_preparation, count_estimator
from insula.explain.cost.measuring import Latency, latency, measured_joules
from insula.explain.cost.modules import register
from insula.explain.cost.operations import Costs, OperationCount, Work, joules_text
from insula.explain.cost.sheet import EnergySheet, classical_sheet, compare, shared_basis, sheet

__all__ = [
    "Costs",
    "EnergySheet",
    "Latency",
    "OperationCount",
    "Work",
    "classical_sheet",
    "column_preparation",
    "compare",
    "count",
    "count_estimator",
    "count_layer",
    "joules_text",
    "latency",
    "measured_joules",
    "register",
    "shared_basis",
    "sheet",
]
