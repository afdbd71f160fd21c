"""One file a data set: ``INFO``, ``read`` and mostly ``people``."""
