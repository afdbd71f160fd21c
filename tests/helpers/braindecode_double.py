"""What insula asks of braindecode, in ten lines: a module ``braindecode.models`` with one network of its signature."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class TinyNet(nn.Module):
    """A convolution over time, the mean, and ``final_layer``."""

    def __init__(
        self, n_chans: int, n_times: int, n_outputs: int, sfreq: float | None = None,
        chs_info: list[dict[str, Any]] | None = None, width: int = 6, activation: type[nn.Module] = nn.ELU,
    ) -> None:  # fmt: skip
        super().__init__()
        self.n_times, self.sfreq, self.chs_info = n_times, sfreq, chs_info
        self.conv = nn.Conv1d(n_chans, width, 9, stride=4)
        self.activation = activation()
        self.final_layer = nn.Linear(width, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.n_times:
            raise ValueError(f"{x.shape[-1]} samples")
        said: Tensor = self.final_layer(self.activation(self.conv(x)).mean(-1))
        return said


def module() -> types.ModuleType:
    """``braindecode.models`` as `importlib.import_module` would find it."""
    made = types.ModuleType("braindecode.models")
    vars(made)["TinyNet"] = TinyNet
    return made


def saved(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A folder as ``save_pretrained`` writes it: arguments and tensors, of an untrained network."""
    from safetensors.torch import save_file

    named = [{"ch_name": name, "kind": "eeg"} for name in ("Fz", "F7", "T7")]
    config = {"n_chans": 3, "n_times": 200, "n_outputs": 4, "sfreq": 100.0, "chs_info": named, **changes}
    torch.manual_seed(seed)
    network = TinyNet(**{k: v for k, v in config.items() if k != "activation"})
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.clone() for name, tensor in network.state_dict().items()}, folder / "model.safetensors")
    told = {"activation": "torch.nn.modules.activation.ELU", "braindecode_version": "1.8.1", **config}
    (folder / "config.json").write_text(json.dumps(told))
    return folder
