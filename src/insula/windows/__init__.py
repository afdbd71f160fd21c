"""Windows: the lazy table between recordings and models, how it is cut, and the store that keeps it."""
