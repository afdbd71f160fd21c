"""A person removed: what lies where, and what changes."""
