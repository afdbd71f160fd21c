"""EAVS-TF as a step model: chunking, encoders on EAV's layout, silence, spike counts, twin, liquid-spiking variant."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import torch
from fusion_inputs import SPEC, one_hop, random_batch
from model_inputs import make_batch, make_spec, rows_of

from insula.data.readers.simulate import INFO, Settings, simulate
from insula.errors import InputError
from insula.evaluation.experiment import experiment_from
from insula.evaluation.rows import make_plans
from insula.explain.cost import count
from insula.explain.cost.spikes import SpikeSheet, spike_rates, spike_sheet
from insula.models import build
from insula.models.blocks.spiking_attention import ModalityMixer, TimeMixer
from insula.models.blocks.spiking_encoders import FrameEncoder, Grid, LogMelEncoder, mel_filters, tokens_per_hop
from insula.models.eavs_tf import EAVSTF
from insula.protocols.protocols import split
from insula.types import Batch, InputSpec
from insula.windows.cutting import cut as cut_windows

EAV = InputSpec(
    signals={"eeg": (30, 500.0), "audio": (1, 16_000.0), "video": (24 * 24, 30.0)},
    features={"eeg": 6},
    traits=0,
    outputs=5,
    continuous=False,
    window_s=2.0,
    hop_s=1.0,
)
"""EAV's rates and channels: 30 electrodes, mono speech, grey faces row by row (smaller than the data set's)."""


def in_double(batch: Batch) -> Batch:
    """The batch in float64, where no membrane lies so near its threshold that rounding decides."""
    return replace(
        batch,
        signals={m: v.double() for m, v in batch.signals.items()},
        features={m: v.double() for m, v in batch.features.items()},
        traits=batch.traits.double(),
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": "medium"},
        {"spiking": False},
        {"readout": "liquid"},
        {"neuron": "tc_lif"},
        {"neuron": "fspike", "neuron_options": {"memory": 6}},
        {"steps": 2, "depth": 0},
    ],
    ids=str,
)
def test_hop_by_hop_equals_the_whole_pass(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = build("eavs_tf", SPEC, **options).eval().double()
    batch = in_double(random_batch(SPEC, 2, 5))
    with torch.no_grad():
        whole = model.sequence(batch)
        state = None
        for hop in range(5):
            part = model(one_hop(batch, SPEC, hop), state)
            state = part.state
            torch.testing.assert_close(part.logits, whole.logits[:, hop], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(part.embedding, whole.embedding[:, hop], atol=1e-5, rtol=1e-5)
            for name, share in part.attention.items():
                torch.testing.assert_close(share, whole.attention[name][:, hop], atol=1e-5, rtol=1e-5)
            for name, rate in part.extras["spikes"].items():
                torch.testing.assert_close(rate, whole.extras["spikes"][name][:, hop])


def test_hop_by_hop_on_eav_layout() -> None:
    torch.manual_seed(0)
    model = build("eavs_tf", EAV).eval()
    batch = random_batch_of(EAV, 2, 3)
    with torch.no_grad():
        whole = model.sequence(batch).logits
        state = None
        for hop in range(3):
            part = model(cut(batch, EAV, hop), state)
            state = part.state
            torch.testing.assert_close(part.logits, whole[:, hop], atol=1e-4, rtol=1e-4)
    assert (whole[:, 2] - model(cut(batch, EAV, 2)).logits).abs().max() > 1e-3  # state matters


def random_batch_of(spec: InputSpec, size: int, hops: int) -> Batch:
    return replace(
        random_batch(replace(spec, features={**spec.features, "bvp": 1}), size, hops),
        features={m: torch.randn(size, hops, n) for m, n in spec.features.items()},
    )


def cut(batch: Batch, spec: InputSpec, hop: int) -> Batch:
    n = {m: round(spec.hop_s * rate_hz) for m, (_, rate_hz) in spec.signals.items()}
    return replace(
        batch,
        signals={m: v[:, :, hop * n[m] : (hop + 1) * n[m]] for m, v in batch.signals.items()},
        observed={m: v[:, hop * n[m] : (hop + 1) * n[m]] for m, v in batch.observed.items()},
        elapsed_s={m: v[:, hop * n[m] : (hop + 1) * n[m]] for m, v in batch.elapsed_s.items()},
        features={m: v[:, hop] for m, v in batch.features.items()},
        present=batch.present[:, hop],
    )


def test_the_future_does_not_matter() -> None:
    torch.manual_seed(0)
    model = build("eavs_tf", SPEC).eval()
    batch = random_batch(SPEC, 2, 4)
    half = batch.signals["eeg"].shape[2] // 2
    changed = batch.signals["eeg"].clone()
    changed[:, :, half:] += 3.0
    with torch.no_grad():
        a = model.sequence(batch).logits
        b = model.sequence(replace(batch, signals={**batch.signals, "eeg": changed})).logits
    torch.testing.assert_close(a[:, :2], b[:, :2])
    assert (a[:, 2:] - b[:, 2:]).abs().max() > 1e-4


@pytest.mark.parametrize("spiking", [True, False])
def test_overfits_eav_layout(spiking: bool) -> None:
    torch.manual_seed(0)
    model = build("eavs_tf", EAV, spiking=spiking, dropout=0.0)
    batch = make_batch(EAV, 6, seed=2)
    y = torch.arange(6) % 5
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(model(batch).logits, y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if loss < 0.4:
            break
    model.eval()
    assert (model(batch).logits.argmax(1) == y).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(
    "options", [{"spiking": False}, {"readout": "liquid"}, {"neuron": "tc_lif"}, {"neuron": "fspike"}], ids=str
)
def test_variants_pass_gradients_to_every_parameter(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    spec = make_spec("eeg", "eda", "bvp")
    model = build("eavs_tf", spec, **options).eval()
    model(make_batch(spec, 4)).logits.square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_fractional_neurons_of_order_one_are_the_same_network() -> None:
    torch.manual_seed(0)
    plain = build("eavs_tf", SPEC).eval().double()
    options = {"order": 1.0, "memory": 5}
    fractional = build("eavs_tf", SPEC, neuron="fspike", neuron_options=options).eval().double()
    missing, unexpected = fractional.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert all(name.endswith("order_logit") for name in missing)
    batch = in_double(random_batch(SPEC, 3, 4))
    with torch.no_grad():
        one, other = plain.sequence(batch), fractional.sequence(batch)
    assert sum(rate.mean() for rate in one.extras["spikes"].values()) > 0.1
    torch.testing.assert_close(other.logits, one.logits, atol=1e-6, rtol=1e-6)
    for name, rate in one.extras["spikes"].items():
        torch.testing.assert_close(other.extras["spikes"][name], rate)


def test_an_evaluation_puts_the_twin_beside_it() -> None:
    cohort = simulate(Settings(people=1, trials_per_emotion=2, trial_s=8.0))
    windows = cut_windows(cohort.recordings, INFO.recipe, "emotion", modalities=("eda", "bvp"))
    first = split("within_subject", windows.table)[0]

    def rows(**changes: Any) -> list[tuple[str, str, str]]:
        tables = {"data": {"name": "simulate"}, "model": {"name": "eavs_tf"}, "compare": {"rows": []}, **changes}
        return [(p.name, p.title, p.kind) for p in make_plans(windows, experiment_from(tables), first)]

    twin = "Non-spiking twin of the spiking transformer"
    assert rows() == [
        ("eavs_tf", "Spiking transformer (EAVS-TF)", "model"), ("eavs_tf_twin", twin, "ablation"),
    ]  # fmt: skip
    assert rows(compare={"rows": [], "variants": []}) == rows()[:1]  # --quick
    assert rows(model={"name": "eavs_tf", "options": {"spiking": False}}) == [("eavs_tf", twin, "model")]
    gated = rows(model={"name": "udc_snn", "options": {"second": "liquid"}})
    assert gated == [("udc_snn", "Entropy gate before liquid", "model")]


def test_an_absent_modality_is_silent_in_every_layer_of_its_own() -> None:
    torch.manual_seed(0)
    model = build("eavs_tf", SPEC).eval()
    batch = random_batch(SPEC, 2, 3)
    gone = replace(
        batch,
        observed={**batch.observed, "eeg": torch.zeros_like(batch.observed["eeg"])},
        features={**batch.features, "eeg": torch.full_like(batch.features["eeg"], math.nan)},
    )
    with torch.no_grad():
        spikes = model.sequence(gone).extras["spikes"]
        attention = model.sequence(gone).attention["modalities"]
    assert (spikes["enter.eeg"] == 0).all()
    assert (spikes["enter.bvp"] > 0).all()
    assert (attention[:, :, 0] == 0).all()
    assert (attention[..., 0] == 0).all()
    usual = model.sequence(batch).attention["modalities"]
    torch.testing.assert_close(usual.sum(-1), torch.ones_like(usual[..., 0]))


def test_attention_over_time_by_hand() -> None:
    # One head, window of two tokens, one step, one hop of two tokens: q = k, v = identity rows.
    mixer = TimeMixer(heads=1, length=2, per_hop=2, steps=1)
    q = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    k = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]])
    v = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    sums, scores, ring = mixer(q, k, v, None)
    # token 0 sees itself: (1 1).(1 0) = 1 x v0; token 1 sees 0 and 1: (1 0).(1 0) = 1 x v0 + (1 0).(1 1) = 1 x v1
    assert sums.tolist() == [[[1.0, 0.0], [1.0, 1.0]]]
    assert scores.flatten().tolist() == [1.0, 1.0]
    # the next hop: token 2 sees 1 and 2 only
    sums, _, _ = mixer(torch.ones(1, 2, 2), torch.zeros(1, 2, 2), torch.ones(1, 2, 2), ring)
    assert sums.tolist() == [[[0.0, 2.0], [0.0, 0.0]]]


def test_attention_across_modalities_by_hand() -> None:
    # Two modalities, one step: q0 = (1 0), k0 = (1 1), k1 = (0 1), v0 = (1 0), v1 = (0 1)
    q = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]])
    k = torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]]])
    v = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    sums, scores, _ = ModalityMixer(heads=1, groups=2)(q, k, v, None)
    assert scores.flatten().tolist() == [1.0, 0.0, 2.0, 1.0]
    assert sums.tolist() == [[[1.0, 0.0]], [[2.0, 1.0]]]


def test_synaptic_operations_follow_the_spikes() -> None:
    torch.manual_seed(0)
    spec = make_spec("eeg", "bvp", traits=0)
    model, batch = build("eavs_tf", spec).eval(), make_batch(spec, 1)
    counted = count(model, batch)
    with torch.no_grad():
        fired = []
        layer = model.lift["bvp"]
        handle = layer.register_forward_pre_hook(lambda _, inputs: fired.append(int(inputs[0].sum())))
        model(batch)
        handle.remove()
    assert counted.by_layer["lift.bvp"].adds == fired[0] * 32  # each spike reaches 32 neurons
    assert counted.by_layer["lift.bvp"].macs == 0
    for name, parameter in model.named_parameters():
        if name.endswith("log_threshold"):
            parameter.data += 0.7
    assert count(model, batch).adds < counted.adds
    assert spike_rates(model, batch)["enter.bvp"] > 0


def test_sheet_against_the_twin() -> None:
    torch.manual_seed(0)
    spec = make_spec("eeg", "bvp", "eda")
    batch = make_batch(spec, 3)
    models = {name: build("eavs_tf", spec, spiking=name == "spiking") for name in ("spiking", "twin")}
    found = {name: spike_sheet(name, m, batch, spec) for name, m in models.items()}
    assert found["twin"].synaptic == 0
    assert found["twin"].rates == ()
    assert found["spiking"].synaptic > 10_000
    assert found["spiking"].windows == 3
    assert found["spiking"].joules < found["twin"].joules
    # the price of what is left is that of an addition
    assert found["spiking"].joules_synaptic == pytest.approx(found["spiking"].synaptic * 0.9e-12)
    assert msgspec.convert(msgspec.to_builtins(found["spiking"]), SpikeSheet) == found["spiking"]
    assert "synaptic operations" in found["spiking"].text()
    # the twin has the weights of the spiking network
    weights = {n: p.shape for n, p in models["twin"].named_parameters()}
    assert weights.items() <= {n: p.shape for n, p in models["spiking"].named_parameters()}.items()


def test_sparsity_is_a_penalty_that_lowers_rates() -> None:
    torch.manual_seed(0)
    spec = make_spec("eeg", "bvp", window_s=2.0, hop_s=1.0)
    batch = make_batch(spec, 8)
    model = build("eavs_tf", spec, sparsity=1.0)
    before = sum(spike_rates(model, batch).values())
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(15):
        optimiser.zero_grad()
        penalty = model(batch).extras["penalty"]
        assert penalty.shape == (8,)
        penalty.mean().backward()
        optimiser.step()
    assert sum(spike_rates(model, batch).values()) < 0.7 * before
    assert "penalty" not in build("eavs_tf", spec)(batch).extras


def test_log_mel_finds_a_tone_and_frames_are_causal() -> None:
    encoder = LogMelEncoder(16_000.0, 1000, 8)
    filters = mel_filters(32, 512, 16_000.0)
    assert filters.shape == (257, 32)
    assert (filters.sum(0) > 0).all()
    assert (mel_filters(64, 64, 2000.0).sum(0) > 0).all()
    time_s = torch.arange(16_000) / 16_000
    seen = []
    encoder.project.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    tone = torch.sin(2 * math.pi * 1000 * time_s).view(1, 1, -1)
    out, buffer = encoder(tone, None)
    assert out.shape == (1, 16, 8)
    band = int(seen[0][0, 8].argmax())
    assert filters[:, band].argmax().item() * 16_000 / 512 == pytest.approx(1000, abs=60)
    first, kept = encoder(tone[..., :8000], None)
    second, _ = encoder(tone[..., 8000:], kept)
    torch.testing.assert_close(torch.cat([first, second], 1), out)
    assert buffer.shape == (1, encoder.length - encoder.step)


def test_frames_are_read_row_by_row() -> None:
    torch.manual_seed(0)
    encoder = FrameEncoder(64, 2, 8)
    picture = torch.randn(3, 8, 8)
    found, _ = encoder(picture.reshape(3, 64, 1).repeat(1, 1, 4), None)
    alone = encoder.project(encoder.convolve(picture.unsqueeze(1)))
    torch.testing.assert_close(found, alone.unsqueeze(1).expand(-1, 2, -1))
    with pytest.raises(InputError, match="square"):
        FrameEncoder(60, 2, 8)


def test_the_grid_fits_every_rate() -> None:
    assert tokens_per_hop([256, 8, 2], 4) == 4
    assert tokens_per_hop([500, 16_000, 30], 4) == 2
    assert tokens_per_hop([7, 3], 8) == 1
    assert Grid.of(256, 4, 4) == Grid(1, 16, 1)
    assert Grid.of(500, 2, 4) == Grid(1, 250, 4)
    assert Grid.of(2, 4, 4) == Grid(2, 1, 4)


def test_wrong_options_name_what_is_known() -> None:
    for options, words in (
        ({"size": "smal"}, "medium"),
        ({"readout": "spikes"}, "membrane"),
        ({"neuron": "liff"}, "tc_lif"),
        ({"steps": 0}, "steps"),
        ({"use_raw": False, "use_features": False}, "one of them"),
    ):
        with pytest.raises(InputError, match=words):
            EAVSTF(SPEC, **options)
    model = build("eavs_tf", SPEC)
    batch = random_batch(SPEC, 1, 1)
    with pytest.raises(InputError, match="whole number of hops"):
        model.sequence(replace(batch, signals={m: v[..., :-1] for m, v in batch.signals.items()}))
    with pytest.raises(InputError, match="without bvp"):
        model.sequence(replace(batch, signals={m: v for m, v in batch.signals.items() if m != "bvp"}))


def test_single_windows_of_a_batch_have_their_own_spike_rates() -> None:
    torch.manual_seed(0)
    spec = make_spec("eeg", "eda")
    model, batch = build("eavs_tf", spec).eval(), make_batch(spec, 3)
    rates = model(batch).extras["spikes"]["enter.eeg"]
    alone = model(rows_of(batch, slice(1, 2))).extras["spikes"]["enter.eeg"]
    assert rates.shape == (3,)
    torch.testing.assert_close(rates[1:2], alone)
