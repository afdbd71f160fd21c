"""The same cells on Ray: a cluster of two nodes, one killed in the middle, results equal to the bit."""

from __future__ import annotations

import os
import sys
from types import ModuleType

import pytest
from compare_grids import same_predictions, tiny

from insula.errors import MissingDependencyError
from insula.grid import on_ray
from insula.grid.cell import Shelf, run_cell


def test_without_ray_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"insula\[scale\]"):
        on_ray.run_on_ray(tiny(), tmp_path)


def test_ray_tells_nobody_that_it_is_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")  # a user who wants it is left to it
    on_ray._ray()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED")
    on_ray._ray()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_cell_comes_back_as_the_bytes_of_its_files(tmp_path):
    cell = tiny().cells[0]
    answer, files = on_ray.run_remotely(cell.key, cell.experiment.to_dict(), None)
    assert answer["state"] == "done"
    assert set(files) == {"result.json", "predictions.parquet", "cell.json"}
    on_ray.write_files(files, cell.key, tmp_path)
    run_cell(cell.key, cell.experiment.to_dict(), Shelf(), tmp_path / "local")
    same_predictions(tmp_path, tmp_path / "local", cell.key)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_two_nodes_one_killed_in_the_middle_same_results(ray, tmp_path):
    from ray.cluster_utils import Cluster

    rows = {"rows": ["majority", "prior", "logistic_regression"], "context": False}
    grid = tiny(seeds=[0, 1, 2], compare=rows)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        killed = []
        nodes = set()

        def report(step):
            nodes.add(step.outcome.process)
            if step.done >= 4 and not killed:
                killed.append(step.done)
                cluster.remove_node(second, allow_graceful=False)

        known = on_ray.run_on_ray(grid, tmp_path / "ray", report=report)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert killed
    assert {o.state for o in known.values()} == {"done"}, [o.why for o in known.values() if o.why]
    shelf = Shelf()
    for cell in grid.cells:
        run_cell(cell.key, cell.experiment.to_dict(), shelf, tmp_path / "local")
        same_predictions(tmp_path / "ray", tmp_path / "local", cell.key)
