"""Signals: the recipe, causal cleaning with carried state, flags, hand-made features."""
