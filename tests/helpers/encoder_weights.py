"""Folders of tiny random weights in the layout in which each encoder's authors give theirs out; no reader imported."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor


def papagei(folder: Path, width: int = 4, blocks: int = 6, embedding: int = 12, seed: int = 0) -> Path:
    """``papagei_s.pt``: a state_dict as training on several cards leaves it, expert heads included."""
    g = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}

    def conv(name: str, given: int, made: int) -> None:
        tensors[f"{name}.conv.weight"] = torch.randn(made, given, 3, generator=g) / (3 * given) ** 0.5
        tensors[f"{name}.conv.bias"] = torch.randn(made, generator=g) * 0.1

    def norm(name: str, channels: int) -> None:
        tensors[f"{name}.weight"] = torch.rand(channels, generator=g) + 0.5
        tensors[f"{name}.bias"] = torch.randn(channels, generator=g) * 0.1
        tensors[f"{name}.running_mean"] = torch.randn(channels, generator=g) * 0.1
        tensors[f"{name}.running_var"] = torch.rand(channels, generator=g) + 0.5
        tensors[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def linear(name: str, given: int, made: int) -> None:
        tensors[f"{name}.weight"] = torch.randn(made, given, generator=g) / given**0.5
        tensors[f"{name}.bias"] = torch.randn(made, generator=g) * 0.1

    conv("first_block_conv", 1, width)
    norm("first_block_bn", width)
    channels = width
    for i in range(blocks):
        wide = channels * 2 if i and i % 4 == 0 else channels
        norm(f"basicblock_list.{i}.bn1", channels)
        conv(f"basicblock_list.{i}.conv1", channels, wide)
        norm(f"basicblock_list.{i}.bn2", wide)
        conv(f"basicblock_list.{i}.conv2", wide, wide)
        channels = wide
    norm("final_bn", channels)
    linear("dense", channels, embedding)
    for head in (1, 2):
        for expert in range(3):
            linear(f"expert_layers_{head}.{expert}.0", channels, channels // 2)
            linear(f"expert_layers_{head}.{expert}.{head + 1}", channels // 2, 1)
        linear(f"gating_network_{head}.0", channels, 3)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({f"module.{name}": tensor for name, tensor in tensors.items()}, folder / "papagei_s.pt")
    return folder
