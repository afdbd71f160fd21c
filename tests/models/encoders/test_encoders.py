"""What holds for every encoder: shapes, frozen and fine-tuned, saved without others' weights, strangers' files."""

from __future__ import annotations

import copy
import pickle
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import braindecode_double
import encoder_weights
import numpy as np
import pytest
import torch
from model_inputs import absent, make_batch, make_spec, rows_of
from small_cohort import windows as small
from torch import nn

import insula
from insula.errors import DataError, InputError
from insula.learning.estimator import Estimator
from insula.learning.fitting import _readout
from insula.learning.readout import Rows, fit_readout
from insula.models import ENCODERS, build, card, encoder_named, model_class
from insula.models.encoders import probe
from insula.types import InputSpec

UNUSED = ("encoder.network.basicblock_list.0.bn1.", "encoder.network.quantizer.", "encoder.network.tokenizer.")
"""In the published files and in no published forward pass; words, which are chosen; a tokenizer that stays."""
NAMES = sorted(ENCODERS)
MAKERS: dict[str, Callable[[Path], Path]] = {
    "braindecode": braindecode_double.saved,
    "brainomni": encoder_weights.brainomni,
    "papagei": encoder_weights.papagei,
    "reve": encoder_weights.reve,
    "tfm_tokenizer": encoder_weights.tfm_tokenizer,
}
OPTIONS = {"braindecode": {"net": "TinyNet"}}


@pytest.fixture(autouse=True)
def _double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "braindecode.models", braindecode_double.module())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {name: str(make(tmp_path_factory.mktemp(name))) for name, make in MAKERS.items()}


def spec_for(name: str) -> InputSpec:
    spec = make_spec("eda", *model_class(name).card.pretraining.reads[-1:], traits=0)
    return replace(spec, channels={"eeg": ("AF3", "F7", "F3", "T3", "Cz", "Fz")} if "eeg" in spec.signals else {})


