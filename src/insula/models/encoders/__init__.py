"""Encoders that others have trained: one file each, read from a folder of weights that the user has."""
