"""Sources of signals, one a file: replay, simulate, lsl, brainflow."""
