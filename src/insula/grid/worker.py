"""A process that evaluates cells one after another: `python -m insula.grid.worker FOLDER`.

It reads a JSON line a cell from standard input ({key, experiment}) and answers with two: {began} when the
cell's data are there, and its outcome. When its
standard input closes, because the runner ended or was killed, it ends at once, in the middle of a cell if need be.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from insula.processes import import_modules

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Variables that keep the numerical libraries of a worker on one thread."""


def serve(folder: Path) -> None:
    """Answer cells until standard input closes."""
    # Answers go through a private copy of standard output; whatever libraries print goes where errors go.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(answer: Mapping[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(waiting,), daemon=True).start()

    import_modules()
    import insula.evaluation.run
    import insula.pipeline.running  # noqa: F401  both before the first cell, so that no cell pays for them
    from insula.grid.cell import Shelf, run_cell

    shelf = Shelf()
    say({"ready": os.getpid()})
    while True:
        task = json.loads(waiting.get())
        outcome = run_cell(task["key"], task["experiment"], shelf, folder, lambda: say({"began": True}))
        say(outcome.to_dict())


def _listen(waiting: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        waiting.put(line)
    os._exit(0)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
