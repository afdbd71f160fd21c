"""The command line: `insula demo | data | evaluate | train | predict | explain | report` and the commands around it."""

from __future__ import annotations

import io
import os
import sys

import typer

from insula.cli import (
    analyse,
    auditing,
    compare,
    data,
    energy,
    export,
    forget,
    init,
    live,
    paper,
    personalise,
    results,
    run,
)

app = typer.Typer(
    name="insula",
    help="Recognise a person's emotion from body signals, and say how far it can be trusted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
for module in (init, run, personalise, live, analyse, auditing, compare, forget, energy, export, paper, results):
    module.register(app)


def main() -> None:
    """Run the command line: exit 0 done, 1 a check found something, 2 wrong usage or input, 130 interrupted."""
    from insula.cli.show import say
    from insula.errors import InsulaError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter shows its number
    try:
        app()
    except InsulaError as error:
        say(f"insula: {error}")
        raise SystemExit(2) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:
        say(f"insula: {error}; expected a file or folder that can be used. Correct the path.")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("insula: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
