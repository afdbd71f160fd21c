"""Who was started by whom, and who is left: by /proc."""

from __future__ import annotations

from pathlib import Path


def family(process: int) -> set[int]:
    """The process ids of everything that this process started, and what those started."""
    found, waiting = set(), [process]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                children = [int(child) for child in task.read_text().split()]
            except OSError:
                continue
            found.update(children)
            waiting += children
    return found


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
