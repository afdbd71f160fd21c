"""The chosen folder: the one place where the studio keeps anything, and the table's history."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from insula.data.readers.manifest import NAMES
from insula.errors import DataError, InputError
from insula.files import read_json
from insula.studio.messages import Choose, Cutting
from insula.studio.table import Table, parsed, read_table

STATE = ".insula"
"""The studio's own folder in the chosen one."""
RUNS = "runs"
REASONS = "manifest.reasons.txt"
MOST_STEPS = 200
"""Changes of a table that can be taken back."""
_RUN = re.compile(r"[\w][\w.-]{0,100}")


class Step(msgspec.Struct):
    """One version of the table: its file in the history and what made it."""

    file: str
    what: str


class Kept(msgspec.Struct):
    """What `.insula/studio.json` holds."""

    data: str = "manifest"
    cutting: Cutting = msgspec.field(default_factory=Cutting)
    choice: Choose | None = None
    steps: list[Step] = msgspec.field(default_factory=list)
    at: int = -1
    looked: str = ""
    looked_mark: str = ""


@dataclass
class Study:
    """A folder that was chosen; ``kept`` is what is remembered of it."""

    root: Path
    kept: Kept
    lock: Any = None

    @classmethod
    def open(cls, root: Path, data: str | None = None) -> Study:
        """Open a folder for this studio alone.

        Raises DataError for no folder, InputError for one that another studio has open or that cannot be written.
        """
        import filelock

        root = Path(os.path.realpath(root))
        if not root.is_dir():
            raise DataError(f"{root} is no folder; expected one with recordings. Give the folder they lie in.")
        own = root / STATE
        try:
            own.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{root} cannot be written ({error.strerror}); expected a folder for the table and the results. "
                "Copy the recordings to one of yours."
            ) from None
        if own.is_symlink():
            raise InputError(f"{own} is a link; expected a folder of the studio's own. Remove it.")
        lock = filelock.FileLock(own / "lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise InputError(f"{root} is open in another studio; expected one at a time. Go to its window.") from None
        kept = Kept()
        with suppress(DataError):  # damaged notes are begun anew; the table and the results are files of their own
            kept = (
                read_json(own / "studio.json", Kept, "the studio's notes") if (own / "studio.json").is_file() else kept
            )
        if data is not None and data != kept.data:
            kept = Kept(data)
        return cls(root, kept, lock)

    def close(self) -> None:
        """Let others open it."""
        if self.lock is not None:
            self.lock.release()

    def save(self) -> None:
        """Write what is remembered, at once or not at all."""
        self.write("studio.json", msgspec.json.encode(self.kept))

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the studio's own folder, at once or not at all."""
        place(self.root / STATE / name, data)

    def read(self, name: str) -> bytes | None:
        """Read a file of the studio's own folder, None where there is none."""
        path = self.root / STATE / name
        return path.read_bytes() if path.is_file() and not path.is_symlink() else None

    @property
    def own(self) -> bool:
        """Whether the folder's data are listed in a table."""
        return self.kept.data == "manifest"

    @property
    def manifest(self) -> Path | None:
        """The table's file, None where there is none yet."""
        return next((p for name in NAMES if (p := self.root / name).exists()), None)

    def table(self) -> Table:
        """Read the table."""
        path = self.manifest
        if path is None:
            raise DataError(f"{self.root} has no table yet; expected manifest.csv. Draft it.")
        return read_table(path)

    def mark(self) -> str:
        """Say which state of the table a check was about."""
        path = self.manifest
        cutting = msgspec.json.encode(self.kept.cutting).decode()
        if not self.own or path is None:
            return cutting
        found = path.stat()
        return f"{path.name} {found.st_size} {found.st_mtime_ns} {cutting}"

    def change(self, what: str, act: Callable[[Table], Table]) -> None:
        """Change the table; the version before can be had again."""
        before = self.table()
        after = act(before)
        if after == before:
            return
        self.remember("as it was", before)
        self._write(after)
        self.remember(what, after)

    def remember(self, what: str, table: Table) -> None:
        """Add a version to the history, unless it is the present one."""
        kept = self.kept
        text = table.text()
        if kept.at >= 0 and self._version(kept.at) == text:
            return
        name = f"table-{max((int(s.file[6:-4]) for s in kept.steps), default=0) + 1}.csv"
        self.write(name, text.encode())
        dropped = kept.steps[kept.at + 1 :]
        kept.steps = [*kept.steps[: kept.at + 1], Step(name, what)]
        while len(kept.steps) > MOST_STEPS:
            dropped.append(kept.steps.pop(0))
        kept.at = len(kept.steps) - 1
        self.save()
        for step in dropped:
            with suppress(OSError):
                (self.root / STATE / step.file).unlink()

    def go(self, by: int) -> None:
        """Step back (-1) or forth (1) in the history."""
        if by < 0 and self.manifest is not None:
            self.remember("changed in another program", self.table())
        at = self.kept.at + by
        text = self._version(at)
        if text is None:
            what, before = ("take back", "change") if by < 0 else ("do again", "step taken back")
            raise InputError(f"nothing to {what}; expected a {before} before it. Change the table first.")
        self._write(parsed(text))
        self.kept.at = at
        self.save()

    def _version(self, at: int) -> str | None:
        if not 0 <= at < len(self.kept.steps) or not re.fullmatch(r"table-\d+\.csv", self.kept.steps[at].file):
            return None
        found = self.read(self.kept.steps[at].file)
        return None if found is None else found.decode(errors="replace")

    def _write(self, table: Table) -> None:
        place(self.root / NAMES[0], table.text().encode())

    def runs(self) -> list[str]:
        """Names of the folders of results, newest first."""
        folder = self.root / RUNS
        if not folder.is_dir() or folder.is_symlink():
            return []
        found = [p for p in folder.iterdir() if _RUN.fullmatch(p.name) and (p / "result.json").is_file()]
        return [p.name for p in sorted(found, key=lambda p: (p / "result.json").stat().st_mtime, reverse=True)]

    def run(self, name: str) -> Path:
        """Return the folder of one run; a name that is none of them is refused."""
        if name not in self.runs():
            raise InputError(f"run {name!r}; expected one of {', '.join(self.runs()) or '(none)'}. Choose one.")
        return self.root / RUNS / name

    def free_run(self, target: str, protocol: str) -> str:
        """Return a name for a new run."""
        tame = re.sub(r"[^\w]+", "-", f"{target}-{protocol}").strip("-")[:80] or "run"
        number, name = 1, tame
        while (self.root / RUNS / name).exists():
            number += 1
            name = f"{tame}-{number}"
        return name

    def inside(self, run: str, *parts: str) -> Path | None:
        """Return a regular file inside a run, None where there is none or a link leads elsewhere."""
        folder = self.run(run)
        found = Path(os.path.realpath(folder.joinpath(*parts)))
        home = Path(os.path.realpath(folder))
        return found if found.is_file() and found.is_relative_to(home) and home.is_relative_to(self.root) else None

    def models(self, run: str) -> list[str]:
        """Names of a run's models: "" for one of all people, else a folder a person."""
        folder = self.run(run) / "model"
        if (folder / "estimator.json").is_file():
            return [""]
        if not folder.is_dir():
            return []
        return sorted(p.name for p in folder.iterdir() if (p / "estimator.json").is_file())

    def reasons(self) -> dict[str, list[str]]:
        """What was guessed, what is not known and what was left out, as `insula init` wrote it."""
        path = self.root / REASONS
        if not path.is_file() or path.is_symlink():
            return {}
        out: dict[str, list[str]] = {}
        title = ""
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("- ") and title:
                out[title].append(line[2:])
            elif line.strip():
                title = line.strip()
                out[title] = []
        return {k: [v for v in lines if v != "nothing"] for k, lines in out.items()}


def place(path: Path, data: bytes) -> None:
    """Write a file at once or not at all."""
    work = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        work.write_bytes(data)
        os.replace(work, path)
    finally:
        with suppress(OSError):
            work.unlink()


def load_json(data: bytes | None) -> Any:
    """Read JSON that the studio kept; None where it is not there or damaged."""
    if data is None:
        return None
    try:
        return json.loads(data)
    except ValueError:
        return None
