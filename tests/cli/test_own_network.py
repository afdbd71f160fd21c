"""A network in a file of the user's own, from the command line, in workers too."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Terminal
from small_cohort import cohort, write_manifest

from insula.evaluation.experiment import experiment_from
from insula.evaluation.finished import _code
from insula.evaluation.results import Result
from insula.models import MODELS
from insula.processes import MODULES

OWN = """
from torch import nn
import insula


class Average(nn.Module):
    def __init__(self, n_chans, n_times, n_outputs):
        super().__init__()
        self.out = nn.Linear(n_chans, n_outputs)

    def forward(self, x):
        return self.out(x.mean(-1))


if "average" not in insula.models.MODELS:
    insula.register("model", "average", insula.from_torch(Average, "eda"))
"""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(MODULES, "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_average.py").write_text(textwrap.dedent(OWN))
    yield
    MODELS.pop("average", None)
    sys.modules.pop("own_average", None)


@pytest.fixture
def insula_says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


def test_what_is_missing_is_said(insula_says: Terminal) -> None:
    asked = ("evaluate", "--data", "simulate", "--model", "own_average:Average")
    insula_says.refused(*asked, says="say insula --with own_average before the command")
    insula_says.refused("--with", "nowhere", "models", says="module 'nowhere' cannot be imported")


def test_an_own_network_is_known_by_every_command_and_its_file_names_the_run(insula_says: Terminal) -> None:
    told = insula_says("--with", "own_average", "models")
    assert told.code == 0, told.err
    assert "average" in told.out
    assert os.environ[MODULES] == "own_average"
    experiment = experiment_from({"data": {"name": "simulate"}, "model": {"name": "average"}})
    before = _code(experiment)
    Path("own_average.py").write_text(textwrap.dedent(OWN) + "\n# another one\n")
    assert _code(experiment) != before


@pytest.mark.slow
def test_an_own_network_is_evaluated_in_workers(insula_says: Terminal, tmp_path: Path) -> None:
    root = write_manifest(tmp_path, cohort())
    told = insula_says(
        "--with", "own_average", "evaluate", "--data", "manifest", "--root", root, "--target", "state", "--model",
        "average", "--protocol", "leave_one_subject_out", "--epochs", 1, "--quick", "--jobs", 2, "--window", 4, "--hop",
        2, "--guard", 2, "--out", "run",
    )  # fmt: skip
    assert told.code == 0, told.err
    assert Result.load("run").systems[0].name == "average"
    again = insula_says(
        "--with", "own_average", "predict", "--model", "run/model", "--data", "manifest", "--root", root
    )
    assert again.code == 0, again.err
