"""`python -m insula` is the command line."""

from insula.cli import main

main()
