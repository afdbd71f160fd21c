"""BrainOmni: sensors in their places become a few latent sources, tokens of a vocabulary, and a transformer."""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional

from insula.errors import DataError
from insula.models.blocks.scalp import places_10_05
from insula.models.card import ModelCard, Pretraining
from insula.models.encoders.montage import electrodes, placed
from insula.models.encoders.probe import NOT_OURS, Probe
from insula.models.encoders.reader import Reader
from insula.models.encoders.seanet import SeaNet
from insula.models.encoders.weights import Folder
from insula.types import InputSpec

RATE_HZ = 256.0
SEGMENT_S = 30.0
"""Longest stretch at once, that of pre-training."""
OTHERS = (
    "tokenizer.decoder.", "predict_head.", "mask_token", "rope_embedding_layer.", "._codebook.inited",
    "._codebook.cluster_size", "._codebook.embed_avg",
)  # fmt: skip
"""What served pre-training alone, and numbers that follow from the sizes."""
Count = Annotated[int, msgspec.Meta(ge=1, le=16384)]


class Config(msgspec.Struct):
    """What ``model_cfg.json`` of the weights says of their architecture."""

    window_length: Count
    n_filters: Count
    ratios: Annotated[list[Annotated[int, msgspec.Meta(ge=2, le=64)]], msgspec.Meta(min_length=1, max_length=8)]
    kernel_size: Annotated[int, msgspec.Meta(ge=1, le=255)]
    last_kernel_size: Annotated[int, msgspec.Meta(ge=1, le=255)]
    n_dim: Count
    n_head: Count
    n_neuro: Count
    codebook_dim: Count
    codebook_size: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
    num_quantizers: Annotated[int, msgspec.Meta(ge=1, le=64)]
    quantize_optimize_method: str
    overlap_ratio: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    lm_dim: Count
    lm_head: Count
    lm_depth: Annotated[int, msgspec.Meta(ge=2, le=256)]


