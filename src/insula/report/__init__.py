"""The report of a Result: one self-contained HTML page, and the same numbers as JSON."""

from insula.report.comparison import write_comparison
from insula.report.numbers import numbers
from insula.report.page import figures, render, write

__all__ = ["figures", "numbers", "render", "write", "write_comparison"]
