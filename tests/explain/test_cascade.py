"""The cascade: who is computed, fusion by hand, the threshold as a knob, the curve against energy."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
import torch
from command_line import Terminal
from model_inputs import make_batch, make_spec, rows_of
from small_cohort import cohort, write_manifest

from insula.data.readers.simulate import INFO, Settings, simulate
from insula.errors import InputError, KindError
from insula.explain.cascade import (
    BranchAnswers,
    CascadeCurve,
    branch_answers,
    cascade_curve,
    set_threshold,
    woken_share,
)
from insula.explain.cost import count
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.train_config import TrainConfig
from insula.models import build
from insula.models.cascade import Cascade, entropy_share, fuse, narrowed
from insula.types import Batch
from insula.windows.cutting import cut

SPEC = make_spec("eeg", "eda", "bvp", window_s=2.0, hop_s=1.0)


def made(**options: object) -> Cascade:
    torch.manual_seed(0)
    return build("udc_snn", SPEC, **options).eval()


def watched(model: Cascade) -> list[Batch]:
    """Batches that the second branch is called with."""
    calls: list[Batch] = []
    model.second.register_forward_pre_hook(lambda _, inputs: calls.append(inputs[0]))
    return calls


def test_the_second_branch_is_computed_only_for_windows_that_wake_it() -> None:
    model, batch = made(), make_batch(SPEC, 12)
    with torch.no_grad():
        entropy = model(batch).extras["entropy"]
        calls = watched(model)
        middle = float(entropy.sort().values[7])
        model.threshold = middle
        output = model(batch)
        assert len(calls) == 1
        woken = entropy > middle
        assert calls[0].signals["eeg"].shape[0] == int(woken.sum()) == 4
        torch.testing.assert_close(calls[0].signals["eeg"], batch.signals["eeg"][woken])
        assert list(calls[0].signals) == ["eeg"]
        model.threshold = 1.0
        model(batch)
        assert len(calls) == 1
    assert torch.equal(output.extras["woken"], woken)
    assert torch.isnan(output.extras["second"][~woken]).all()
    torch.testing.assert_close(output.logits[~woken], output.extras["first"][~woken])
    joint = fuse((output.extras["first"][woken], output.extras["second"][woken]), model.beta)
    torch.testing.assert_close(output.logits[woken], joint)
    assert (output.extras["spikes"]["second.enter.eeg"][~woken] == 0).all()
    assert (output.extras["spikes"]["second.enter.eeg"][woken] > 0).all()


def test_a_sleeping_branch_costs_nothing() -> None:
    model, batch = made(), rows_of(make_batch(SPEC, 3), slice(0, 1))
    model.threshold = 1.0
    asleep = count(model, batch)
    assert not any(name.startswith("second") for name in asleep.by_layer)
    model.threshold = 0.0
    awake = count(model, batch)
    second = count(model.second, narrowed(batch, model.costly))
    assert awake.macs - asleep.macs >= second.macs > 0


def test_fusion_by_hand() -> None:
    # p1 = (.8 .2): H = -(.8 ln .8 + .2 ln .2) / ln 2 = .721928; p2 = (.5 .5): H = 1. beta 2:
    # w1 = e^-1.443856 / (e^-1.443856 + e^-2) = .635586; p ~ (.8^w1 .5^w2, .2^w1 .5^w2), ratio 4^.635586 = 2.41355
    log_p = (torch.tensor([[0.8, 0.2]]).log(), torch.tensor([[0.5, 0.5]]).log())
    assert entropy_share(log_p[0]).item() == pytest.approx(0.721928, abs=1e-5)
    found = fuse(log_p, 2.0).exp()[0]
    assert found.sum().item() == pytest.approx(1.0)
    assert (found[0] / found[1]).item() == pytest.approx(4**0.635586, rel=1e-4)
    even = fuse(log_p, 0.0).exp()[0]
    assert (even[0] / even[1]).item() == pytest.approx(2.0, rel=1e-5)


@pytest.mark.parametrize("second", ["liquid", "eegnet", "rbtransformer", "tcn"])
def test_the_gate_stands_in_front_of_any_model(second: str) -> None:
    spec = make_spec("eeg", "eda", "bvp")
    torch.manual_seed(0)
    model = build("udc_snn", spec, second=second, reads="all", threshold=0.0).eval()
    batch = make_batch(spec, 3)
    output = model(batch)
    assert output.extras["woken"].all()
    expected = torch.log_softmax(model.second(batch).logits, -1)
    torch.testing.assert_close(output.extras["second"], expected)


def test_in_training_both_branches_run_and_learn() -> None:
    model = made(threshold=1.0).train()
    batch = make_batch(SPEC, 30)
    output = model(batch)
    assert output.extras["woken"].all()
    assert not torch.isnan(output.extras["second"]).any()
    answered = [(output.logits - output.extras[name]).abs().amax(1) < 1e-6 for name in ("first", "second")]
    assert all(3 <= int(a.sum()) <= 20 for a in answered)
    output.logits[:, 0].sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_cheap_modalities() -> None:
    assert made().cheap == ("eda", "bvp")
    assert made().costly == ("eeg",)
    assert made(reads="all").costly == ("eeg", "eda", "bvp")
    assert made(cheap=["bvp"]).cheap == ("bvp",)
    assert build("udc_snn", make_spec("eda", "bvp")).cheap == ("eda",)
    alone = build("udc_snn", make_spec("eeg"))
    assert alone.cheap == alone.costly == ("eeg",)
    with pytest.raises(InputError, match="ecg"):
        made(cheap=["ecg"])
    with pytest.raises(InputError, match="threshold"):
        made(threshold=1.5)
    with pytest.raises(InputError, match="reads"):
        made(reads="both")


def answers(first: list[list[float]], second: list[list[float]], y: list[int], who: str = "aabb") -> BranchAnswers:
    return BranchAnswers(np.log(first), np.log(second), np.array(y), tuple(who), 1e-6, 3e-6, 1.0)


def test_the_curve_by_hand() -> None:
    first = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.45, 0.55]]
    second = [[0.9, 0.1], [0.01, 0.99], [0.1, 0.9], [0.99, 0.01]]
    given = answers(first, second, [0, 1, 1, 0])
    curve = cascade_curve(given)
    assert [p.woken for p in curve.points] == [0.0, 0.25, 0.5, 0.75, 1.0]
    # certain first: windows 0 and 2 are right alone, 1 and 3 wrong; the least certain, 3, wakes first, then 1
    assert [p.accuracy for p in curve.points] == [0.5, 0.75, 1.0, 1.0, 1.0]
    assert [p.joules for p in curve.points] == pytest.approx([1e-6, 1.75e-6, 2.5e-6, 3.25e-6, 4e-6])
    assert curve.points[1].balanced_accuracy == pytest.approx((0.5 + 1.0) / 2)
    assert curve.second_alone.accuracy == 1.0
    assert msgspec.convert(msgspec.to_builtins(curve), CascadeCurve) == curve
    fixed = cascade_curve(given, [0.0, 1.0])
    assert [(p.threshold, p.woken) for p in fixed.points] == [(1.0, 0.0), (0.0, 1.0)]
    with pytest.raises(InputError, match="labels"):
        cascade_curve(answers(first[:2], second, [0, 1, 1, 0]))


def test_folds_join() -> None:
    one, two = (
        answers([[0.9, 0.1]], [[0.5, 0.5]], [0], "a"),
        answers([[0.2, 0.8]] * 3, [[0.5, 0.5]] * 3, [1] * 3, "bbb"),
    )
    both = one + two
    assert len(both.y) == 4
    assert both.subjects == ("a", "b", "b", "b")
    assert both.joules_second == pytest.approx(3e-6)


def test_from_recordings_to_the_curve() -> None:
    cohort = simulate(Settings(people=1, trials_per_emotion=2, trial_s=8.0, seed=3))
    windows = cut(cohort.recordings, INFO.recipe, "emotion", modalities=("eeg", "eda", "bvp"))
    windows = windows.take(windows.table["role"].to_numpy() == "scored")
    config = EstimatorConfig("udc_snn", normaliser="population", train=TrainConfig(epochs=2))
    estimator = Estimator(config).fit(windows)
    assert estimator.scope == "window"
    found = branch_answers(estimator, windows, counted=4)
    assert found.first.shape == found.second.shape == (len(windows), 7)
    np.testing.assert_allclose(np.exp(found.first).sum(1), 1, rtol=1e-5)
    assert 0 < found.joules_first < found.joules_second
    curve = cascade_curve(found)
    assert curve.points[0].woken == 0
    assert curve.points[-1].woken == 1
    assert curve.points[-1].joules == pytest.approx(found.joules_first + found.joules_second)
    # the curve says what the network itself answers at that threshold
    middle = curve.points[len(curve.points) // 2]
    estimator.networks[0].threshold = middle.threshold
    said = estimator.predict_proba(windows).argmax(1)
    assert float((said == windows.y).mean()) == pytest.approx(middle.accuracy, abs=0.03)
    set_threshold(estimator, middle.threshold)
    assert woken_share(estimator, windows) == pytest.approx(middle.woken, abs=0.03)
    assert isinstance(windows.table, pd.DataFrame)
    with pytest.raises(KindError, match="cascade"):
        set_threshold(Estimator(EstimatorConfig("eavs_tf")), 0.5)
    with pytest.raises(KindError, match="cascade"):
        branch_answers(Estimator(EstimatorConfig("eavs_tf")), windows)


def test_a_continuous_target_always_runs_both() -> None:
    spec = make_spec("eeg", "eda", outputs=1, continuous=True)
    model = build("udc_snn", spec, threshold=1.0).eval()
    calls = watched(model)
    assert model(make_batch(spec, 2)).logits.shape == (2, 1)
    assert len(calls) == 1
    assert math.isfinite(model(make_batch(spec, 1)).logits.item())


@pytest.mark.parametrize("kind", ["lif", "tc_lif", "fspike"])
def test_every_neuron_serves_both_branches(kind: str) -> None:
    model = made(first_options={"neuron": kind}, second_options={"neuron": kind}, threshold=0.0)
    assert len(model.first.blocks) == 0  # a cheap branch stays without blocks
    output = model(make_batch(SPEC, 4))
    assert torch.isfinite(output.logits).all()
    rates = output.extras["spikes"]
    assert 0 < rates["first.leave"].mean() < 1
    assert 0 < rates["second.leave"].mean() < 1
    model.train()(make_batch(SPEC, 30)).logits.square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()] == []


@pytest.mark.slow
def test_the_threshold_is_a_knob_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The flagship behind a gate, trained once and asked at two thresholds."""
    insula = Terminal(monkeypatch, capsys)
    data = ("--data", "manifest", "--root", write_manifest(tmp_path, cohort()))
    small = ("--epochs", "1", "--window", "4", "--hop", "2", "--set", "recipe.guard_s=2.0")
    gate = ("--set", 'model.options={second="liquid", reads="all"}')
    done = insula("train", *data, "--target", "state", "--model", "udc_snn", *gate, *small, "--out", tmp_path / "m")
    assert done.code == 0, done.err
    said = {}
    for threshold in ("0", "1"):
        file = tmp_path / f"{threshold}.csv"
        done = insula("predict", "--model", tmp_path / "m", *data, "--threshold", threshold, "--out", file)
        assert done.code == 0, done.err
        assert f"woken by {'100.0' if threshold == '0' else '0.0'}% of windows" in " ".join(done.out.split())
        said[threshold] = pd.read_csv(file).filter(like="p_").to_numpy()
    assert np.abs(said["0"] - said["1"]).max() > 1e-4
    predict = ("predict", "--model", tmp_path / "m", *data)
    assert "threshold 1.5; expected a share" in insula.refused(*predict, "--threshold", "1.5", says="threshold")
    done = insula("train", *data, "--target", "state", "--model", "tcn", *small, "--out", tmp_path / "other")
    insula.refused("predict", "--model", tmp_path / "other", *data, "--threshold", ".5", says="cascade")
