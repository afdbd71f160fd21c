"""Run an exported model in onnxruntime, one step after another; needs neither torch nor the rest of insula."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insula.errors import DataError, MissingDependencyError, unknown_name

DESCRIPTION = "model.json"
Arrays = dict[str, NDArray[Any]]

_MEASURE = """
import sys
import numpy, onnxruntime
from insula.export.step_model import StepModel

def resident_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

before = resident_kib()
model = StepModel(sys.argv[1], sys.argv[2])
inputs, state = model.blank(1), model.start(1)
for _ in range(5):
    _, state = model.step(inputs, state)
print(1024 * (resident_kib() - before))
"""


class StepModel:
    """An exported model: ``step`` reads one hop of inputs with the state before and returns answers and state.

    Parameters
    ----------
    folder : what `insula export` wrote.
    variant : ``"float32"`` or ``"int8"``.
    threads : of onnxruntime; one step is too small to gain from more than one.

    Raises
    ------
    DataError : no such folder, or files that cannot be read.
    MissingDependencyError : onnxruntime is not installed.
    """

    def __init__(self, folder: str | Path, variant: str = "float32", threads: int = 1) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingDependencyError(
                "onnxruntime is not installed; expected it to run an exported model. Run: pip install 'insula[onnx]'."
            ) from None
        path = Path(folder) / DESCRIPTION
        try:
            self.description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            files = self.description["files"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise DataError(
                f"{path} cannot be read ({error}); expected what `insula export` wrote. Export again."
            ) from None
        if variant not in files:
            raise unknown_name("variant", variant, files)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path.parent / files[variant]["file"]), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own errors have no common root
            raise DataError(
                f"{files[variant]['file']} in {folder} cannot be loaded ({error}); expected what `insula export` "
                "wrote. Export again."
            ) from None
        self._outputs = [port["name"] for port in self.description["outputs"]]
        self._carried = {port["output"]: port["input"] for port in self.description["state"]}

    def start(self, batch: int = 1) -> Arrays:
        """State before the first step: zeros and False."""
        return {
            port["input"]: np.zeros((batch, *port["shape"][1:]), port["dtype"]) for port in self.description["state"]
        }

    def blank(self, batch: int = 1) -> Arrays:
        """Inputs of a step in which nothing is observed and nothing is known."""
        out: Arrays = {}
        for port in self.description["inputs"]:
            shape = (batch, *port["shape"][1:])
            empty = np.nan if port["absent"] is None else port["absent"]  # JSON has no NaN
            out[port["name"]] = np.full(shape, empty, port["dtype"])
        return out

    def step(self, inputs: Mapping[str, NDArray[Any]], state: Mapping[str, NDArray[Any]]) -> tuple[Arrays, Arrays]:
        """Answers at the end of this step by name, and the state to give to the next one."""
        found = self._session.run([*self._outputs, *self._carried], {**inputs, **state})
        said = dict(zip(self._outputs, found, strict=False))
        after = dict(zip(self._carried.values(), found[len(said) :], strict=True))
        return said, after


def resident_growth(folder: str | Path, variant: str) -> int | None:
    """Bytes by which a fresh process grows when it loads a model and runs five steps; None where not Linux."""
    if not Path("/proc/self/status").is_file():
        return None
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(folder), variant], capture_output=True, text=True, check=True
    )
    return int(done.stdout)
