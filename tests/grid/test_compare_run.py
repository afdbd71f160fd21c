"""Cells are committed whole, a killed run goes on where it was, and only what changed runs again."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from compare_grids import TINY, invent, same_predictions, tiny

from insula.errors import InputError
from insula.evaluation.results import Result
from insula.grid.cell import NO_DATA, Outcome, Shelf, commit, run_cell
from insula.grid.forecast import Forecast, Size, sizes
from insula.grid.run import clear, finished, keep, locked, outcomes, run_grid


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Every cell of a tiny grid, run in this process."""
    folder = tmp_path_factory.mktemp("here")
    grid = tiny()
    shelf = Shelf()
    ended = [run_cell(c.key, json.loads(json.dumps(c.experiment.to_dict())), shelf, folder) for c in grid.cells]
    return grid, folder, ended


def test_a_cell_leaves_a_result_and_says_how_it_ended(ran):
    grid, folder, ended = ran
    assert [o.state for o in ended] == ["done"] * len(grid.cells)
    assert outcomes(grid, folder) == {o.key: o for o in ended}
    for cell in grid.cells:
        result = Result.load(folder / "cells" / cell.key)
        assert [s.name for s in result.systems] == [cell.experiment.model.name]
        assert result.protocol["name"] == cell.protocol
        assert result.config["experiment"]["seed"] == cell.experiment.seed
    assert not list(folder.rglob("*.partial"))


def test_data_are_read_once_a_process(ran):
    _, _, ended = ran
    assert ended[0].read_s > 0.05
    assert all(o.read_s < 0.2 * ended[0].read_s for o in ended[1:])


def test_a_mistake_is_an_outcome_and_is_tried_again(tmp_path):
    grid = tiny(models=["eegnet"], data=[{"name": "simulate", "options": TINY, "modalities": ["eda"]}])
    cell = grid.cells[0]
    outcome = run_cell(cell.key, cell.experiment.to_dict(), Shelf(), tmp_path)
    assert outcome.state == "failed"
    assert "without eeg" in outcome.why
    assert not (tmp_path / "cells").exists()
    keep(outcome, tmp_path)
    assert not finished(outcomes(grid, tmp_path)[cell.key], None)


def test_absent_data_are_said_so(tmp_path):
    grid = tiny(data=[{"name": "stress_predict", "root": str(tmp_path / "nowhere")}])
    cell = grid.cells[0]
    assert run_cell(cell.key, cell.experiment.to_dict(), Shelf(), tmp_path).why.startswith(NO_DATA)


def test_an_earlier_commit_stays(ran, tmp_path):
    grid, folder, _ = ran
    cell = grid.cells[0]
    result = Result.load(folder / "cells" / cell.key)
    for seconds in (1.0, 2.0):
        commit(result, Outcome(cell.key, "done", seconds), tmp_path)
    assert outcomes(grid, tmp_path)[cell.key].seconds == 1.0
    assert [p.name for p in (tmp_path / "cells").iterdir()] == [cell.key]


def test_half_written_cells_are_removed_and_never_read(ran, tmp_path):
    grid, _, _ = ran
    half = tmp_path / "cells" / f".{grid.cells[0].key}-0.partial"
    half.mkdir(parents=True)
    (half / "cell.json").write_text("{}")
    assert outcomes(grid, tmp_path) == {}
    clear(tmp_path)
    assert not half.exists()


@pytest.mark.parametrize(
    ("outcome", "limit_s", "is_finished"),
    [
        (None, 5.0, False),
        (Outcome("k", "done", 9.0), 5.0, True),
        (Outcome("k", "failed", 1.0), None, False),
        (Outcome("k", "over limit", 5.0, limit_s=5.0), 5.0, True),
        (Outcome("k", "over limit", 5.0, limit_s=5.0), 6.0, False),
        (Outcome("k", "over limit", 5.0, limit_s=5.0), None, False),
    ],
)
def test_what_is_finished(outcome, limit_s, is_finished):
    assert finished(outcome, limit_s) == is_finished


def test_a_result_makes_an_earlier_failure_void(ran, tmp_path):
    grid, folder, _ = ran
    cell = grid.cells[0]
    keep(Outcome(cell.key, "failed", 1.0, why="x"), tmp_path)
    commit(Result.load(folder / "cells" / cell.key), Outcome(cell.key, "done", 2.0), tmp_path)
    keep(Outcome(cell.key, "done", 2.0), tmp_path)
    assert outcomes(grid, tmp_path)[cell.key].state == "done"
    assert not list((tmp_path / "ended").iterdir())


