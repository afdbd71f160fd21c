"""Analyses of trained fold models on windows they have not seen; plain JSON values for the report."""

from insula.explain.analyses import ANALYSES, explain

__all__ = ["ANALYSES", "explain"]
