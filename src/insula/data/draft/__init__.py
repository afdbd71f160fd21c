"""A first manifest for a folder of recordings: `drafting.draft`."""
