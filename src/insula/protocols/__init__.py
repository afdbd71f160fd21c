"""Protocols by name: how windows are split, which units stay whole."""
