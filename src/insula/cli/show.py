"""What commands print: lines, progress bars, lists of facts; text from files reaches the terminal as text."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from insula.cli.tables import fitted

if TYPE_CHECKING:
    from insula.pipeline.reading import Progress as Report


PROGRESS = "INSULA_PROGRESS"
"""Environment variable: ``json`` has progress told as lines ``{"what": ..., "done": 3, "total": 8}``."""
LONGEST_LINE = 2000
QUIET_S = 2.0
"""Work shorter than this goes unmentioned in a log file."""
FIRST_S = 10.0
"""Work that takes longer than this is first spoken of then."""
EVERY_S = 60.0
"""A log file hears this often of work that takes long."""


def visible(text: str) -> str:
    """Write out what a terminal would act on or hide (escapes, control and direction marks) instead of sending it."""
    kept = "\n\t\u00a0\u202f"
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


def say(text: object) -> None:
    """Print one line on standard error; what it quotes from files reaches the terminal as plain text."""
    line = " ".join(visible(str(text)).split("\n"))
    if len(line) > LONGEST_LINE:
        line = f"{line[: LONGEST_LINE // 2]} [...] {line[-LONGEST_LINE // 2 :]}"
    print(line, file=sys.stderr)


class _Plain(Console):
    """A console for which text is text: no markup, no escapes, whatever names and files hold."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        whole = (fitted(one, self.width) if isinstance(one, Table) and one.show_header else one for one in objects)
        super().print(*whole, **options)


def console() -> Console:
    """A console for standard output; wide where it is no terminal, so that piped tables are whole."""
    found = _Plain()
    return found if found.is_terminal else _Plain(width=200)


@contextmanager
def progress() -> Iterator[Report]:
    """Bars on standard error, one a kind of work; in a log file a line now and then, for a program JSON."""
    errors = _Plain(stderr=True)
    if os.environ.get(PROGRESS) == "json":
        yield _told
        return
    if not errors.is_terminal:
        yield _lines(errors)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors) as bars:
        known: dict[str, Any] = {}

        def report(what: str, done: float, total: int) -> None:
            if what not in known:
                known[what] = bars.add_task(what, total=total)
            bars.update(known[what], completed=done, total=total)

        yield report


def _told(what: str, done: float, total: int) -> None:
    """One line of JSON a step."""
    print(json.dumps({"what": what, "done": done, "total": total}), file=sys.stderr, flush=True)


def _lines(errors: Console) -> Report:
    """One line a kind of work once it is done; a long one says first soon, then every minute, how far it is."""
    began: dict[str, float] = {}
    said: dict[str, float] = {}

    def report(what: str, done: float, total: int) -> None:
        now = time.monotonic()
        first = began.setdefault(what, now)
        if done >= total and now - first > QUIET_S and said.get(what, 0.0) != math.inf:
            said[what] = math.inf
            errors.print(f"{what}: {total:,} in {duration(now - first)}", highlight=False)
        elif 0 < done < total and (now - said[what] > EVERY_S if what in said else now - first > FIRST_S):
            said[what] = now
            left = (now - first) / done * (total - done)
            share = "" if done == int(done) else f" ({done / total:.0%})"
            errors.print(f"{what}: {int(done):,} of {total:,}{share}, about {duration(left)} left", highlight=False)

    return report


def duration(seconds: float) -> str:
    """Write a duration for people: 40 s, 12 min, 3 h 5 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def warn(notes: Sequence[str]) -> None:
    """Say on standard error what deserves to be known; the same said of many files is one line."""
    pairs = [(file, what) if sep else ("", note) for note in notes for file, sep, what in [note.partition(": ")]]
    lines = [line.removeprefix(": ") for line in grouped(pairs)]
    for line in lines[:5]:
        say(f"note: {line}")
    if len(lines) > 5:
        say(f"note: … and {len(lines) - 5} more (`insula data check` lists all)")


def grouped(messages: Iterable[tuple[str, str]], of: str = "files") -> list[str]:
    """Write messages about files, those that differ in numbers only as one: ``12 files, such as a.csv: ...``."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for file, what in messages:
        kinds.setdefault(re.sub(r"[-+]?\d[\d.,e+-]*", "#", what), []).append((file, what))
    lines = []
    for same in kinds.values():
        file, what = same[0]
        files = len({name for name, _ in same})
        lines.append(f"{file}: {what}" if files == 1 else f"{files:,} {of}, such as {file}: {what}")
    return lines


def facts(rows: list[tuple[str, str]]) -> Table:
    """A plain two-column list."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in rows:
        table.add_row(name, value)
    return table


def trained(model: Any) -> Iterator[tuple[str, str]]:
    """What is to be said of a trained row: of a network its size and how long it was trained, of a prior its weight."""
    from insula.learning.estimator import Estimator
    from insula.learning.prior import WithPrior, own_of

    own = own_of(model)
    if isinstance(own, Estimator):
        yield "parameters", f"{own.parameters:,}"
        if own.histories:
            yield from _training(own.histories[0])
    if isinstance(model, WithPrior):
        how = ", chosen on the others" if model.asked == "inner" else ""
        yield "prior", f"what others taught counts {model.weight:g} beside {model.person}'s own model{how}"


def _training(history: Any) -> Iterator[tuple[str, str]]:
    """How long a network was trained; one of a convex readout alone was not."""
    from insula.notebook import counted

    if history.unlabelled:
        long = f"{counted(len(history.unlabelled), 'epoch')}, {counted(history.unlabelled_steps, 'step')}"
        yield "without labels", f"{long}; loss of what was hidden {history.unlabelled[-1]:.3f}"
    if not history.steps:
        yield "epochs", "none: the convex readout stands alone"
        return
    best = f", kept the weights of epoch {history.best + 1}" if history.best + 1 < len(history.train) else ""
    yield "epochs", f"{len(history.train)}{best}"
    how = "training loss" if history.converged else "not converged: training loss"
    yield "trained", f"{counted(history.steps, 'step')}, {how} {history.train[-1]:.3f}"