class Feed(nn.Module):
    """A network a token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(width, 4 * width), nn.SELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.layer(tokens)
        return out


class Attention(nn.Module):
    """Softmax attention among tokens; in time their number turns queries and keys, all heads by one row of angles."""

    def __init__(self, width: int, heads: int, turned: bool) -> None:
        super().__init__()
        self.heads, self.turned = heads, turned
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = self.qkv(tokens).chunk(3, -1)
        if self.turned:
            q, k = _turned(q), _turned(k)
        parts = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        out: Tensor = self.proj(functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """Half of the numbers of a token look over time, half over sources; then a network a token."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.pre_attn_norm, self.pre_ff_norm = nn.RMSNorm(width, 1e-6), nn.RMSNorm(width, 1e-6)
        self.time_attn = Attention(width // 2, heads // 2, turned=True)
        self.spatial_attn = Attention(width // 2, heads // 2, turned=False)
        self.ff = Feed(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, sources, W, D)."""
        rows = len(tokens)
        first, second = self.pre_attn_norm(tokens).chunk(2, -1)
        in_time = self.time_attn(first.flatten(0, 1)).unflatten(0, (rows, -1))
        in_space = self.spatial_attn(second.transpose(1, 2).flatten(0, 1)).unflatten(0, (rows, -1)).transpose(1, 2)
        tokens = tokens + torch.cat([in_space, in_time], -1)  # the halves change places, as published
        out: Tensor = tokens + self.ff(self.pre_ff_norm(tokens))
        return out


class Sensors(nn.Module):
    """Embedding of each sensor's place, direction and kind."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sensor_embedding_layer = nn.Embedding(3, width)
        self.pos_embedding_layer = nn.Sequential(nn.Linear(6, width // 2), nn.SELU(), nn.Linear(width // 2, width))
        self.aggregate_mlp = Feed(width)
        self.norm = nn.RMSNorm(width, 1e-6)

    def forward(self, places: Tensor) -> Tensor:
        """Places (C, 6) of EEG electrodes, kind 0 -> (C, D)."""
        found = self.pos_embedding_layer(places) + self.sensor_embedding_layer.weight[0]
        found = found + self.aggregate_mlp(found)
        out: Tensor = self.norm(found)
        return out


class Backward(nn.Module):
    """Each latent source gathers from all sensors what is its own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.v = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, sources: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Sources (n, S, D), keys and values (n, C, D) -> (n, S, D)."""
        parts = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (sources, keys, self.v(values)))
        out: Tensor = self.proj(functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2))
        return out


class Sources(nn.Module):
    """Stretches (B, C, N, L) of all sensors -> latent sources (B, S, N T, D)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.n_dim
        self.seanet_encoder = SeaNet(
            config.n_filters, config.ratios, config.kernel_size, config.last_kernel_size, width
        )
        self.neuros = nn.Parameter(torch.zeros(config.n_neuro, width))
        self.backwardsolution = Backward(width, config.n_head)
        self.k_proj = nn.Linear(width, width)

    def forward(self, values: Tensor, sensors: Tensor) -> Tensor:
        rows, channels = values.shape[:2]
        found = self.seanet_encoder(values.flatten(0, 2).unsqueeze(1))  # (B C N, D, T)
        found = found.unflatten(0, (rows, channels, -1)).movedim(3, 4).flatten(2, 3)  # (B, C, N T, D)
        found = found.transpose(1, 2).flatten(0, 1)  # (B N T, C, D)
        own = self.neuros.expand(len(found), -1, -1)
        gathered = self.backwardsolution(own, self.k_proj(found + sensors), found)
        out: Tensor = gathered.unflatten(0, (rows, -1)).transpose(1, 2)
        return out


class Words(nn.Module):
    """One level of the vocabulary: the nearest of its words."""

    def __init__(self, width: int, inner: int, count: int) -> None:
        super().__init__()
        other = inner != width
        self.project_in = nn.Linear(width, inner) if other else nn.Identity()
        self.project_out = nn.Linear(inner, width) if other else nn.Identity()
        self._codebook = nn.Module()
        self._codebook.register_buffer("embed", torch.zeros(count, inner))

    def forward(self, tokens: Tensor) -> Tensor:
        words: Tensor = self._codebook.embed  # type: ignore[assignment]
        inner = self.project_in(tokens)
        far = words.square().sum(1) - 2 * inner @ words.T
        chosen: Tensor = self.project_out(functional.embedding(far.argmin(-1), words))
        return chosen


class Quantizer(nn.Module):
    """Words of several levels, each of what the levels before left over, summed; gradients pass as if not chosen."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        levels = (Words(config.n_dim, config.codebook_dim, config.codebook_size) for _ in range(config.num_quantizers))
        self.rvq = nn.ModuleDict({"layers": nn.Sequential(*levels)})

    def forward(self, tokens: Tensor) -> Tensor:
        left = tokens = functional.normalize(tokens, dim=-1)
        said = torch.zeros_like(tokens)
        for level in self.rvq["layers"].children():
            word = level(left)
            left, said = left - word, said + word
        return tokens + (said - tokens).detach()


class Tokenizer(nn.Module):
    """EEG (B, C, T) at 256 Hz and places (C, 6) -> tokens (B, sources, W, D)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.length, self.step = config.window_length, int(config.window_length * (1 - config.overlap_ratio))
        self.sensor_embed = Sensors(config.n_dim)
        self.encoder = Sources(config)
        self.quantizer = Quantizer(config)

    def forward(self, values: Tensor, places: Tensor) -> Tensor:
        more = max(0, self.length - values.shape[-1])
        more += -(values.shape[-1] + more - self.length) % self.step if self.step < self.length else 0
        stretches = functional.pad(values, (0, more)).unfold(-1, self.length, self.step)
        found: Tensor = self.quantizer(self.encoder(stretches, self.sensor_embed(places)))
        return found


class Network(nn.Module):
    """EEG (B, C, T) at 256 Hz and places (C, 6) -> embedding (B, D), under the names of the published file."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.tokenizer = Tokenizer(config)
        same = config.n_dim == config.lm_dim
        self.projection = nn.Identity() if same else nn.Linear(config.n_dim, config.lm_dim)
        self.blocks = nn.ModuleList(Block(config.lm_dim, config.lm_head) for _ in range(config.lm_depth - 1))

    def forward(self, values: Tensor, places: Tensor) -> Tensor:
        tokens = self.tokenizer(values, places) + self.tokenizer.encoder.neuros.detach()[:, None]
        tokens = self.projection(tokens)
        for block in self.blocks:
            tokens = block(tokens)
        return functional.normalize(tokens, dim=-1, eps=1e-6).mean((1, 2))


class Scalp(Reader):
    """Stretches of 30 s at most, less the mean of all electrodes, one size for all of them."""

    fixed = ("network.tokenizer.",)
    """What stays as it is when the rest is fine-tuned, as published."""

    def stretch(self, values: Tensor) -> Tensor:
        centred = values - values.mean(1, keepdim=True)
        scaled = centred / (centred.std((1, 2), keepdim=True, correction=0) + 1e-5)
        found: Tensor = self.network(scaled, self.places)
        return found


class BrainOmni(Probe):
    """BrainOmni as an encoder of the EEG: any montage of the 10-05 system.

    (p) Xiao et al. 2025 (NeurIPS, arXiv 2505.18185) and public copies of the code: EEG at 256 Hz, less the mean of all
    electrodes, one size for all; stretches of two seconds (a quarter shared) pass a convolutional network with LSTM
    (SEANet); latent sources gather from sensors by their places; residual vector quantisation; transformer blocks over
    time and sources, of which the last is left out; tokens of unit length. ``model_cfg.json`` gives the sizes, names
    and shapes are those of ``BrainOmni.pt``. Places are those of MNE's 10-05 montage, centred and scaled as published.
    Written from these facts; no code of theirs.
    (?) Ours: the embedding is the mean of all tokens; the recording is already scaled a channel by the fold's
    normaliser, so that channels do not differ in size as they did in pre-training; filters are the recipe's (published
    0.1 to 96 Hz); published attention drops numbers at random at all times, here never. Fine-tuned, the tokenizer stays
    as it is.
    """

    card = ModelCard(
        title="BrainOmni",
        summary="Latent sources of any montage, tokens, a transformer, frozen or fine-tuned, from a folder of weights",
        source="Xiao et al. 2025, arXiv 2505.18185",
        pretraining=Pretraining(
            files=("model_cfg.json", "BrainOmni.pt"),
            where="https://huggingface.co/OpenTSLab/BrainOmni (its folder tiny or base)",
            licence="MIT",
            reads=("eeg",),
            seen="public EEG and MEG data sets (about 2,600 hours)",
        ),
        window_cost_s=0.3,
        not_exportable=NOT_OURS,
    )

    @classmethod
    def opened(cls, folder: Folder, spec: InputSpec, **options: Any) -> nn.Module:
        del options
        config = folder.described("model_cfg.json", Config)
        even = config.n_dim % (2 * config.n_head) or config.lm_dim % 4 or config.lm_head % 2
        if even or (config.lm_dim // 2) % (config.lm_head // 2) or math.prod(config.ratios) > config.window_length:
            raise DataError(
                f"{folder.path / 'model_cfg.json'} has sizes that do not divide; expected its own. {folder.source}"
            )
        if config.quantize_optimize_method != "ema":
            how = config.quantize_optimize_method
            raise DataError(
                f"{folder.path / 'model_cfg.json'}: quantize_optimize_method {how}; expected ema, as published. "
                f"{folder.source}"
            )
        if folder.count("blocks.") != config.lm_depth:
            raise DataError(
                f"{folder.file} holds {folder.count('blocks.')} blocks; expected {config.lm_depth}, as model_cfg.json "
                f"says. {folder.source}"
            )
        names = electrodes(spec, cls.card.title)
        places = _scaled(torch.tensor(placed(names, places_10_05(), cls.card.title)))
        over = (*OTHERS, f"blocks.{config.lm_depth - 1}.")
        network = folder.filled(lambda: Network(config), over)
        return Scalp(network, (spec.signals["eeg"][1], RATE_HZ), round(SEGMENT_S * RATE_HZ), places)


def _scaled(places: Tensor) -> Tensor:
    """Places (C, 3) -> (C, 6): centred, of one size, and no direction, which magnetometers alone have."""
    centred = places - places.mean(0)
    size = torch.sqrt(3 * centred.square().sum(1).mean())
    return torch.cat([centred / torch.where(size > 0, size, 1.0), torch.zeros_like(places)], 1)


def _turned(values: Tensor) -> Tensor:
    """Turn each pair of numbers (n, T, D) by an angle that grows with the token's number."""
    length, width = values.shape[1:]
    rates = 1e4 ** (-torch.arange(0, width, 2, device=values.device, dtype=values.dtype) / width)
    angle = torch.arange(length, device=values.device, dtype=values.dtype)[:, None] * rates  # (T, D / 2)
    a, b = values.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)
