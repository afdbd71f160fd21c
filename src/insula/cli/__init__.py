"""The command line: `insula demo | data | evaluate | train | predict | explain | report` and the commands around it."""

from __future__ import annotations

import errno
import functools
import io
import os
import sys
from typing import Annotated, Any

import typer
import typer.main

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
    predict,
    pretrain,
    results,
    run,
    stress,
    studio,
)
from insula.processes import MODULES, end_with_the_named, import_modules

app = typer.Typer(
    name="insula",
    help="Recognise a person's emotion from body signals, and say how far it can be trusted.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
for module in (
    init,
    run,
    predict,
    pretrain,
    personalise,
    stress,
    live,
    studio,
    analyse,
    auditing,
    compare,
    forget,
    energy,
    export,
    paper,
    results,
):
    module.register(app)


KEPT = (
    "Folders of results appear whole or not at all: an earlier one is as it was. Finished fits of evaluate, finished "
    "cells of compare and people whom --store has cleaned are kept: the same command goes on from there."
)
BEGIN = """\
Recognises a person's emotion from body signals; says how far to trust it.
To begin with:

  insula demo
      a simulated study from data to report
  insula init FOLDER
      a manifest for your own recordings, every guess with its reason
  insula data check manifest --root FOLDER
      what the recordings hold and which protocols they allow
  insula evaluate --data manifest --root FOLDER --out runs/mine
      a model beside a clock and simple rows: a table and a report
  insula predict --model runs/mine --data manifest --root NEW_FOLDER
      answers for new recordings, each with how far to trust it

All commands: insula --help. Data sets it knows: insula data list."""


@app.callback()
def begin(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
    modules: Annotated[
        str | None,
        typer.Option(
            "--with", envvar=MODULES, help="Modules of your own by comma, imported first; they call insula.register."
        ),
    ] = None,
) -> None:
    """Recognise a person's emotion from body signals, and say how far it can be trusted."""
    if modules is not None:
        os.environ[MODULES] = modules
        import_modules()
    if version:
        from insula import __version__

        print(f"insula {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(BEGIN)


def main() -> None:
    """Run the command line: exit 0 done, 1 a check found something, 2 wrong usage or input, 130 interrupted."""
    from insula.cli.show import say
    from insula.errors import InsulaError

    end_with_the_named()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter shows its number
    try:
        _run()
    except InsulaError as error:
        say(f"insula: {error}")
        raise SystemExit(2) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:
        say(f"insula: {_of_disk(error)}")
        raise SystemExit(2) from None
    except KeyboardInterrupt as stop:
        print(file=sys.stderr)
        say(f"insula: interrupted. {' '.join(getattr(stop, '__notes__', [KEPT]))}")
        raise SystemExit(130) from None


def _of_disk(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        where = f" for {error.filename}" if error.filename else ""
        return (
            f"no room left{where} ({error.strerror}); expected free space on the disk. What was there is as it was: "
            "free some space and give the same command again."
        )
    return f"{error}; expected a file or folder that can be used. Correct the path."


@functools.cache
def _command() -> Any:
    """The application as one command, built once: a program that calls `main` often pays once."""
    return typer.main.get_command(app)


def _run() -> None:
    """Run the application; typer turns an interrupt into a silent exit, which is turned back here."""
    try:
        _command()()
    except SystemExit as stop:
        cause: BaseException | None = stop
        while cause is not None and not isinstance(cause, KeyboardInterrupt):
            cause = cause.__cause__ or cause.__context__
        if stop.code == 130 and cause is not None:
            raise cause from None
        raise
