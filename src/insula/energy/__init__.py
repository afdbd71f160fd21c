"""Operation counts, energy, latency and memory of every system, each with its basis."""

from insula.energy.counting import count, count_layer
from insula.energy.estimators import column_preparation, count_estimator
from insula.energy.measuring import Latency, latency, measured_joules
from insula.energy.modules import register
from insula.energy.operations import Costs, OperationCount, Work, joules_text
from insula.energy.sheet import EnergySheet, classical_sheet, compare, shared_basis, sheet

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
