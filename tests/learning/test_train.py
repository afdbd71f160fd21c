"""The training loop: the same bits from the same seed, the best epoch by validation, weights of classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from own_model import MyNet
from small_cohort import scored
from torch import Tensor, nn

from insula.errors import InputError
from insula.learning import fitting
from insula.learning.batches import LabelledBatch, Prepared, input_spec
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.feed import Feed, run
from insula.learning.train import History, fit
from insula.learning.train_config import TrainConfig
from insula.types import Batch, ModelOutput

CPU = torch.device("cpu")
FAST = TrainConfig(epochs=2, batch_trials=4, residual="always")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    estimator = Estimator(EstimatorConfig(train=FAST)).initialise(scored())
    return estimator.prepare(scored())


def trained(seed: int, **changes: object) -> dict[str, Tensor]:
    config = EstimatorConfig(train=FAST, seed=seed)
    return Estimator(replace(config, **changes)).fit(scored()).networks[0].state_dict()  # type: ignore[arg-type]


@pytest.mark.parametrize("scope", ["trial", "session", "window"])
def test_same_seed_same_bits_other_seed_others(scope: str) -> None:
    first, again, other = (trained(seed, scope=scope) for seed in (3, 3, 4))
    assert first.keys() == again.keys()
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not all(torch.equal(first[k], other[k]) for k in first)


def test_a_training_goes_on_in_longer_rounds_until_its_loss_no_longer_falls() -> None:
    of = TrainConfig(epochs=2, batch_trials=1, residual="always")
    heard: list[tuple[int, int]] = []

    def history(**more: object) -> History:
        estimator = Estimator(EstimatorConfig(train=replace(of, **more)), MyNet)  # type: ignore[arg-type]
        return estimator.fit(scored(), progress=lambda done, all_: heard.append((done, all_))).histories[0]

    one, three = history(), history(rounds=3)
    assert not one.converged
    assert three.train[:2] == one.train
    assert [len(one.train), len(three.train)] == [2, 2 + 4 + 8]
    assert three.steps == 7 * one.steps
    assert heard[-1][0] == heard[-1][1]
    done = history(epochs=40, rounds=2)
    assert done.converged
    assert len(done.train) == 40, "what has converged is not trained on"


def test_of_all_rounds_the_weights_with_the_lowest_held_out_loss_stay() -> None:
    """A round begins at the full rate anew: it may well end worse than the one before."""
    config = TrainConfig(epochs=2, rounds=3)
    network = nn.Linear(1, 1, bias=False)
    losses = iter([[3.0, 1.0], [4.0, 2.0, 1.5, 1.2], [0.9] + [2.0] * 7])

    def trained(of: TrainConfig) -> History:
        own = next(losses)
        assert of.epochs == len(own)
        with torch.no_grad():
            network.weight.fill_(min(own))
        return History(own, own, int(np.argmin(own)), steps=len(own))

    assert fitting._rounds(replace(config, rounds=2), network, trained).best == 1
    assert network.weight.item() == 1.0
    losses = iter([[3.0, 1.0], [4.0, 2.0, 1.5, 1.2], [0.9] + [2.0] * 7])
    whole = fitting._rounds(config, network, trained)
    assert network.weight.item() == pytest.approx(0.9)
    assert whole.validation[whole.best] == 0.9


def test_progress_never_goes_back_and_knows_all_rounds() -> None:
    heard: list[tuple[int, int]] = []
    of = TrainConfig(epochs=1, rounds=3, unlabelled_epochs=2, residual="always")
    Estimator(EstimatorConfig(model="tcn", train=of, members=2)).fit(
        scored(), progress=lambda done, whole: heard.append((done, whole))
    )
    assert {whole for _, whole in heard} == {2 * (2 + 1 + 2 + 4)}
    assert [done for done, _ in heard] == list(range(1, 19))


def test_fitting_twice_is_fitting_anew() -> None:
    estimator = Estimator(EstimatorConfig(train=FAST))
    first = estimator.fit(scored()).networks[0].state_dict()
    second = estimator.fit(scored()).networks[0].state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)


class Counter(nn.Module):
    """Says how often it was trained: its only weight gains about the learning rate a step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("steps", torch.zeros(1))

    def forward(self, batch: Batch, state: object = None) -> ModelOutput:
        if self.training:
            self.steps += 1
        logits = self.weight.expand(len(batch.traits), 2)
        return ModelOutput(logits, logits, state)

    def loss(self, output: ModelOutput, target: Tensor) -> Tensor:
        assert target.dtype == torch.int64
        if self.training:
            return -output.logits.mean()
        # held-out loss by epoch of 5 steps: 4, 3, 2, then worse and worse
        epoch = int(self.steps) // 5
        return output.logits.mean() * 0 + [4.0, 3.0, 2.0, 5.0, 6.0, 7.0, 8.0, 9.0][epoch - 1]


