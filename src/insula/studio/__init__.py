"""A local page from a folder of recordings to a report, for people who do not program; each step is a command."""
