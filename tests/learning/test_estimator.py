"""The Estimator: what it learns, that it is causal, and that it keeps and gives back exactly what it learned."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_model import MyNet
from small_cohort import RECIPE, cohort, recording, scored, windows

from insula.data import info, load
from insula.errors import DataError, InputError, InsulaError, SchemaError
from insula.evaluation.experiment import experiment_from
from insula.evaluation.run import evaluate
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.metrics import ccc
from insula.learning.train_config import TrainConfig
from insula.types import Recording, Trial
from insula.windows.cutting import cut
from insula.windows.table import Windows

SHORT = TrainConfig(epochs=3, batch_trials=6, residual="always")
LONG = TrainConfig(epochs=10, batch_trials=4, average=0.0, residual="always")


@pytest.fixture(scope="module")
def model() -> Estimator:
    return Estimator(EstimatorConfig(train=LONG)).fit(scored())


@pytest.fixture(scope="module")
def saved(model: Estimator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model.save(tmp_path_factory.mktemp("models") / "one", {"note": "kept"})


def accuracy(found: Estimator, of: Windows) -> float:
    return float((found.predict(of) == of.y).mean())


def test_learns_a_plain_difference_and_says_probabilities(model: Estimator) -> None:
    chances = model.predict_proba(scored())
    assert chances.shape == (len(scored()), 2)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert accuracy(model, scored()) > 0.9
    unseen = scored(cut([recording("dan")], RECIPE, "state"))
    assert accuracy(model, unseen) > 0.8
    assert model.embed(unseen).shape == (len(unseen), 24)
    assert np.isfinite(model.embed(unseen)).all()


def test_fit_takes_the_scored_windows_only() -> None:
    whole, only = (Estimator(EstimatorConfig(train=SHORT)).fit(w) for w in (windows(), scored()))
    a, b = (e.networks[0].state_dict() for e in (whole, only))
    assert all(torch.equal(a[k], b[k]) for k in a)
    unlabelled = cut(cohort(), RECIPE, None, schema=windows().schema)
    with pytest.raises(InputError, match="0 with a label"):
        Estimator().fit(unlabelled)
    with pytest.raises(InputError, match="0 scored windows"):
        Estimator().fit(windows().take((windows().table["role"] == "reference").to_numpy()))


@pytest.mark.parametrize("scope", ["trial", "window", "session"])
def test_order_of_the_windows_does_not_matter(model: Estimator, scope: str) -> None:
    used = Estimator(replace(model.config, scope=scope, train=SHORT)).fit(scored())
    order = np.random.default_rng(0).permutation(len(scored()))
    straight, shuffled = used.predict_proba(scored()), used.predict_proba(scored().take(order))
    np.testing.assert_allclose(shuffled, straight[order], atol=1e-5)
    alone = scored().table["subject"].to_numpy() == "bob" if scope == "session" else np.array([7, 30])
    np.testing.assert_allclose(used.predict_proba(scored().take(alone)), straight[alone], atol=1e-5)


def from_second(one: Trial, after_s: float) -> Trial:
    """The trial with other samples from some second on."""
    rng = np.random.default_rng(9)
    signals = {}
    for m, s in one.signals.items():
        values = s.values.copy()
        first = round(after_s * s.rate_hz)
        values[:, first:] = values[:, first:] * 1.5 + rng.standard_normal(values[:, first:].shape) * 0.3
        signals[m] = replace(s, values=values)
    return replace(one, signals=signals)


@pytest.mark.parametrize("scope", ["trial", "session", "window"])
def test_later_samples_do_not_change_earlier_predictions(model: Estimator, scope: str) -> None:
    used = Estimator(replace(model.config, scope=scope, train=SHORT)).fit(scored())
    made = recording("dan", trial_s=20.0)
    target = made.trials[3]
    other = replace(made, trials=(*made.trials[:3], from_second(target, 10.0), *made.trials[4:]))
    plain, changed = (cut([r], RECIPE, "state") for r in (made, other))
    a, b = used.predict_proba(plain), used.predict_proba(changed)
    before = (plain.table["stop_s"] <= target.start_s + 10.0).to_numpy()
    inside = (plain.table["trial"] == target.trial).to_numpy() & ~before
    assert (before & (plain.table["trial"] == target.trial).to_numpy()).any()
    np.testing.assert_allclose(a[before], b[before], atol=1e-6)
    assert np.abs(a[inside] - b[inside]).max() > 1e-3


def test_trial_scope_forgets_the_trial_before_and_session_scope_does_not(model: Estimator) -> None:
    made = recording("dan")
    other = replace(made, trials=(*made.trials[:2], from_second(made.trials[2], 0.0), *made.trials[3:]))
    plain, changed = (cut([r], RECIPE, "state") for r in (made, other))
    later = (plain.table["start_s"] > made.trials[2].stop_s).to_numpy()
    for scope, same in (("trial", True), ("session", False)):
        used = Estimator(replace(model.config, scope=scope, train=SHORT)).fit(scored())
        a, b = (used.predict_proba(w)[later] for w in (plain, changed))
        assert np.allclose(a, b, atol=1e-7) is same


def test_continuous_target_learns() -> None:
    base = scored(windows("valence"))
    found = Estimator(EstimatorConfig(train=LONG)).fit(base)
    values = found.predict(base)
    assert values.dtype == np.float64
    assert 1 < values.mean() < 5  # in the rating's own unit
    assert ccc(base.y, values) > 0.5
    with pytest.raises(InputError, match="Use predict"):
        found.predict_proba(base)


def test_an_own_network_trains_through_the_factory(tmp_path: Path) -> None:
    config = EstimatorConfig(train=TrainConfig(epochs=60, batch_trials=1, average=0.0))
    found = Estimator(config, factory=MyNet).fit(scored())
    assert found.scope == "window"
    assert accuracy(found, scored()) > 0.8
    assert found.embed(scored()).shape == (len(scored()), 16)
    folder = found.save(tmp_path / "x")
    with pytest.raises(InputError, match="factory"):
        Estimator.load(folder)
    again = Estimator.load(folder, factory=MyNet)
    assert np.array_equal(again.predict_proba(scored()), found.predict_proba(scored()))


def test_absent_modality_at_prediction(model: Estimator) -> None:
    whole, less = model.predict_proba(scored()), model.predict_proba(scored(), absent="eda")
    assert np.isfinite(less).all()
    assert np.abs(whole - less).max() > 1e-3
    with pytest.raises(InputError, match="modality 'eeg'"):
        model.predict_proba(scored(), absent="eeg")


def test_attention_is_given_by_name(model: Estimator) -> None:
    found = model.outputs(scored().take([0, 5]), ("attention:time",))["attention:time"]
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)
    with pytest.raises(InputError, match="Did you mean 'time'"):
        model.outputs(scored().take([0]), ("attention:tim",))


def test_members_are_averaged() -> None:
    two = Estimator(EstimatorConfig(train=SHORT, members=2)).fit(scored())
    first, second = (replace_networks(two, [n]).predict_proba(scored()) for n in two.networks)
    np.testing.assert_allclose(two.predict_proba(scored()), (first + second) / 2)
    assert np.abs(first - second).max() > 1e-4


def replace_networks(model: Estimator, networks: list[torch.nn.Module]) -> Estimator:
    other = Estimator(model.config)
    other.__dict__.update({**model.__dict__, "networks": networks})
    return other


def test_use_before_fit_is_a_clear_error(tmp_path: Path) -> None:
    for use in (
        lambda e: e.predict(scored()),
        lambda e: e.predict_proba(scored()),
        lambda e: e.embed(scored()),
        lambda e: e.save(tmp_path / "x"),
    ):
        with pytest.raises(InputError, match="Call fit first"):
            use(Estimator())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scope": "minute"}, "scope 'minute'"),
        ({"members": 0}, "members 0"),
        ({"device": "gpu"}, "device 'gpu'.*cpu"),
        ({"device": "cuda:9x"}, "device"),
    ],
)
def test_impossible_configurations_are_refused(changes: dict[str, object], says: str) -> None:
    if torch.cuda.is_available() and "cuda" in says:
        pytest.skip("a machine with cuda")
    with pytest.raises(InputError, match=says):
        EstimatorConfig(**changes)  # type: ignore[arg-type]


def test_unknown_model_size_option_and_normaliser() -> None:
    for changes, says in (
        ({"model": "liqid"}, "Did you mean 'liquid'"),
        ({"size": "smal"}, "Did you mean 'small'"),
        ({"options": {"dropuot": 0.1}}, "option of model 'liquid' 'dropuot'.*Did you mean 'dropout'"),
        ({"normaliser": "openin"}, "Did you mean 'opening'"),
    ):
        with pytest.raises(InputError, match=says):
            Estimator(EstimatorConfig(train=SHORT, **changes)).fit(scored())  # type: ignore[arg-type]


def test_a_model_that_needs_eeg_says_so() -> None:
    with pytest.raises(InputError, match="without eeg"):
        Estimator(EstimatorConfig(model="eegnet", train=SHORT)).fit(scored())


# -- keeping -----------------------------------------------------------------------------------------------------------


def test_save_and_load_give_the_same_bits(model: Estimator, saved: Path) -> None:
    assert sorted(p.name for p in saved.iterdir()) == ["estimator.json", "training.json", "weights-0.safetensors"]
    again = Estimator.load(saved)
    assert again.config == replace(model.config, options={})
    assert (again.schema, again.recipe) == (model.schema, model.recipe)
    np.testing.assert_array_equal(again.predict_proba(windows()), model.predict_proba(windows()))
    new = cut([recording("ann", seed=5), recording("eve")], RECIPE, "state")
    np.testing.assert_array_equal(again.predict_proba(new), model.predict_proba(new))


@pytest.mark.parametrize("normaliser", ["population", "person_trials", "running", "whole_session"])
def test_every_normaliser_and_target_survives(normaliser: str, tmp_path: Path) -> None:
    base = scored(windows("valence"))
    found = Estimator(
        EstimatorConfig(train=TrainConfig(epochs=1, residual="always"), normaliser=normaliser, members=2)
    ).fit(base)
    again = Estimator.load(found.save(tmp_path / "m"))
    assert len(again.networks) == 2
    np.testing.assert_array_equal(again.predict(windows("valence")), found.predict(windows("valence")))


def test_a_model_of_another_schema_names_both_sides(model: Estimator) -> None:
    less = cut(cohort(), RECIPE, "state", modalities=["eda", "hr"])
    with pytest.raises(SchemaError, match=r"the model differs from the data: bvp: 1 channels .* against absent"):
        model.predict_proba(less)
    with pytest.raises(SchemaError, match=r"traits: .* against"):
        model.predict_proba(cut(cohort(), RECIPE, "state", traits=False))
    with pytest.raises(SchemaError, match="target: 'state' against 'valence'"):
        model.predict(windows("valence"))


def damaged(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("file", ["estimator.json", "weights-0.safetensors"])
def test_truncated_file_is_one_clear_error(saved: Path, tmp_path: Path, file: str, share: float) -> None:
    folder = damaged(saved, tmp_path)
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: int(share * len(content))])
    with pytest.raises(InsulaError, match=file):
        Estimator.load(folder)


@pytest.mark.parametrize("place", [0.02, 0.5, 0.999])
def test_changed_weights_are_noticed(saved: Path, tmp_path: Path, place: float) -> None:
    folder = damaged(saved, tmp_path)
    file = folder / "weights-0.safetensors"
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"weights-0.safetensors is missing or not the one"):
        Estimator.load(folder)


def test_changed_description_is_noticed(saved: Path, tmp_path: Path) -> None:
    folder = damaged(saved, tmp_path)
    text = (folder / "estimator.json").read_text()
    for change in (
        text.replace('"calm"', '"calmer"', 1),
        text.replace('"format": 1', '"format": 7'),
        "[]",
        "{}",
        "\xff",
        json.dumps({"format": 1}),
    ):
        (folder / "estimator.json").write_text(change, encoding="latin-1")
        with pytest.raises(InsulaError, match=r"estimator\.json"):
            Estimator.load(folder)
    (folder / "estimator.json").unlink()
    with pytest.raises(DataError, match="no model in"):
        Estimator.load(folder)
    with pytest.raises(DataError, match="no model in"):
        Estimator.load(tmp_path / "nowhere")


def test_a_model_of_a_later_insula_is_one_clear_error(saved: Path, tmp_path: Path) -> None:
    from insula.learning.saving import digest

    folder = damaged(saved, tmp_path)
    data = json.loads((folder / "estimator.json").read_text())
    data.pop("sha256")
    data["config"]["train"]["new_key"] = 1
    (folder / "estimator.json").write_text(json.dumps({**data, "sha256": digest(data)}))
    with pytest.raises(DataError, match=r"new_key.*Make it anew"):
        Estimator.load(folder)


def test_saving_over_a_model_is_whole_or_not_at_all(
    model: Estimator, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = damaged(saved, tmp_path)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no space left")

    for where in ("safetensors.torch.save", "insula.files.os.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(where, broken)
            with pytest.raises(RuntimeError, match="no space"):
                model.save(folder)
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
        assert [p.name for p in tmp_path.iterdir()] == ["copy"]
    model.save(folder)
    assert not (folder / "training.json").exists()  # nothing of the old model stays
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


def test_saving_never_replaces_what_is_no_model(model: Estimator, tmp_path: Path) -> None:
    mine = tmp_path / "documents"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        model.save(mine)
    with pytest.raises(InputError, match="is a file"):
        model.save(mine / "thesis.txt")
    with pytest.raises(InputError, match="is a file"):
        model.save(mine / "thesis.txt" / "model")
    assert [p.name for p in mine.iterdir()] == ["thesis.txt"]
    assert (mine / "thesis.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    assert (model.save(tmp_path / "empty") / "estimator.json").is_file()


def test_nothing_of_a_person_stays_in_the_model(model: Estimator) -> None:
    """Two sessions of the same names: predictions of the second do not depend on having seen the first."""
    first, second = (cut([recording("ann", seed=s)], RECIPE, "state") for s in (1, 2))
    fresh = model.predict_proba(second)
    model.predict_proba(first)
    np.testing.assert_array_equal(model.predict_proba(second), fresh)


def test_recordings_without_labels_are_predicted(model: Estimator) -> None:
    bare: list[Recording] = [replace(r, trials=tuple(replace(t, labels={}) for t in r.trials)) for r in cohort()]
    found = cut(bare, model.recipe, None, schema=model.schema)
    np.testing.assert_array_equal(model.predict_proba(found), model.predict_proba(windows()))


# -- on the simulator, with EEG ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated() -> tuple[Recording, ...]:
    return load("simulate", people=2, trials_per_emotion=2, trial_s=12.0, baseline_s=8.0, seed=3)


@pytest.mark.slow
def test_valence_of_the_simulator_is_learned(simulated: tuple[Recording, ...]) -> None:
    base = scored(cut(simulated, info("simulate").recipe, "valence"))
    found = Estimator(EstimatorConfig(train=TrainConfig(epochs=20, batch_trials=4))).fit(base)
    assert ccc(base.y, found.predict(base)) > 0.2


@pytest.mark.slow
def test_later_eeg_does_not_change_earlier_predictions(simulated: tuple[Recording, ...]) -> None:
    recipe = info("simulate").recipe
    base = cut(simulated, recipe, "emotion")
    used = Estimator(EstimatorConfig(train=TrainConfig(epochs=2))).fit(base)
    first = simulated[0]
    target = first.trials[5]
    other = replace(first, trials=(*first.trials[:5], from_second(target, 8.0), *first.trials[6:]))
    plain, changed = (cut([r], recipe, None, schema=base.schema) for r in (first, other))
    own = (plain.table["trial"] == target.trial).to_numpy()
    before = (plain.table["stop_s"] <= target.start_s + 8.0).to_numpy() & own
    a, b = used.predict_proba(plain), used.predict_proba(changed)
    assert before.sum() == 2
    np.testing.assert_allclose(a[before], b[before], atol=1e-6)
    assert np.abs(a[own & ~before] - b[own & ~before]).max() > 1e-3


@pytest.mark.slow
def test_the_readmes_own_model_runs_and_is_evaluated() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (source,) = (block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "nn.Module" in block)
    place: dict[str, Any] = {"__name__": "readme"}
    exec(source.replace("people=2", "people=1, trials_per_emotion=2, trial_s=10.0"), place)
    assert place["mine"].predict(place["windows"]).shape == (len(place["windows"]),)
    plan = experiment_from({"data": {"name": "simulate"}, "compare": {"rows": ["majority"]}, "train": {"epochs": 5}})
    result = evaluate(place["windows"], plan, factory=place["Mine"]).result
    assert [s.name for s in result.systems] == ["Mine", "majority"]
