"""Learning without labels: hidden parts are told, weights are begun from, and labels are never read."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import Terminal
from mixed_cohort import PEOPLE, RECIPE, recording
from small_cohort import cohort, write_manifest
from small_cohort import recording as small_recording
from small_cohort import windows as small
from torch import Tensor, nn

import insula
from insula.errors import InputError
from insula.evaluation.results import Result
from insula.learning import fitting
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.feed import Feed
from insula.learning.fitting import _readout
from insula.learning.pretraining import (
    PretrainConfig,
    _inside_windows,
    begin_from,
    pretrain,
    unlabelled_first,
    unlabelled_of,
)
from insula.learning.readout import fit_readout
from insula.learning.start import readout_rows
from insula.learning.train import History
from insula.learning.train_config import TrainConfig
from insula.protocols.protocols import PROTOCOLS
from insula.types import Batch, InputSpec, ModelOutput, Recording
from insula.windows.cutting import cut
from insula.windows.table import Windows

QUICK = PretrainConfig(epochs=2)


def unlabelled():  # type: ignore[no-untyped-def]
    return cut([recording(name) for name in PEOPLE], RECIPE, None)


def waves(person: str) -> Recording:
    """One wave of 2 Hz on every electrode, of another size and phase in each trial: what is hidden can be known."""
    rng = np.random.default_rng([*map(ord, person)])
    plain = recording(person, 6)
    trials = []
    for t in plain.trials:
        one = t.signals["eeg"]
        at = np.arange(one.n_samples) / one.rate_hz
        wave = 10 * np.sin(4 * np.pi * at + rng.uniform(0, 6)) + rng.standard_normal(one.values.shape)
        trials.append(replace(t, signals={"eeg": replace(one, values=wave.astype(np.float32))}))
    return replace(plain, trials=tuple(trials))


@pytest.mark.slow
def test_hidden_parts_of_other_trials_are_told() -> None:
    config = EstimatorConfig(model="mood_reader", normaliser="population")
    of = cut([waves(name) for name in PEOPLE], RECIPE, None)
    done = pretrain(of, config, PretrainConfig(epochs=25, learning_rate=3e-3))
    assert done.losses[-1] < 0.5 * done.losses[0]
    assert done.told > 0.4


@pytest.mark.parametrize("model", ["tcn", "mood_reader"])
def test_labels_are_not_read(model: str) -> None:
    of = cut([recording("ann", 3)], RECIPE, None) if model == "mood_reader" else cut(cohort(), small().recipe, None)
    labelled = cut([recording("ann", 3)], RECIPE, "state") if model == "mood_reader" else small()
    config = EstimatorConfig(model=model, normaliser="population")
    a = pretrain(of, config, QUICK)
    turned = labelled.with_y(np.zeros(len(labelled), np.int64))
    b, c = pretrain(labelled, config, QUICK), pretrain(turned, config, QUICK)
    assert np.isfinite(a.losses).all()
    assert b.losses == c.losses


def test_a_network_begins_from_the_weights_of_another_montage(tmp_path: Path) -> None:
    done = pretrain(unlabelled(), EstimatorConfig(model="mood_reader", normaliser="population"), QUICK)
    folder = done.estimator.save(tmp_path / "weights")
    fewer = [replace(r, trials=tuple(_two(t) for t in r.trials)) for r in (recording("ann"),)]
    of = cut(fewer, RECIPE, "state").scored
    config = EstimatorConfig(model="mood_reader", normaliser="population", start=str(folder))
    begun = Estimator(config).initialise(of).networks[0].state_dict()
    theirs = done.estimator.networks[0].state_dict()
    for name in ("enter.weight", "place.weight", "blocks.0.spatial.qkv.weight"):
        torch.testing.assert_close(begun[name], theirs[name])
    fresh = Estimator(replace(config, start=None)).initialise(of).networks[0].state_dict()
    torch.testing.assert_close(begun["head.weight"], fresh["head.weight"])
    with pytest.raises(InputError, match="holds mood_reader; expected eegnet"):
        begin_from(insula.models.build("eegnet", done.estimator.spec), folder, "eegnet")
    with pytest.raises(InputError, match="hidden 1"):
        PretrainConfig(hidden=1.0)


def test_only_the_people_that_train_and_their_rest_are_learned_from_without_labels() -> None:
    everything = small().everything()
    training = everything.scored.take((everything.scored.table["subject"] != "ann").to_numpy())
    of = unlabelled_of(training, TrainConfig())
    rest = (of.table["role"] != "scored").to_numpy()
    assert set(of.table["subject"]) == set(training.table["subject"])
    assert rest.any()
    assert not rest.all()
    assert len(of) == len(training) + rest.sum()
    assert not of.y.any()


def test_rest_after_the_last_window_that_trains_is_not_known_yet() -> None:
    """A person who labels the first trials of a session has not lived through the rest of it."""
    base = recording("ann", 4)
    later = replace(base.trials[0], trial="later", start_s=200.0, stop_s=200.0 + base.trials[0].stop_s, role="baseline")
    of = cut([replace(base, trials=(*base.trials, _moved(later)))], RECIPE, "state")
    first = of.scored.take((of.scored.table["trial_index"] < 3).to_numpy())
    known = unlabelled_of(first, TrainConfig()).table
    assert known["stop_s"].max() == first.table["stop_s"].max()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_that_is_tested_is_learned_from_without_labels(protocol: str) -> None:
    of = two_days()
    for fold in insula.split(protocol, of):
        rows = unlabelled_of(fold.train, TrainConfig()).rows
        assert not set(rows.tolist()).intersection(fold.test.rows.tolist())
        scored = rows[(of.table["role"].to_numpy()[rows]) == "scored"]
        assert set(scored.tolist()) == set(fold.train.rows.tolist())


@pytest.mark.parametrize("protocol", ["random_windows", "within_trial"])
def test_what_shares_a_trial_with_what_trains_is_not_told_either(protocol: str) -> None:
    """State passes through the whole trial; what is rebuilt is inside of windows that train alone."""
    fold = insula.split(protocol, small())[0]
    model = Estimator(EstimatorConfig(model="liquid")).initialise(fold.train)
    feed = Feed(model.prepare(unlabelled_of(fold.train, TrainConfig())), "trial")
    some = False
    for part in feed.each(1):
        told, ends = _inside_windows(part.row >= 0, 2)[0], (part.row[0] >= 0).tolist()
        assert told.tolist() == [own or after for own, after in zip(ends, [*ends[1:], False], strict=True)]
        some |= not told.all()
    assert some


def test_a_fit_learns_without_labels_first_and_leaves_the_bank_of_features_alone() -> None:
    config = EstimatorConfig(model="tcn", normaliser="population", train=TrainConfig(epochs=1, unlabelled_epochs=2))
    heard: list[tuple[int, int]] = []
    first = Estimator(config).fit(small(), progress=lambda done, of: heard.append((done, of)))
    plain = Estimator(replace(config, train=TrainConfig(epochs=1))).fit(small())
    assert not np.allclose(first.embed(small()), plain.embed(small()))
    assert heard[-1][0] == heard[-1][1]
    flagship = Estimator(EstimatorConfig(normaliser="population", train=config.train)).initialise(small())
    network = flagship.networks[0]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    told = unlabelled_first(flagship, network, small(), 0)
    assert len(told.train) == 2
    assert first.histories[0].unlabelled_steps > 0
    assert len(first.histories[0].unlabelled) == 2
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert not [name for name in changed if name.startswith(("context", "shortcut"))]


def test_epochs_without_labels_are_asked_for_by_number() -> None:
    with pytest.raises(InputError, match="unlabelled_epochs -1"):
        TrainConfig(unlabelled_epochs=-1)


class Read(nn.Module):
    """A readout on what it learns itself, as an encoder that is fine-tuned has one."""

    residual = "always"
    centred = True

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.encoder = nn.Linear(spec.signals["eda"][0], 3)
        self.head = nn.Linear(3, spec.outputs)
        self.register_buffer("gate", torch.ones(()))

    def readout_columns(self, batch: Batch) -> Tensor:
        return self.encoder(batch.signals["eda"].mean(-1)).unsqueeze(1)  # (B, 1, 3)

    def start_readout(self, weight: Tensor, bias: Tensor) -> None:
        with torch.no_grad():
            self.head.weight.copy_(weight.T)
            self.head.bias.copy_(bias)

    def forward(self, batch: Batch, state: object = None) -> ModelOutput:
        embedding = self.readout_columns(batch)[:, 0]
        return ModelOutput(self.head(embedding), embedding, state)


def test_a_readout_is_fitted_to_what_was_learned_without_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    train = TrainConfig(epochs=1, unlabelled_epochs=3)
    model = Estimator(EstimatorConfig(normaliser="population", train=train), Read)
    begun: list[tuple[Tensor, Tensor]] = []

    def fit(network: Read, feed: Feed, *_: object, **__: object) -> History:
        rows = readout_rows(network, feed, torch.device("cpu"))
        assert rows is not None
        found = _readout(network, rows, lambda own: fit_readout(own, (), 2))
        begun.append((network.head.weight.detach().clone(), torch.from_numpy(found.weight.T)))
        return History([1.0], steps=1)

    monkeypatch.setattr(fitting, "fit", fit)
    model.fit(small())
    torch.testing.assert_close(*begun[0])


def test_a_loss_without_labels_that_is_none_ends_in_an_error() -> None:
    model = Estimator(EstimatorConfig(model="tcn", normaliser="population", train=TrainConfig(unlabelled_epochs=1)))
    network = model.initialise(small()).networks[0]
    with torch.no_grad():
        next(iter(network.parameters())).fill_(float("nan"))
    with pytest.raises(InputError, match="loss nan in epoch 1 without labels"):
        unlabelled_first(model, network, small(), 0)


@cache
def two_days() -> Windows:
    days = [small_recording(n, trials=4, trial_s=24.0, session=s) for n in "abcd" for s in ("s1", "s2")]
    return cut(days, small().recipe, "state")


def _moved(trial):  # type: ignore[no-untyped-def]
    signals = {m: replace(s, start_s=trial.start_s) for m, s in trial.signals.items()}
    return replace(trial, signals=signals, stop_s=trial.start_s + next(iter(signals.values())).duration_s)


def _two(trial):  # type: ignore[no-untyped-def]
    one = trial.signals["eeg"]
    return replace(trial, signals={"eeg": replace(one, values=one.values[:2], channels=one.channels[:2])})


@pytest.mark.slow
def test_the_commands_refuse_people_by_name_and_mark_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_manifest(tmp_path, cohort())
    say = Terminal(monkeypatch, capsys)
    base = ["--data", "manifest", "--root", root, "--window", "4", "--hop", "2", "--set", "recipe.guard_s=2.0"]
    done = say("pretrain", *base, "--model", "tcn", "--epochs", "2", "--subjects", "ann,bob", "--out", tmp_path / "pre")
    assert done.code == 0, done.err
    assert "2 people, no label read" in done.out
    evaluation = ["evaluate", *base, "--target", "state", "--model", "tcn", "--protocol", "leave_one_subject_out"]
    evaluation += ["--epochs", "1", "--quick", "--jobs", "1", "--from", tmp_path / "pre", "--out", tmp_path / "run"]
    refused = say(*evaluation)
    assert refused.code == 2
    assert "has seen ann, bob, who are tested" in refused.err
    more = ["--set", "data.options.people=2", "--modalities", "eda,bvp,hr"]
    more += ["--window", "4", "--hop", "2", "--model", "tcn", "--epochs", "1"]
    alone = say("pretrain", "--data", "simulate", *more, "--out", tmp_path / "other")
    assert alone.code == 0, alone.err
    assert json.loads((tmp_path / "other" / "training.json").read_text())["told"] is not None
    evaluation[evaluation.index(tmp_path / "pre")] = tmp_path / "other"
    marked = say(*evaluation)
    assert marked.code == 0, marked.err
    first, second = Result.load(tmp_path / "run").systems[:2]
    assert first.title.endswith("begun from weights pre-trained on simulate")
    assert any("has seen 2 people of simulate" in note for note in first.notes)
    assert second.name == "tcn_alone"
