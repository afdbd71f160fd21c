"""The report of a Result: one self-contained HTML page, and the same numbers as JSON."""

from insula.report.numbers import numbers
from insula.report.page import render, write

__all__ = ["numbers", "render", "write"]
