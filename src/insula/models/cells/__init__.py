"""Cells: liquid, conductance, closed-form and spiking, with carried state."""