def test_one_folder_one_runner(tmp_path, monkeypatch):
    monkeypatch.setattr("insula.grid.run._WAIT_FOR_LOCK_S", 0.0)
    pytest.importorskip("fcntl", reason="no file locks on this system")
    with locked(tmp_path), pytest.raises(InputError, match="in use by another"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    for place, words in ((tmp_path / "other" / "file", "is a file"), (tmp_path / "other", "holds other files")):
        with pytest.raises(InputError, match=words), locked(place):
            pass


def test_forecasts_come_from_like_cells_and_count_the_limit(tmp_path):
    grid = tiny(models=["liquid"], train={"epochs": 10})
    of = {(c.system, c.protocol): c for c in grid.cells}
    forecast = Forecast(tmp_path, grid.cells, {})
    forecast.learn(of["prior", "within_subject"], 3.0)
    assert forecast.seconds(of["prior", "within_subject"]) == 3.0
    assert forecast.seconds(of["prior", "random_windows"]) == 3.0  # the nearest that is known
    assert forecast.total(grid.cells, 2, limit_s=1.0) == pytest.approx(len(grid.cells) / 2)
    known = sizes(grid.cells)
    size = next(iter(known.values()))
    # 28 trials of 8 s: guard 2 s, windows of 4 s every 2 s
    assert (size.people, size.windows) == (2, 56)
    planned = Forecast(tmp_path, grid.cells, {}, known)
    assert planned.seconds(of["liquid", "within_subject"]) > 5 * planned.seconds(of["prior", "within_subject"])
    absent = Forecast(tmp_path, grid.cells, {}, dict.fromkeys(known, Size(why=NO_DATA)))
    assert absent.total(grid.cells, 2, None) == 0


def test_a_finished_grid_needs_no_worker(tmp_path, monkeypatch):
    grid = tiny()
    with locked(tmp_path):
        invent(grid, tmp_path, lambda system, protocol: 0.6)  # noqa: ARG005
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("a worker was started"))  # noqa: ARG005
    assert {o.state for o in run_grid(grid, tmp_path).values()} == {"done"}


def test_the_dry_run_prints_the_plan_and_runs_nothing(tmp_path):
    from typer.testing import CliRunner

    from insula.cli import app

    file = write_grid(tmp_path / "plan.toml", seeds=2)
    run = CliRunner().invoke(app, ["compare", str(file), "--out", str(tmp_path / "out"), "--dry-run"])
    assert run.exit_code == 0, run.output
    assert "8 cells, 8 to run" in run.output
    assert "within_subject" in run.output
    assert not (tmp_path / "out").exists()
    assert CliRunner().invoke(app, ["compare", str(file), "--on", "clouds"]).exit_code != 0


def write_grid(path: Path, seeds: int, extra: str = "") -> Path:
    options = ", ".join(f"{k} = {v}" for k, v in TINY.items())
    path.write_text(
        f"""
        title = "tiny"
        seeds = {list(range(seeds))}
        protocols = ["random_windows", {{ name = "within_subject", folds = 2 }}]
        {extra}
        [compare]
        rows = ["majority", "prior"]
        context = false
        [[data]]
        name = "simulate"
        targets = ["emotion"]
        options = {{ {options} }}
        """
    )
    return path


def marks(out: Path) -> dict[str, tuple[int, int]]:
    """Identity and time of every finished cell."""
    return {p.parent.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in out.glob("cells/[!.]*/cell.json")}


@pytest.mark.slow
@pytest.mark.timeout(600)  # three runs, six starts of a worker: 20 s alone, minutes on a busy machine
def test_killed_at_random_moments_it_resumes_without_losing_or_repeating_a_cell(tmp_path, ran):
    """SIGKILL the runner (by its own pid) twice; whoever was finished stays, all finish, and results are the same.

    The last run is of a grid to which a row was added: those cells run, nobody else does.
    """
    file = write_grid(tmp_path / "tiny.toml", seeds=3)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "insula", "compare", str(file), "--out", str(out), "--jobs", "2"]
    rng = random.Random(time.time_ns())
    before: dict[str, tuple[int, int]] = {}
    for _ in range(2):
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        wanted = len(before) + rng.randint(1, 4)
        deadline = time.monotonic() + 200
        while len(marks(out)) < wanted and process.poll() is None and time.monotonic() < deadline:
            time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        after = marks(out)
        assert before.items() <= after.items()
        before = after
    assert 0 < len(before) < 12
    write_grid(file, seeds=3, extra='models = [{ name = "clock" }]')
    subprocess.run([*command, "--limit", "60"], check=True, capture_output=True)
    last = marks(out)
    assert before.items() <= last.items()
    assert len(last) == 12 + 6
    assert not list(out.rglob("*.partial"))
    assert "not run yet" not in (out / "ledger.md").read_text()
    assert BUILT_IN in (out / "ledger.html").read_text()
    # seed 0 is the grid that ran in this process: the same to the bit
    grid, folder, _ = ran
    for cell in grid.cells:
        same_predictions(folder, out, cell.key)


BUILT_IN = "the drop is built in"


@pytest.mark.slow
def test_a_cell_over_its_limit_is_stopped_and_the_others_go_on(tmp_path):
    grid = tiny(
        protocols=[{"name": "within_subject", "folds": 2}],
        models=["liquid"],
        train={"epochs": 10**6, "patience": 10**6},
        compare={"rows": ["majority"], "context": False},
    )
    heard: list = []
    known = run_grid(grid, tmp_path, jobs=1, limit_s=6, report=heard.append)
    of = {c.system: known[c.key] for c in grid.cells}
    assert (of["majority"].state, of["liquid"].state) == ("done", "over limit")
    assert of["liquid"].why == "time limit of 6 s"
    assert [s.done for s in heard] == [1, 2]
    assert heard[-1].remaining_s == 0
    # at the same limit there is nothing left to do
    again: list = []
    assert run_grid(grid, tmp_path, jobs=1, limit_s=6, report=again.append) == known
    assert not again