def built(name: str, folder: str, finetune: bool = False, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build(name, spec_for(name), weights=folder, finetune=finetune, **OPTIONS.get(name, {})).eval()


def test_every_encoder_is_tested_and_says_where_its_weights_are() -> None:
    assert set(MAKERS) == set(NAMES)
    for name in NAMES:
        facts = card(name).pretraining
        assert facts is not None
        assert all((facts.files, facts.licence, facts.seen))
        assert facts.where.startswith("https://")
        assert len(model_class(name).__doc__ or "") > 200, f"{name}: say what is published and what is chosen"
        assert not card(name).step


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_a_window_at_a_time(name: str, folders: dict[str, str]) -> None:
    model, batch = built(name, folders[name]), make_batch(spec_for(name), 3)
    with torch.no_grad():
        found = model(batch)
        single = torch.cat([model(rows_of(batch, slice(i, i + 1))).embedding for i in range(3)])
    assert found.logits.shape == (3, 3)
    assert torch.equal(single, found.embedding)
    assert torch.isfinite(found.logits).all()
    assert not torch.allclose(found.embedding[0], found.embedding[1])


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_signal_is_ignored(name: str, folders: dict[str, str]) -> None:
    model, batch = built(name, folders[name]), make_batch(spec_for(name), 2)
    with torch.no_grad():
        for modality in batch.signals:
            empty = model(absent(batch, modality, 0.0)).logits
            torch.testing.assert_close(model(absent(batch, modality, 7.5)).logits, empty, atol=0, rtol=0)
            assert torch.equal(empty, model(batch).logits) == (modality == "eda")


@pytest.mark.parametrize("name", NAMES)
def test_frozen_the_head_alone_is_the_network(name: str, folders: dict[str, str]) -> None:
    model = built(name, folders[name])
    assert [n for n, _ in model.named_parameters()] == ["head.weight", "head.bias"]
    assert set(model.state_dict()) == {"gate", "sha256", "head.weight", "head.bias"}
    batch = make_batch(spec_for(name), 2)
    before = model(batch).embedding
    other = copy.deepcopy(model).train()
    optimiser = torch.optim.SGD(other.parameters(), 0.1)
    other(batch).logits.square().sum().backward()
    optimiser.step()
    assert torch.equal(other(batch).embedding, before)
    again = pickle.loads(pickle.dumps(model))  # to another process
    assert torch.equal(again(batch).logits, model(batch).logits)


@pytest.mark.parametrize("name", NAMES)
def test_fine_tuned_every_weight_learns_and_the_frozen_one_stays(name: str, folders: dict[str, str]) -> None:
    model, frozen = built(name, folders[name], finetune=True), built(name, folders[name])
    batch = make_batch(spec_for(name), 4)
    with torch.no_grad():
        torch.testing.assert_close(model(batch).embedding, frozen(batch).embedding, atol=1e-5, rtol=1e-5)
        before = frozen(batch).embedding
    model.train()
    model(batch).logits.square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert [n for n in without if not n.startswith(UNUSED)] == []
    torch.optim.SGD(model.parameters(), 0.1).step()
    with torch.no_grad():
        assert not torch.allclose(model(batch).embedding, before)
        frozen.held.kept.clear()
        assert torch.equal(frozen(batch).embedding, before)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_of_the_input_is_that_of_the_encoder(name: str, folders: dict[str, str]) -> None:
    model, batch = built(name, folders[name]), make_batch(spec_for(name), 1)
    signal = batch.signals[model.modality].requires_grad_()
    model(batch).logits[0, 0].backward()
    assert signal.grad is not None
    assert float(signal.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", NAMES)
def test_without_its_weights_it_says_where_they_are(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder") as missing:
        build(name, spec_for(name), weights=str(tmp_path / "nowhere"))
    facts = card(name).pretraining
    assert facts is not None
    for told in (*facts.files, facts.where, facts.licence):
        assert told in str(missing.value)
    with pytest.raises(DataError, match="no file of weights"):
        build(name, spec_for(name), weights=str(tmp_path), **OPTIONS.get(name, {}))
    with pytest.raises(InputError, match=r"expected .* among them"):
        build(name, make_spec("temp"), weights=str(tmp_path))


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("trapped"),)


def test_a_file_of_strangers_is_read_as_tensors_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = spec_for("papagei")
    file = encoder_weights.papagei(tmp_path / "own") / "papagei_s.pt"
    good = torch.load(file, weights_only=True)
    dense = {k: v for k, v in good.items() if "dense" not in k}
    forged = {
        "run code": {**good, "module.final_bn.weight": Trap()},
        "lacks dense": dense,
        "besides": {**good, "module.other": torch.ones(2)},
        "of shape \\(5, 4, 3\\); expected \\(4, 4, 3\\)": {
            **good,
            "module.basicblock_list.1.conv1.conv.weight": torch.ones(5, 4, 3),
        },
        "tensors of 68,7": {**good, "module.dense.weight": torch.zeros(1).expand(1 << 34)},
        "not finite": {**good, "module.dense.bias": torch.full((12,), torch.nan)},
    }
    for told, content in forged.items():
        torch.save(content, file)
        with pytest.raises(DataError, match=told):
            build("papagei", spec, weights=str(file.parent))
    assert not (tmp_path / "trapped").exists()
    torch.save([torch.ones(2)], file)
    with pytest.raises(DataError, match="no tensors by name"):
        build("papagei", spec, weights=str(file.parent))
    torch.save(good, file, _use_new_zipfile_serialization=False)
    with pytest.raises(DataError, match="cannot be read"):
        build("papagei", spec, weights=str(file.parent))
    file.write_bytes(b"PK")
    with pytest.raises(DataError, match="cannot be read"):
        build("papagei", spec, weights=str(file.parent))
    for program in (
        b"\x80\x02R.",
        b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.",
    ):  # takes of nothing, calls wrongly
        torch.save(good, file)
        with zipfile.ZipFile(file) as packed:
            parts = {name: packed.read(name) for name in packed.namelist()}
        with zipfile.ZipFile(file, "w") as packed:
            for name, content in parts.items():
                packed.writestr(name, program if name.endswith("data.pkl") else content)
        with pytest.raises(DataError, match="cannot be read"):
            build("papagei", spec, weights=str(file.parent))


def test_an_encoder_is_asked_for_by_name_and_folder() -> None:
    assert encoder_named("papagei:a:b") == ("papagei", {"weights": "a:b"})
    with pytest.raises(InputError, match="papagei:DIR"):
        encoder_named("papagei")
    with pytest.raises(InputError, match="Did you mean 'papagei'"):
        encoder_named("papagai:dir")


@pytest.mark.parametrize("finetune", [False, True])
def test_it_is_trained_saved_and_loaded_like_any_network(
    finetune: bool, folders: dict[str, str], tmp_path: Path
) -> None:
    windows = small()
    model = insula.make(f"papagei:{folders['papagei']}", finetune=finetune, epochs=2, validation_fraction=0.0)
    model.fit(windows)
    assert isinstance(model, Estimator)
    assert model.begun is not None
    assert model.begun.gate == (1.0 if finetune else 0.0)
    assert (model.histories[0].steps > 0) == finetune
    said = model.predict_proba(windows)
    np.testing.assert_allclose(said.sum(1), 1)
    saved = model.save(tmp_path / "model")
    np.testing.assert_allclose(insula.load_model(saved).predict_proba(windows), said, atol=1e-6)
    assert ((saved / "weights-0.safetensors").stat().st_size > 2_000) == finetune
    other = encoder_weights.papagei(tmp_path / "other", seed=1)
    told = (saved / "estimator.json").read_text().replace(folders["papagei"], str(other))
    (saved / "estimator.json").write_text(told)
    with pytest.raises(DataError):
        insula.load_model(saved)


def test_an_embedding_too_wide_for_a_probe_is_refused(folders: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "WIDEST", 11)
    with pytest.raises(InputError, match="an embedding of 12 numbers a window; expected at most 11"):
        built("papagei", folders["papagei"])


def test_the_mean_of_the_embedding_does_not_hide_what_tells_classes_apart() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    told = (rng.standard_normal((80, 3)) * 1e-3 + 1e-3 * y[:, None]).astype(np.float32)
    near = Rows(told, y, np.ones(80, np.float32), np.arange(80))
    far = Rows((told.astype(np.float64) + 7).astype(np.float32), y, near.weight, near.trial)
    network = nn.Module()
    network.centred = True
    usual, found = fit_readout(near, [], 2), _readout(network, far, lambda rows: fit_readout(rows, [], 2))
    np.testing.assert_allclose(found.weight, usual.weight, rtol=0.02)
    answers = found.answer(far.columns).argmax(1)
    assert (answers == usual.answer(told).argmax(1)).mean() > 0.97
