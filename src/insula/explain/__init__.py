"""Analyses of trained fold models on windows they have not seen, each one object in one file."""

from insula.explain.analyses import ANALYSES, explain
from insula.explain.analysis import Analysis, Cell, Evaluated, Shown, Table, TableRow

__all__ = ["ANALYSES", "Analysis", "Cell", "Evaluated", "Shown", "Table", "TableRow", "explain"]
