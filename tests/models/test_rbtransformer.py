"""RBTransformer: the published size, its features against a second way to compute them, and the attention matrix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from model_inputs import absent, make_batch, make_spec
from scipy.signal import butter, lfilter

from insula.errors import InputError
from insula.models.blocks.electrodes import electrode_matrix, shuffle_electrodes
from insula.models.rbtransformer import BandEntropy, RBTransformer
from insula.types import InputSpec


def eeg_spec(electrodes: int, outputs: int, rate_hz: float = 128.0) -> InputSpec:
    return make_spec("eeg", outputs=outputs, traits=0, shapes={"eeg": (electrodes, rate_hz)})


@pytest.mark.parametrize(
    ("electrodes", "classes", "parameters"), [(14, 2, 662_530), (32, 2, 664_834), (62, 3, 668_803)]
)
def test_parameters_are_those_of_the_released_model(electrodes: int, classes: int, parameters: int) -> None:
    model = RBTransformer(eeg_spec(electrodes, classes))
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert all(p.requires_grad for p in model.parameters())


def test_band_entropy_equals_the_released_order_of_steps() -> None:
    # z-score of the whole window, lfilter of each electrode and band from rest, 0.5 log2(2 pi e variance)
    rng = np.random.default_rng(0)
    window = rng.normal(3.0, 20.0, (5, 512)) + 10 * np.sin(2 * np.pi * 10 * np.arange(512) / 128)
    scaled = (window - window.mean()) / window.std()
    expected = np.empty((5, 4))
    for e in range(5):
        for b, (low, high) in enumerate([(4, 8), (8, 14), (14, 31), (31, 49)]):
            numerator, denominator = butter(5, [low / 64, high / 64], btype="band")
            filtered = lfilter(numerator, denominator, scaled[e])
            expected[e, b] = 0.5 * np.log2(2 * np.pi * np.e * filtered.var())
    module = BandEntropy(128.0, 512)
    values = torch.tensor(window, dtype=torch.float32)[None]
    found = module(values, torch.ones(1, 512, dtype=torch.bool))
    np.testing.assert_allclose(found[0].numpy(), expected, atol=2e-4)
    assert list(module.parameters()) == []
    assert module.state_dict() == {}


def test_band_entropy_does_not_depend_on_scale_and_offset() -> None:
    module, values = BandEntropy(128.0, 256), torch.randn(2, 3, 256, generator=torch.Generator().manual_seed(0))
    observed = torch.ones(2, 256, dtype=torch.bool)
    torch.testing.assert_close(module(values * 40 + 5, observed), module(values, observed), atol=1e-4, rtol=1e-4)


def test_flat_window_is_floored_not_infinite() -> None:
    found = BandEntropy(128.0, 256)(torch.full((1, 3, 256), 4.0), torch.ones(1, 256, dtype=torch.bool))
    # 0.5 log2(2 pi e 1e-8) = 0.5 (4.0943 - 26.5754) = -11.2405
    torch.testing.assert_close(found, torch.full((1, 3, 4), -11.2405), atol=1e-3, rtol=0)


def test_unobserved_samples_do_not_count() -> None:
    module = BandEntropy(128.0, 256)
    values = torch.randn(1, 3, 256, generator=torch.Generator().manual_seed(0))
    observed = torch.ones(1, 256, dtype=torch.bool)
    observed[:, 200:] = False
    spoiled = values.clone()
    spoiled[..., 200:] = torch.nan
    torch.testing.assert_close(module(spoiled, observed), module(values, observed))


def test_slow_eeg_is_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match="above 98 Hz"):
        RBTransformer(eeg_spec(14, 2, rate_hz=64.0))
    with pytest.raises(InputError, match="eeg"):
        RBTransformer(make_spec("eda"))


def test_longer_windows_than_built_for_are_refused() -> None:
    model = RBTransformer(eeg_spec(4, 2))
    with pytest.raises(InputError, match="512"):
        model(make_batch(replace(eeg_spec(4, 2), window_s=6.0), 1))


def test_attention_axes_and_rows_sum_to_one() -> None:
    spec = eeg_spec(5, 2)
    attention = RBTransformer(spec).eval()(make_batch(spec, 3)).attention["electrode"]
    assert attention.shape == (3, 4, 6, 5, 5)
    torch.testing.assert_close(attention.sum(-1), torch.ones(3, 4, 6, 5))


def test_electrode_matrix_is_the_mean_over_present_windows() -> None:
    spec = eeg_spec(5, 2)
    torch.manual_seed(0)
    model, first, second = RBTransformer(spec), make_batch(spec, 3), make_batch(spec, 2, seed=1)
    model.train()
    gone = absent(second, "eeg", 0.0)
    matrix = electrode_matrix(model, [first, gone])
    assert model.training
    expected = model.eval()(first).attention["electrode"].numpy().mean((0, 1, 2))
    np.testing.assert_allclose(matrix, expected, atol=1e-6)
    np.testing.assert_allclose(matrix.sum(1), 1.0, atol=1e-6)
    with pytest.raises(InputError, match="no windows"):
        electrode_matrix(model, [gone])


def test_shuffled_control_moves_electrodes_within_each_window_only() -> None:
    spec = eeg_spec(6, 2)
    batch = make_batch(spec, 4)
    shuffled = shuffle_electrodes(batch, torch.Generator().manual_seed(0))
    eeg, moved = batch.signals["eeg"], shuffled.signals["eeg"]
    assert not torch.equal(eeg, moved)
    torch.testing.assert_close(eeg.sum(-1).sort(dim=1).values, moved.sum(-1).sort(dim=1).values)
    orders = [tuple((moved[i, :, None] == eeg[i, None]).all(-1).int().argmax(1).tolist()) for i in range(4)]
    assert len(set(orders)) > 1  # each window has an order of its own


def test_shuffled_matrix_forgets_what_the_electrodes_measured() -> None:
    spec = eeg_spec(4, 2)
    torch.manual_seed(0)
    model = RBTransformer(spec)
    with torch.no_grad():
        model.electrode.zero_()  # without identities only the signals tell electrodes apart
        model.project.weight.mul_(3)
    batch = make_batch(spec, 64)
    signals = batch.signals["eeg"].clone()
    signals[:, 0] = torch.sin(2 * torch.pi * 10 * torch.arange(512) / 128) * 30  # one electrode is unlike the others
    batch = replace(batch, signals={"eeg": signals})
    usual = electrode_matrix(model, [batch]).mean(0)
    control = electrode_matrix(model, [batch], shuffle_seed=0).mean(0)
    assert np.ptp(control) < 0.5 * np.ptp(usual)
    np.testing.assert_array_equal(control, electrode_matrix(model, [batch], shuffle_seed=0).mean(0))


def test_experiment_file_is_read_with_the_published_recipe() -> None:
    from insula.evaluation.experiment import apply_recipe, read_experiment
    from insula.learning.train_config import TrainConfig
    from insula.signals.recipe import Recipe

    experiment = read_experiment(Path(__file__).parents[2] / "experiments" / "rbtransformer.toml")
    recipe = apply_recipe(Recipe(), experiment.recipe).only(["eeg"])
    assert recipe.window_s * recipe.signals["eeg"].rate_hz == 512
    assert recipe.signals["eeg"].lowpass_hz is None  # gamma reaches 49 Hz
    config = TrainConfig(**experiment.train)
    assert (config.epochs, config.learning_rate, config.weight_decay) == (300, 1e-3, 1e-3)
    assert config.label_smoothing == 0.12
    assert (experiment.protocol.name, experiment.protocol.folds) == ("random_windows", 5)
    assert experiment.model.name == "rbtransformer"
