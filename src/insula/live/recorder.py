"""Signals and labels into a folder that `insula evaluate --data manifest` reads back."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from insula.errors import InputError
from insula.live.chunks import Appeared, Chunk, Event, Stream
from insula.live.learner import Stretch

COLUMNS = ("file", "modality", "subject", "session", "trial", "role", "start", "stop", "onset", "rate", "time", "unit")


class Recorder:
    """Write every packet as it came, with its times, while it is on; the manifest when it is stopped.

    A session is a folder of its own below ``folder``; ``manifest.csv`` beside them lists all labelled stretches of all
    sessions. Nothing is written anywhere else.

    Parameters
    ----------
    folder : where; made when recording begins.
    subject : whose.
    target : name of the label column.
    """

    def __init__(self, folder: Path, subject: str, target: str = "label") -> None:
        if not re.fullmatch(r"[\w-]{1,60}", subject):
            raise InputError(f"subject {subject!r}; expected letters, digits, '_' or '-'. Choose another name.")
        self.folder, self.subject, self.target = folder, subject, re.sub(r"[^\w.-]", "_", target)
        self.on = False
        self._files: dict[str, tuple[IO[str], Any]] = {}
        self._streams: dict[str, Stream] = {}
        self._span: dict[str, tuple[float, float]] = {}
        self._session = ""

    def start(self, streams: Sequence[Stream]) -> None:
        """Begin a session."""
        number = 1
        stamp = time.strftime("%Y%m%d-%H%M%S")
        while (self.folder / f"{stamp}-{number}").exists():
            number += 1
        self._session = f"{stamp}-{number}"
        (self.folder / self._session).mkdir(parents=True)
        self._files, self._span = {}, {}
        self._streams = {stream.modality: stream for stream in streams}
        self.on = True

    def add(self, events: Iterable[Event]) -> None:
        """Write the packets among these events."""
        for event in events:
            if isinstance(event, Appeared):
                self._streams[event.stream.modality] = event.stream
            if not isinstance(event, Chunk) or not event.times_s.size or event.modality not in self._streams:
                continue
            writer = self._writer(event.modality)
            times = [f"{t:.6f}" for t in event.times_s.tolist()]
            rows = ([t, *(f"{v:.7g}" for v in row)] for t, row in zip(times, event.values.T.tolist(), strict=True))
            writer.writerows(rows)
            first_s, last_s = self._span.get(event.modality, (float(event.times_s[0]), 0.0))
            self._span[event.modality] = (min(first_s, float(event.times_s[0])), max(last_s, float(event.times_s[-1])))

    def _writer(self, modality: str) -> Any:
        if modality not in self._files:
            path = self.folder / self._session / f"{modality}.csv"
            handle = path.open("w", newline="", encoding="utf-8")
            writer = csv.writer(handle)
            writer.writerow(["time", *self._streams[modality].channels])
            self._files[modality] = (handle, writer)
        return self._files[modality][1]

    def stop(self, stretches: Sequence[Stretch]) -> Path:
        """End the session and add its labelled stretches to the manifest."""
        manifest = self.folder / "manifest.csv"
        if not self.on:
            return manifest
        self.on = False
        for handle, _ in self._files.values():
            handle.close()
        new = not manifest.exists()
        with manifest.open("a", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            if new:
                writer.writerow([*COLUMNS, self.target])
            for number, stretch in enumerate(sorted(stretches, key=lambda s: s.start_s)):
                for row in self._rows(number, stretch):
                    writer.writerow(row)
        return manifest

    def _rows(self, number: int, stretch: Stretch) -> Iterable[list[Any]]:
        for modality, (first_s, last_s) in self._span.items():
            stream = self._streams[modality]
            # the reader counts seconds from a file's first time
            start_s, stop_s = stretch.start_s - first_s, stretch.stop_s - first_s
            if start_s < -1e-6 or stretch.stop_s > last_s + 1.0:
                continue
            yield [
                f"{self._session}/{modality}.csv", modality, self.subject, self._session, f"t{number + 1:03d}", "trial",
                f"{max(0.0, start_s):.6f}", f"{stop_s:.6f}", f"{stretch.start_s:.6f}",
                f"{stream.rate_hz:g}" if stream.rate_hz > 0 else "", "time", stream.unit, stretch.name,
            ]  # fmt: skip
