"""What a data set is (`DataInfo`) and what a reader has to say about one of its files (`Problem`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from insula.errors import DataError
from insula.signals.recipe import Recipe


@dataclass(frozen=True)
class DataInfo:
    """A data set insula can read: its name, licence, where to get it, targets, default recipe and citation.

    ``version`` goes up when the reader gives other samples, trials or labels than before: stores are keyed by it.
    ``own`` says that it is your own folder in some form, ``simulated`` that nobody was recorded.
    """

    name: str
    title: str
    licence: str
    where: str
    targets: Mapping[str, str]
    recipe: Recipe
    citation: str = ""
    version: int = 1
    own: bool = False
    simulated: bool = False


@dataclass(frozen=True)
class Problem:
    """Something a reader met in ``file``; ``fatal`` means that what the file holds was left out.

    ``columns`` are those of the manifest in which it can be answered, ``trial`` (subject, session, trial) it is about.
    """

    file: str
    what: str
    fatal: bool
    columns: tuple[str, ...] = ()
    trial: tuple[str, str, str] | None = None


class FileError(DataError):
    """A `DataError` that knows its file, and the manifest's columns in which it can be answered."""

    def __init__(self, file: Path | str, what: str, columns: tuple[str, ...] = ()) -> None:
        super().__init__(f"{file}: {what}")
        self.file = str(file)
        self.what = what
        self.columns = columns

    def __reduce__(self) -> tuple[type[FileError], tuple[str, str, tuple[str, ...]]]:
        return FileError, (self.file, self.what, self.columns)


@contextmanager
def collecting(problems: list[Problem] | None) -> Iterator[None]:
    """Turn a `FileError` raised inside into a fatal `Problem`; with ``problems`` None it goes through."""
    try:
        yield
    except FileError as error:
        if problems is None:
            raise
        problems.append(Problem(error.file, error.what, fatal=True, columns=error.columns))


def note(problems: list[Problem] | None, file: Path | str, what: str) -> None:
    """Add a problem that loses nothing but deserves to be known."""
    if problems is not None:
        problems.append(Problem(str(file), what, fatal=False))
