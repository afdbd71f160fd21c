"""REVE: a transformer over patches of a second of each electrode, told where it lies and when: any montage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from insula.errors import DataError, InputError
from insula.models.card import ModelCard, Pretraining
from insula.models.encoders.montage import electrodes, placed
from insula.models.encoders.probe import NOT_OURS, Probe
from insula.models.encoders.reader import Reader
from insula.models.encoders.weights import Folder, read_tensors
from insula.types import InputSpec

RATE_HZ = 200.0
SEGMENT_S = 10.0
"""Longest stretch at once, that of pre-training."""
TIME_STEP, MARGIN = 0.1, 0.4
"""A patch on the axis of time, and what is added to every coordinate."""
OTHERS = ("final_layer.", "fourier4d.", "_position_bank.")
"""Heads, and a list of electrodes that some files carry."""
BANK = "reve-positions"
Count = Annotated[int, msgspec.Meta(ge=1, le=16384)]


class Config(msgspec.Struct):
    """What ``config.json`` of the weights says of their architecture."""

    embed_dim: Count
    depth: Annotated[int, msgspec.Meta(ge=1, le=256)]
    heads: Count
    head_dim: Count
    mlp_dim_ratio: Annotated[float, msgspec.Meta(gt=0, le=64)]
    use_geglu: bool = True
    freqs: Annotated[int, msgspec.Meta(ge=1, le=16)] = 4
    patch_size: Count = 200
    patch_overlap: Annotated[int, msgspec.Meta(ge=0, le=16384)] = 20


class Bank(msgspec.Struct):
    """What ``config.json`` of the bank of electrodes says: their names."""

    position_names: list[str]


class Attention(nn.Module):
    """Softmax attention among all tokens, normalised before."""

    def __init__(self, width: int, heads: int, each: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.RMSNorm(width, 1e-6)
        self.to_qkv = nn.Linear(width, 3 * heads * each, bias=False)
        self.to_out = nn.Linear(heads * each, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.to_qkv(self.norm(tokens)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)  # (B, heads, n, each)
        out: Tensor = self.to_out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class Gated(nn.Module):
    """The first half of the last axis, weighed by the GELU of the second."""

    def forward(self, values: Tensor) -> Tensor:
        first, gate = values.chunk(2, -1)
        return functional.gelu(gate) * first


class Feed(nn.Module):
    """A network a token, normalised before."""

    def __init__(self, width: int, inner: int, gated: bool) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.RMSNorm(width, 1e-6),
            nn.Linear(width, inner * 2 if gated else inner, bias=False),
            Gated() if gated else nn.GELU(),
            nn.Linear(inner, width, bias=False),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.net(tokens)
        return out


class Layers(nn.Module):
    """Attention and feed-forward layers in turn."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.embed_dim
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    Attention(width, config.heads, config.head_dim),
                    Feed(width, int(width * config.mlp_dim_ratio), config.use_geglu),
                ]
            )
            for _ in range(config.depth)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        for pair in self.layers:
            for part in pair:  # type: ignore[attr-defined]
                tokens = tokens + part(tokens)
        return tokens


