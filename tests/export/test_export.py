"""The exported model answers as PyTorch does, hop by hop, and says what it needs; int8 is measured, not trusted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_cohort import cohort, scored, windows
from torch import Tensor, nn
from typer.testing import CliRunner

from insula.errors import DataError, InputError, InsulaError
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.models import MODELS, card
from insula.models.card import ModelCard
from insula.types import Batch, InputSpec, ModelOutput
from insula.windows.cutting import cut
from insula.windows.table import Windows

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'insula[onnx]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install 'insula[onnx]'")

import insula.export.writing as exporting
from insula.export.step_graph import write_graph
from insula.export.step_model import StepModel
from insula.export.writing import export, noise, predict

pytestmark = pytest.mark.slow


def untrained(of: Windows, **config: object) -> Estimator:
    """An Estimator with scales from these windows and random weights, none of them zero."""
    estimator = Estimator(EstimatorConfig(**config)).initialise(of)  # type: ignore[arg-type]
    with torch.no_grad():
        for network in estimator.networks:
            for weight in network.parameters():
                weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    return estimator


@pytest.fixture(scope="module")
def two_signals() -> Windows:
    """Windows of skin conductance and heart rate: the smallest flagship with two modalities."""
    return cut(cohort(), windows().recipe, "state", modalities=("eda", "hr"))


@pytest.fixture(scope="module")
def flagship(two_signals: Windows) -> Estimator:
    return untrained(two_signals)


@pytest.fixture(scope="module")
def exported(flagship: Estimator, two_signals: Windows, tmp_path_factory: pytest.TempPathFactory) -> exporting.Export:
    return export(flagship, tmp_path_factory.mktemp("export") / "model", windows=two_signals)


def test_steps_equal_torch_with_carried_state(flagship: Estimator, exported: exporting.Export) -> None:
    model = StepModel(exported.folder)
    network = flagship.networks[0]
    for size in (1, 3):
        state, before = model.start(size), None
        for batch in noise(flagship, size, 7, seed=5):
            with torch.no_grad():
                expected = network(batch, before)
            before = expected.state
            given = exporting._inputs(model, batch)
            assert any(np.isnan(v).any() for n, v in given.items() if n.startswith("features"))
            said, state = model.step(given, state)
            np.testing.assert_allclose(said["logits"], expected.logits, atol=1e-5)
            np.testing.assert_allclose(said["embedding"], expected.embedding, atol=1e-5)
            np.testing.assert_allclose(said["attention_time"], expected.attention["time"], atol=1e-5)
            np.testing.assert_allclose(said["probability"], torch.softmax(expected.logits, -1), atol=1e-5)
            assert said["logits"].shape == (size, 2)
    assert exported.difference <= 1e-5


def test_state_matters(exported: exporting.Export, flagship: Estimator) -> None:
    model = StepModel(exported.folder)
    first, second = (exporting._inputs(model, b) for b in noise(flagship, 1, 2))
    _, carried = model.step(first, model.start(1))
    with_state, _ = model.step(second, carried)
    without, _ = model.step(second, model.start(1))
    assert np.abs(with_state["logits"] - without["logits"]).max() > 1e-3


def test_predicts_windows_as_the_estimator_does(
    flagship: Estimator, exported: exporting.Export, two_signals: Windows
) -> None:
    rows = scored(two_signals)
    found = predict(StepModel(exported.folder), flagship, rows)
    np.testing.assert_allclose(found, flagship.predict_proba(rows), atol=1e-5)


def test_nothing_observed_gives_finite_answers(exported: exporting.Export) -> None:
    model = StepModel(exported.folder)
    said, state = model.step(model.blank(2), model.start(2))
    assert all(np.isfinite(v).all() for v in said.values())
    assert not state["state_peripheral_began"].any()


def test_description_names_what_a_reader_needs(
    flagship: Estimator, exported: exporting.Export, two_signals: Windows
) -> None:
    import onnx

    found = json.loads((exported.folder / "model.json").read_text())
    graph = onnx.load(str(exported.folder / "model.onnx")).graph
    shapes = {
        p.name: [d.dim_param or d.dim_value for d in p.type.tensor_type.shape.dim]
        for p in (*graph.input, *graph.output)
    }
    described = {p["name"]: p["shape"] for p in (*found["inputs"], *found["outputs"])}
    described |= {p[way]: p["shape"] for p in found["state"] for way in ("input", "output")}
    assert described == shapes
    assert {o.domain for o in onnx.load(str(exported.folder / "model.onnx")).opset_import} == {""}
    eda = found["modalities"]["eda"]
    assert (eda["channels"], eda["rate_hz"], eda["unit"], eda["samples_per_step"]) == (["EDA"], 4.0, "uS", 8)
    assert found["classes"] == ["calm", "tense"]
    assert found["recipe"]["hop_s"] == found["step_s"] == 2.0
    columns = [c for m in found["features"].values() for c in m]
    assert [c["name"] for c in columns] == [c for m in two_signals.schema.features.values() for c in m]
    np.testing.assert_allclose([c["centre"] for c in columns], flagship.normaliser.centre)
    np.testing.assert_allclose([c["within"] for c in columns], flagship.normaliser.within)
    assert found["checked"]["largest_difference_from_torch"] == exported.difference


def test_size_ram_and_loss_are_measured(exported: exporting.Export, flagship: Estimator, two_signals: Windows) -> None:
    assert exported.bytes == {v: (exported.folder / f).stat().st_size for v, f in exporting.FILES.items()}
    assert exported.bytes["int8"] != exported.bytes["float32"]
    if Path("/proc/self/status").is_file():
        assert all(grown is not None and 1e5 < grown < 1e9 for grown in exported.resident_bytes.values())
    loss = exported.loss
    assert loss is not None
    rows = scored(two_signals)
    exact, coarse = (predict(StepModel(exported.folder, v), flagship, rows) for v in ("float32", "int8"))
    recall = [np.mean([(p.argmax(1) == rows.y)[rows.y == k].mean() for k in (0, 1)]) for p in (exact, coarse)]
    assert loss["loss"] == pytest.approx(recall[0] - recall[1])
    assert loss["largest_change"] == pytest.approx(np.abs(exact - coarse).max())
    assert 0 < loss["largest_change"] < 0.2
    assert str(len(rows)) in loss["measured_on"]


def test_int8_stores_weights_as_int8(exported: exporting.Export) -> None:
    import onnx

    weights = onnx.load(str(exported.folder / "model-int8.onnx")).graph.initializer
    kinds = {t.data_type: 0 for t in weights}
    for t in weights:
        kinds[t.data_type] += int(np.prod(t.dims))
    assert kinds[onnx.TensorProto.INT8] > 0.5 * sum(kinds.values())


def test_a_wrong_graph_is_refused_and_leaves_nothing(
    flagship: Estimator, exported: exporting.Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = exported.graph

    def copied(*_: object) -> object:
        source = (exported.folder / "model-int8.onnx").read_bytes()
        Path(_[-1]).write_bytes(source)  # type: ignore[arg-type]
        return graph

    monkeypatch.setattr(exporting, "write_graph", copied)
    with pytest.raises(InsulaError, match="differs from PyTorch"):
        export(flagship, tmp_path / "out", int8=False)
    assert list(tmp_path.iterdir()) == []


def test_folder_with_other_files_is_refused(flagship: Estimator, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        export(flagship, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(DataError, match="insula export"):
        StepModel(tmp_path)


# -- other networks ---------------------------------------------------------------------------------------------

SPEC = InputSpec({"eda": (1, 4.0)}, {"eda": 2}, 0, 2, False, 4.0, 2.0)


class Branching(nn.Module):
    def forward(self, batch: Batch, state: object = None) -> ModelOutput:
        x = batch.signals["eda"].mean(-1)
        x = torch.cat([x, -x if bool(x.sum() > 0) else x], 1)
        return ModelOutput(x, x, state)


class TimeFirst(nn.Module):
    def forward(self, batch: Batch, state: Tensor | None = None) -> ModelOutput:
        del state
        x = batch.signals["eda"].mean(-1).expand(-1, 2)
        return ModelOutput(x, x, torch.stack([x.T[0], x.T[1]]).repeat(2, 1))


class Ensemble(nn.Module):
    """Adds up means of the signal; reads neither features nor traits."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, batch: Batch, state: Tensor | None = None) -> ModelOutput:
        mean = batch.signals["eda"].mean(-1)
        total = mean if state is None else state + mean
        return ModelOutput(torch.cat([self.gain * total, -total], 1), total, total)


