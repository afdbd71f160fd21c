"""Adapting a model to one person: strategies behind one interface, each with its own small state."""