class Network(nn.Module):
    """EEG (B, C, T) at 200 Hz and places (C, 3) -> embedding (B, E or 2 E), under the names of the published file."""

    def __init__(self, config: Config, query: bool) -> None:
        super().__init__()
        self.config = config
        width = config.embed_dim
        self.to_patch_embedding = nn.Sequential(nn.Linear(config.patch_size, width))
        self.mlp4d = nn.Sequential(nn.Linear(4, width, bias=False), nn.GELU(), nn.LayerNorm(width))
        self.ln = nn.LayerNorm(width)
        self.transformer = Layers(config)
        self.cls_query_token = nn.Parameter(torch.zeros(1, 1, width)) if query else None

    def forward(self, values: Tensor, places: Tensor) -> Tensor:
        size = self.config.patch_size
        patches = values.unfold(-1, size, size - self.config.patch_overlap)  # (B, C, P, size)
        where = self.where(places, patches.shape[2])  # (C P, E)
        tokens = self.transformer(self.to_patch_embedding(patches).flatten(1, 2) + where)  # (B, C P, E)
        mean: Tensor = tokens.mean(1)
        if self.cls_query_token is None:
            return mean
        weights = torch.softmax(tokens @ self.cls_query_token[0, 0] / math.sqrt(tokens.shape[-1]), -1)  # (B, C P)
        return torch.cat([torch.einsum("bn,bne->be", weights, tokens), mean], -1)

    def where(self, places: Tensor, patches: int) -> Tensor:
        """Embedding (C P, E) of the place and time of every patch: waves of every pair of them, and a learned part."""
        times = torch.arange(patches, device=places.device, dtype=places.dtype)
        at = torch.cat([places.repeat_interleave(patches, 0), times.repeat(len(places)).unsqueeze(1)], 1)  # (C P, 4)
        steps = at * torch.tensor([1.0, 1.0, 1.0, TIME_STEP], device=at.device) + MARGIN
        waves = torch.arange(self.config.freqs, device=at.device, dtype=at.dtype) * (2 * math.pi / (1 + 2 * MARGIN))
        x, y, z, t = (steps[:, i : i + 1] * waves for i in range(4))  # each (C P, F)
        phase = x[:, :, None, None, None] + y[:, None, :, None, None] + z[:, None, None, :, None]
        phase = (phase + t[:, None, None, None, :]).flatten(1)[:, : self.config.embed_dim // 2]
        found: Tensor = self.ln(torch.cat([torch.cos(phase), torch.sin(phase)], 1) + self.mlp4d(at))
        return found


class Scalp(Reader):
    """Stretches of ten seconds at most, with the places of their electrodes."""

    def stretch(self, values: Tensor) -> Tensor:
        found: Tensor = self.network(values, self.places)
        return found


class Reve(Probe):
    """REVE as an encoder of the EEG.

    (p) El Ouahidi et al. 2025 (NeurIPS, arXiv 2510.21585) and the public code: patches of 200 samples at 200 Hz (20
    shared) of each electrode, a linear embedding, waves of place and time in four dimensions beside a learned part, a
    pre-normalised transformer with gated layers, and a query that pools its tokens. ``config.json`` gives the sizes,
    the bank of electrodes the places; a channel that the bank lacks is an error. Names and shapes are those of
    ``model.safetensors``. Written from these facts; no code of theirs.
    (?) Ours: the published z-score over a recording (clipped at 15 deviations) is the fold's normaliser (clipped at
    8); filters are the recipe's; the embedding is the query's pool and the mean of the tokens side by side; windows
    beyond ten seconds pass in segments, what is left over at the end is not read.
    """

    card = ModelCard(
        title="REVE",
        summary="Transformer over patches of every electrode, frozen or fine-tuned, from a folder of its weights",
        source="El Ouahidi et al. 2025, arXiv 2510.21585",
        pretraining=Pretraining(
            files=("config.json", "model.safetensors", "positions.json (or the folder reve-positions)"),
            where="https://huggingface.co/brain-bzh/reve-base and https://huggingface.co/brain-bzh/reve-positions",
            licence="REVE Responsible Use License 1.0, agreed to there; code MIT",
            reads=("eeg",),
            seen="92 public EEG data sets (60,000 hours, 25,000 people)",
        ),
        window_cost_s=0.5,
        not_exportable=NOT_OURS,
    )

    @classmethod
    def opened(cls, folder: Folder, spec: InputSpec, **options: Any) -> nn.Module:
        del options
        config = folder.described("config.json", Config)
        if config.patch_overlap >= config.patch_size or 2 * config.freqs**4 < config.embed_dim:
            raise DataError(
                f"{folder.path / 'config.json'}: patches of {config.patch_size} that share {config.patch_overlap}, "
                f"{config.freqs} frequencies for {config.embed_dim}; expected sizes that fit. {folder.source}"
            )
        if spec.window_s * RATE_HZ < config.patch_size:
            raise InputError(
                f"windows of {spec.window_s:g} s for REVE; expected {config.patch_size / RATE_HZ:g} s or more. Use "
                "--window."
            )
        places = torch.tensor(placed(electrodes(spec, cls.card.title), bank(folder), cls.card.title))
        query = "cls_query_token" in folder.tensors
        network = folder.filled(lambda: Network(config, query), OTHERS)
        return Scalp(network, (spec.signals["eeg"][1], RATE_HZ), round(SEGMENT_S * RATE_HZ), places)


def bank(folder: Folder) -> Mapping[str, tuple[float, float, float]]:
    """Places of electrodes by name, in metres as the bank has them."""
    if (folder.path / "positions.json").is_file():
        return folder.described("positions.json", dict[str, tuple[float, float, float]])
    inner = folder.path / BANK
    if not (inner / "model.safetensors").is_file():
        raise DataError(f"{folder.path} without positions.json or {BANK}; expected one of them. {folder.source}")
    names = folder.described(f"{BANK}/config.json", Bank).position_names
    tensors = read_tensors(inner / "model.safetensors")
    table = tensors.get("embedding")
    if table is None or table.shape != (len(names), 3):
        told = "none" if table is None else tuple(table.shape)
        raise DataError(f"{inner}: embedding of shape {told}; expected {(len(names), 3)}. {folder.source}")
    rows = table.float().tolist()
    return {name: (row[0], row[1], row[2]) for name, row in zip(names, rows, strict=True)}