@pytest.mark.parametrize("network", [Branching(), TimeFirst()])
def test_networks_that_do_not_fit_are_refused(network: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Export the flagship"):
        write_graph([network], SPEC, 2.0, (0.0, 1.0), tmp_path / "model.onnx")


def test_networks_of_an_ensemble_keep_states_of_their_own(tmp_path: Path) -> None:
    import onnxruntime

    graph = write_graph([Ensemble(1.0), Ensemble(3.0)], SPEC, 2.0, (0.0, 1.0), tmp_path / "model.onnx")
    assert [p.name for p in graph.inputs] == ["signals_eda"]
    assert [p.name for p, _ in graph.state] == ["state_0", "state_1"]
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    signal = np.random.default_rng(0).normal(size=(4, 1, 8)).astype(np.float32)
    states = [np.full((4, 1), v, np.float32) for v in (0.5, -0.25)]
    probability, *_, first, second = session.run(
        None, {"signals_eda": signal, "state_0": states[0], "state_1": states[1]}
    )
    totals = [s + signal.mean(-1) for s in states]
    expected = np.mean([1 / (1 + np.exp(-(g + 1) * t[:, 0])) for g, t in zip((1, 3), totals, strict=True)], 0)
    np.testing.assert_allclose(probability[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose([first, second], totals, atol=1e-6)


def test_command_prints_what_was_measured(flagship: Estimator, tmp_path: Path, exported: exporting.Export) -> None:
    from insula.cli import app
    from insula.cli.export import rows_of

    text = dict(rows_of(exported))
    assert "balanced accuracy" in text["int8 against float32"]
    assert "kB on disk" in text["float32"]
    flagship.save(tmp_path / "saved")
    arguments = ["export", "--model", str(tmp_path / "saved"), "--out", str(tmp_path / "out")]
    for wrong in (["--target", "other"], ["--root", "x"], ["--data", "simulate", "--no-int8"]):
        assert isinstance(CliRunner().invoke(app, arguments + wrong).exception, InputError)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", sorted(n for n in MODELS if card(n).not_exportable))
def test_a_network_that_cannot_be_exported_says_why(name: str, tmp_path: Path) -> None:
    class Stated(nn.Module):
        card = ModelCard(title="stated", not_exportable=card(name).not_exportable)

        def forward(self, batch: Batch, state: object = None) -> ModelOutput:
            mean = batch.signals["eda"].mean(-1).expand(-1, 2)
            return ModelOutput(mean, mean, state)

    model = Estimator(factory=lambda _: Stated()).initialise(windows())
    with pytest.raises(InputError, match=f"not exportable because {card(name).not_exportable}"):
        export(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()


class Level(nn.Module):
    """Reads the mean of each whole window of a modality that is there."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.classify = nn.Linear(len(spec.signals), spec.outputs)

    def forward(self, batch: Batch, state: object = None) -> ModelOutput:
        means = torch.stack([v.mean((1, 2)) for v in batch.signals.values()], 1) * batch.present
        return ModelOutput(self.classify(means), means, state)


def test_a_network_of_whole_windows_is_one_call_without_state(tmp_path: Path) -> None:
    estimator = Estimator(factory=Level).initialise(windows())
    done = export(estimator, tmp_path / "out", int8=False)
    assert done.loss is None
    assert done.graph.state == ()
    model = StepModel(done.folder)
    assert [p["shape"] for p in model.description["inputs"] if p["name"] == "signals_eda"] == [["batch", 1, 16]]
    rows = scored().take(np.arange(20))
    np.testing.assert_allclose(predict(model, estimator, rows), estimator.predict_proba(rows), atol=1e-5)


@pytest.mark.parametrize("config", [{"members": 2}, {"scope": "window"}])
def test_other_estimators_export(config: dict[str, object], tmp_path: Path) -> None:
    estimator = untrained(windows(), **config)
    done = export(estimator, tmp_path / "out", int8=False)
    assert done.difference <= 1e-5
    rows = scored().take(np.arange(20))
    found = predict(StepModel(done.folder), estimator, rows)
    np.testing.assert_allclose(found, estimator.predict_proba(rows), atol=1e-5)


def test_continuous_target_in_its_own_unit(tmp_path: Path) -> None:
    estimator = untrained(windows("valence"))
    done = export(estimator, tmp_path / "out", windows=windows("valence"))
    rows = scored(windows("valence"))
    found = predict(StepModel(done.folder), estimator, rows)
    np.testing.assert_allclose(found[:, 0], estimator.predict(rows), atol=1e-4)
    assert done.loss is not None
    assert done.loss["metric"] == "ccc"
