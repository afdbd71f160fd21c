"""Folders of tiny random weights in the layout in which each encoder's authors give theirs out; no reader imported."""

from __future__ import annotations

import json
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


ELECTRODES = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4", "Cz", "Fz")


def reve(folder: Path, width: int = 16, depth: int = 2, seed: int = 0, bank: bool = True) -> Path:
    """``config.json`` and ``model.safetensors`` as on the Hub, and the bank of electrodes as a folder or a file."""
    from safetensors.torch import save_file

    heads, each, ratio = 2, 8, 2.66
    g = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g) / shape[-1] ** 0.5

    tensors = {
        "to_patch_embedding.0.weight": drawn(width, 200),
        "to_patch_embedding.0.bias": drawn(width),
        "mlp4d.0.weight": drawn(width, 4),
        "mlp4d.2.weight": 1 + drawn(width),
        "mlp4d.2.bias": drawn(width),
        "ln.weight": 1 + drawn(width),
        "ln.bias": drawn(width),
        "cls_query_token": drawn(1, 1, width),
    }
    inner = int(width * ratio)
    for i in range(depth):
        tensors[f"transformer.layers.{i}.0.norm.weight"] = 1 + drawn(width)
        tensors[f"transformer.layers.{i}.0.to_qkv.weight"] = drawn(3 * heads * each, width)
        tensors[f"transformer.layers.{i}.0.to_out.weight"] = drawn(width, heads * each)
        tensors[f"transformer.layers.{i}.1.net.0.weight"] = 1 + drawn(width)
        tensors[f"transformer.layers.{i}.1.net.1.weight"] = drawn(2 * inner, width)
        tensors[f"transformer.layers.{i}.1.net.3.weight"] = drawn(width, inner)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    sizes = {"embed_dim": width, "depth": depth, "heads": heads, "head_dim": each, "mlp_dim_ratio": ratio, "freqs": 4}
    more = {"model_type": "reve", "use_geglu": True, "patch_size": 200, "patch_overlap": 20, "noise_ratio": 0.0025}
    (folder / "config.json").write_text(json.dumps({**sizes, **more}))
    places = 0.1 * torch.randn(len(ELECTRODES), 3, generator=g)
    names = [name.upper() for name in ELECTRODES]
    if not bank:
        listed = {name: place.tolist() for name, place in zip(names, places, strict=True)}
        (folder / "positions.json").write_text(json.dumps(listed))
        return folder
    (folder / "reve-positions").mkdir(exist_ok=True)
    save_file({"embedding": places}, folder / "reve-positions" / "model.safetensors")
    (folder / "reve-positions" / "config.json").write_text(json.dumps({"position_names": names}))
    return folder


