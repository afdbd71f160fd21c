"""Grids of experiments: cells and their runners, statistics over people, the ledger."""

from insula.grid.grid import Cell, DataEntry, Grid, grid_from, read_grid

__all__ = ["Cell", "DataEntry", "Grid", "grid_from", "read_grid"]
