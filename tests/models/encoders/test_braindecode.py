"""Networks of braindecode from their saved folders: electrodes by name, rates, what a description may name."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import braindecode_double
import pytest
import torch
from model_inputs import make_spec
from torch import nn
from torch.nn import functional

from insula.errors import DataError, InputError, MissingDependencyError
from insula.models import encoder_named
from insula.models.encoders.braindecode import Braindecode
from insula.models.encoders.weights import Folder
from insula.types import InputSpec

NAMES = ("AF3", "F7", "F3", "T3", "Cz", "Fz")


@pytest.fixture(autouse=True)
def _double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "braindecode.models", braindecode_double.module())


def spec_of(*names: str, rate_hz: float = 100.0, window_s: float = 4.0) -> InputSpec:
    spec = make_spec("eeg", window_s=window_s)
    return replace(spec, channels={"eeg": names}, signals={"eeg": (len(names), rate_hz)})


def opened(folder: Path, spec: InputSpec, net: str = "TinyNet") -> nn.Module:
    return Braindecode.opened(Folder(str(folder), Braindecode.card), spec, net=net)


def rewritten(folder: Path, **changes: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


def test_it_is_the_input_of_the_head_of_electrodes_found_by_name(tmp_path: Path) -> None:
    reader = opened(braindecode_double.saved(tmp_path), spec_of(*NAMES))
    eeg = torch.randn(2, 6, 400, generator=torch.Generator().manual_seed(0))
    own = eeg[:, [5, 1, 3]]  # Fz, F7, and T7 under its older name
    conv = reader.network.conv
    halves = [functional.elu(conv(own[..., k : k + 200])).mean(-1) for k in (0, 200)]
    torch.testing.assert_close(reader(eeg), torch.stack(halves).mean(0))
    fast = opened(tmp_path, spec_of(*NAMES, rate_hz=200.0))
    assert fast(torch.randn(1, 6, 800)).shape == (1, 6)


def test_what_the_recording_lacks_is_named(tmp_path: Path) -> None:
    folder = braindecode_double.saved(tmp_path)
    with pytest.raises(InputError, match="EEG without F7, T7, which"):
        opened(folder, spec_of("AF3", "Fz", "Cz"))
    rewritten(folder, chs_info=None)
    assert opened(folder, spec_of("a", "b", "c"))(torch.randn(1, 3, 400)).shape == (1, 6)
    with pytest.raises(InputError, match="EEG of 6 channels for a network of 3 without names"):
        opened(folder, spec_of(*NAMES))
    with pytest.raises(InputError, match="expected 2 s or more"):
        opened(folder, spec_of("a", "b", "c", window_s=1.0))


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"activation": "os.system"}, "does not make"), ({"activation": "torch.nn.modules.module._addindent"}, "a layer"),
     ({"activation": "torch.nn.modules.nowhere.X"}, "a layer"), ({"width": 10**9}, "expected at most"),
     ({"strange": 1}, "does not make"), ({"width": 7}, "of shape"), ({"sfreq": None}, "expected both"),
     ({"chs_info": [1]}, "without ch_name")],
)  # fmt: skip
def test_a_description_that_does_not_fit_is_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        opened(rewritten(braindecode_double.saved(tmp_path), **changes), spec_of(*NAMES))


def test_names_and_the_package_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = braindecode_double.saved(tmp_path)
    assert encoder_named(f"braindecode:TinyNet:{folder}") == ("braindecode", {"net": "TinyNet", "weights": str(folder)})
    with pytest.raises(InputError, match="braindecode:NET:DIR"):
        encoder_named("braindecode:TinyNet")
    with pytest.raises(InputError, match="Did you mean 'TinyNet'"):
        opened(folder, spec_of(*NAMES), "TinyNets")
    with pytest.raises(InputError, match="reve:DIR"):
        opened(folder, spec_of(*NAMES), "REVE")
    monkeypatch.setitem(sys.modules, "braindecode.models", None)
    with pytest.raises(MissingDependencyError, match="pip install braindecode"):
        opened(folder, spec_of(*NAMES))