def tfm_tokenizer(folder: Path, width: int = 16, codes: int = 12, depth: int = 1, seed: int = 0) -> Path:
    """``tfm_tokenizer_last.pth``: the state_dict of the whole tokenizer, decoder and moving averages included."""
    g = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}

    def layer(name: str, *shape: int, bias: bool = True) -> None:
        fan = 1
        for length in shape[1:]:
            fan *= length
        tensors[f"{name}.weight"] = torch.randn(*shape, generator=g) / fan**0.5
        if bias:
            tensors[f"{name}.bias"] = torch.randn(shape[0], generator=g) * 0.1

    def norm(name: str, channels: int) -> None:
        tensors[f"{name}.weight"] = 1 + 0.1 * torch.randn(channels, generator=g)
        tensors[f"{name}.bias"] = 0.1 * torch.randn(channels, generator=g)

    for name, last, kernel in (("freq_patch_embedding", width, 5), ("temporal_patch_embedding", width // 2, 200)):
        for at, shape in ((0, (width, 1, kernel)), (3, (width, width, 1)), (6, (last, width, 1))):
            layer(f"{name}.{at}", *shape)
            norm(f"{name}.{at + 2}", shape[0])
    layer("freq_patch_embedding_2_atten.0", width // 8, width, 5)
    layer("freq_patch_embedding_2.0", width // 8, width, 5)
    for name in ("trans_freq_encoder", "trans_temporal_encoder", "trans_decoder"):
        for i in range(depth):
            at = f"{name}.transformer.layers.layers.{i}"
            for part in ("to_q", "to_k", "to_v"):
                layer(f"{at}.0.fn.{part}", width, width, bias=False)
            layer(f"{at}.0.fn.to_out", width, width)
            norm(f"{at}.0.norm", width)
            layer(f"{at}.1.fn.fn.w1", 4 * width, width)
            layer(f"{at}.1.fn.fn.w2", width, 4 * width)
            norm(f"{at}.1.norm", width)
    layer("decoder.0", width, width)
    layer("decoder.2", 100, width)
    words = torch.nn.functional.normalize(torch.randn(codes, width, generator=g), dim=1)
    tensors |= {"quantizer.embedding.weight": words, "quantizer.ema_w": words.clone()}
    tensors["quantizer.cluster_size"] = torch.ones(codes)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, folder / "tfm_tokenizer_last.pth")
    return folder


def brainomni(folder: Path, seed: int = 0, **changes: object) -> Path:
    """``model_cfg.json`` and ``BrainOmni.pt`` as on the Hub, heads, moving averages and rotary tables included."""
    g = torch.Generator().manual_seed(seed)
    dim, lm, depth, filters, sources, codes = 8, 16, 3, 2, 3, 16
    tensors: dict[str, Tensor] = {"mask_token": torch.randn(dim, generator=g)}

    def drawn(name: str, *shape: int, size: float | None = None) -> None:
        fan = 1
        for length in shape[1:]:
            fan *= length
        tensors[name] = torch.randn(*shape, generator=g) * (fan**-0.5 if size is None else size)

    def layer(name: str, made: int, given: int) -> None:
        drawn(f"{name}.weight", made, given)
        drawn(f"{name}.bias", made, size=0.1)

    def conv(name: str, made: int, given: int, kernel: int) -> None:
        drawn(f"{name}.conv.conv.bias", made, size=0.1)
        tensors[f"{name}.conv.conv.weight_g"] = torch.rand(made, 1, 1, generator=g) + 0.5
        drawn(f"{name}.conv.conv.weight_v", made, given, kernel)

    at = "tokenizer.sensor_embed"
    drawn(f"{at}.sensor_embedding_layer.weight", 3, dim)
    layer(f"{at}.pos_embedding_layer.0", dim // 2, 6)
    layer(f"{at}.pos_embedding_layer.2", dim, dim // 2)
    layer(f"{at}.aggregate_mlp.layer.0", 4 * dim, dim)
    layer(f"{at}.aggregate_mlp.layer.2", dim, 4 * dim)
    tensors[f"{at}.norm.weight"] = torch.rand(dim, generator=g) + 0.5
    drawn("tokenizer.encoder.neuros", sources, dim)
    at = "tokenizer.encoder.seanet_encoder.model"
    conv(f"{at}.0", filters, 1, 5)
    wide = filters
    for i, ratio in enumerate((2, 4)):
        conv(f"{at}.{1 + 3 * i}.block.1", wide // 2, wide, 3)
        conv(f"{at}.{1 + 3 * i}.block.3", wide, wide // 2, 1)
        conv(f"{at}.{1 + 3 * i}.shortcut", wide, wide, 1)
        conv(f"{at}.{3 + 3 * i}", 2 * wide, wide, 2 * ratio)
        wide *= 2
    for i in range(2):
        for part in ("ih", "hh"):
            drawn(f"{at}.7.lstm.weight_{part}_l{i}", 4 * wide, wide)
            drawn(f"{at}.7.lstm.bias_{part}_l{i}", 4 * wide, size=0.1)
    conv(f"{at}.9", dim, wide, 5)
    for part in ("backwardsolution.v", "backwardsolution.proj", "k_proj"):
        layer(f"tokenizer.encoder.{part}", dim, dim)
    for i in range(2):
        at = f"tokenizer.quantizer.rvq.layers.{i}._codebook"
        drawn(f"{at}.embed", codes, dim)
        tensors |= {f"{at}.embed_avg": tensors[f"{at}.embed"].clone(), f"{at}.cluster_size": torch.ones(codes)}
        tensors[f"{at}.inited"] = torch.ones(1)
    layer("tokenizer.decoder.forwardsolution.kv", 2 * dim, dim)
    layer("projection", lm, dim)
    for i in range(depth):
        for part in ("time_attn", "spatial_attn"):
            layer(f"blocks.{i}.{part}.qkv", 3 * lm // 2, lm // 2)
            layer(f"blocks.{i}.{part}.proj", lm // 2, lm // 2)
        rates = 1e4 ** (-torch.arange(0, lm // 2, 2) / (lm // 2))
        angle = torch.outer(torch.arange(240.0), rates)
        tensors[f"blocks.{i}.time_attn.rope_embedding_layer.freqs"] = rates
        tensors[f"blocks.{i}.time_attn.rope_embedding_layer.rotate"] = torch.polar(torch.ones_like(angle), angle)
        for part in ("pre_attn_norm", "pre_ff_norm"):
            tensors[f"blocks.{i}.{part}.weight"] = torch.rand(lm, generator=g) + 0.5
        layer(f"blocks.{i}.ff.layer.0", 4 * lm, lm)
        layer(f"blocks.{i}.ff.layer.2", lm, 4 * lm)
    layer("predict_head", 2 * codes, lm)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, folder / "BrainOmni.pt")
    config = {
        "window_length": 64, "n_filters": filters, "ratios": [4, 2], "kernel_size": 5, "last_kernel_size": 5,
        "n_dim": dim, "n_head": 2, "n_neuro": sources, "dropout": 0.0, "codebook_dim": dim, "codebook_size": codes,
        "num_quantizers": 2, "rotation_trick": True, "quantize_optimize_method": "ema", "overlap_ratio": 0.25,
        "lm_dim": lm, "lm_head": 4, "lm_depth": depth, "lm_dropout": 0.1, "mask_ratio": 0.5, "num_quantizers_used": 2,
    }  # fmt: skip
    (folder / "model_cfg.json").write_text(json.dumps({**config, **changes}))
    return folder