def test_early_stopping_keeps_the_best_epochs_weights(prepared: Prepared) -> None:
    training, validation = Feed(prepared, "window"), Feed(prepared, "window")
    size = -(-len(training) // 80)  # five steps an epoch
    assert training.steps(size) == 5
    config = TrainConfig(epochs=8, batch_trials=size, patience=2, average=0.0, modality_dropout=0.0)
    model = Counter()
    history = fit(model, training, validation, config, classes=2, seed=0, device=CPU)
    assert history.best == 2
    assert history.validation == pytest.approx([4.0, 3.0, 2.0, 5.0, 6.0])  # two worse epochs end it
    assert int(model.steps) == 15  # the weights after the third epoch, not the last ones
    assert not model.training


def test_without_validation_the_last_weights_stay(prepared: Prepared) -> None:
    training = Feed(prepared, "window")
    config = TrainConfig(epochs=3, batch_trials=-(-len(training) // 80), average=0.0)
    model = Counter()
    history = fit(model, training, None, config, classes=2, seed=0, device=CPU)
    assert (history.best, len(history.train), history.validation) == (2, 3, [])
    assert int(model.steps) == 15


def test_average_of_the_weights_lags_behind_them(prepared: Prepared) -> None:
    training = Feed(prepared, "window")
    plain, averaged = Counter(), Counter()
    for model, average in ((plain, 0.0), (averaged, 0.9)):
        config = TrainConfig(epochs=3, batch_trials=-(-len(training) // 80), average=average)
        fit(model, training, None, config, classes=2, seed=0, device=CPU)
    assert 0 < averaged.weight.item() < plain.weight.item()


def test_validation_decides_without_the_test_windows() -> None:
    """Held-out units are inner ones: labels of windows that are not given cannot change the weights."""
    base = scored()
    train_rows, test_rows = np.arange(48), np.arange(48, len(base))
    config = EstimatorConfig(train=replace(FAST, validation_groups=2))
    y = base.y.copy()
    y[test_rows] = 1 - y[test_rows]
    first, second = (Estimator(config).fit(w.take(train_rows)) for w in (base, base.with_y(y)))
    assert first.histories[0].validation == second.histories[0].validation
    assert len(first.histories[0].validation) == 2
    a, b = (e.networks[0].state_dict() for e in (first, second))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_rare_classes_weigh_more() -> None:
    """A constant answer, trained on 1 to 3 windows, stays even: both classes pull alike."""

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.tensor([0.4, -0.4]))

        def forward(self, batch: Batch, state: object = None) -> ModelOutput:
            logits = self.bias.expand(len(batch.traits), 2)
            return ModelOutput(logits, logits, state)

    base = scored()
    calm, tense = (np.flatnonzero(base.y == k) for k in (0, 1))
    uneven = base.take(np.concatenate([calm[:10], tense[:30]]))
    estimator = Estimator(EstimatorConfig(), factory=lambda _: Constant()).initialise(uneven)
    model = estimator.networks[0]
    config = TrainConfig(epochs=60, learning_rate=0.1, average=0.0, weight_decay=0.0)
    fit(model, Feed(estimator.prepare(uneven), "window"), None, config, classes=2, seed=0, device=CPU)
    assert abs((model.bias[0] - model.bias[1]).item()) < 0.15  # unweighted it would be -log 3


@pytest.mark.slow
def test_class_weights_hold_in_batches_of_one_class() -> None:
    """Batches of one window see one class each; weights that the batch divides away again would leave -log 3."""
    base = scored()
    calm, tense = (np.flatnonzero(base.y == k) for k in (0, 1))
    uneven = base.take(np.concatenate([calm[:10], tense[:30]]))
    estimator = Estimator(EstimatorConfig(), factory=lambda _: Even()).initialise(uneven)
    prepared = estimator.prepare(uneven)
    feed = OneByOne(prepared, "window")
    config = TrainConfig(epochs=60, learning_rate=0.02, average=0.9, weight_decay=0.0, gradient_clip=1e9)
    model = estimator.networks[0]
    fit(model, feed, None, config, classes=2, seed=0, device=CPU)
    assert abs((model.bias[0] - model.bias[1]).item()) < 0.25


class Even(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, batch: Batch, state: object = None) -> ModelOutput:
        logits = self.bias.expand(len(batch.traits), 2)
        return ModelOutput(logits, logits, state)


class OneByOne(Feed):
    def steps(self, size: int) -> int:  # noqa: ARG002  always one
        return len(self)

    def each(self, size: int, rng: np.random.Generator | None = None) -> Iterator[LabelledBatch]:  # noqa: ARG002
        rows = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        return self._cut(np.flatnonzero(self.prepared.asked >= 0)[rows], 1)


def test_a_models_own_penalty_is_added(prepared: Prepared) -> None:
    class Pulled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, batch: Batch, state: object = None) -> ModelOutput:
            logits = batch.traits.new_zeros(len(batch.traits), 2)
            return ModelOutput(logits, logits, state, extras={"penalty": self.weight.square().expand(len(logits))})

    model = Pulled()
    config = TrainConfig(epochs=20, average=0.0, learning_rate=0.05)
    fit(model, Feed(prepared, "window"), None, config, classes=2, seed=0, device=CPU)
    assert model.weight.item() < 0.5


def test_diverged_training_is_one_clear_error(prepared: Prepared) -> None:
    model = MyNet(input_spec(scored()))
    with torch.no_grad():
        model.answer.bias.fill_(float("nan"))
    with pytest.raises(InputError, match=r"loss nan in epoch 1.*Lower learning_rate"):
        fit(model, Feed(prepared, "window"), None, FAST, classes=2, seed=0, device=CPU)


def test_progress_and_answers_of_every_scope(prepared: Prepared) -> None:
    said: list[tuple[int, int]] = []
    estimator = Estimator(EstimatorConfig(train=FAST, members=2))
    estimator.fit(scored(), progress=lambda done, total: said.append((done, total)))
    assert said == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for scope in ("trial", "session", "window"):
        part = next(Feed(prepared, scope).each(2))
        logits = run(estimator.networks[0], part, scope).logits
        assert logits.shape == (*part.weight.shape, 2)


def test_session_items_start_late_at_random_but_keep_a_label(prepared: Prepared) -> None:
    feed = Feed(prepared, "session")
    rng = np.random.default_rng(0)
    lengths = {part.weight.shape[1] for _ in range(10) for part in feed.each(1, rng)}
    assert len(lengths) > 2
    assert all((p.weight.sum(1) > 0).all() for _ in range(10) for p in feed.each(1, rng))
    assert {p.weight.shape[1] for p in feed.each(1)} == {30}  # in use, whole sessions: 6 trials of 5 hops


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"batch_trials": 0}, {"average": 1.0},
        {"patience": 0}, {"validation_fraction": 1.5}, {"modality_dropout": -0.1}, {"label_smoothing": 2.0},
        {"gradient_clip": 0.0}, {"weight_decay": -1.0}, {"rounds": 0}, {"rounds": 11}, {"unlabelled_epochs": -1},
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(changes))):
        TrainConfig(**changes)  # type: ignore[arg-type]
