"""Any network of braindecode as an encoder, where that is installed: the folder that ``save_pretrained`` wrote."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import DataError, InputError, MissingDependencyError, unknown_name
from insula.models.card import ModelCard, Pretraining
from insula.models.encoders.montage import electrodes, known_as
from insula.models.encoders.probe import NOT_OURS, Probe
from insula.models.encoders.reader import Reader
from insula.models.encoders.weights import Folder
from insula.types import InputSpec

PACKAGE = "braindecode.models"
HEAD = "final_layer"
"""What braindecode calls the last layer of every network: its input is the embedding."""
NATIVE = {"REVE": "reve"}
"""Networks that fetch files when they are built, and the encoder here that does not."""
TYPES = ("torch.nn.modules.", "braindecode.modules.")
"""Where the layers stand that a description may name; no other code."""
MOST = 1 << 20
"""Largest whole number that a description may hold."""


class Ordered(Reader):
    """The network's electrodes in its order, in stretches of its length; the input of its head is the embedding."""

    order: Tensor

    def __init__(
        self, network: nn.Module, order: Sequence[int], names: Sequence[str], rates_hz: tuple[float, float], length: int
    ) -> None:
        super().__init__(network, rates_hz, length)
        wants = "ch_names" in inspect.signature(network.forward).parameters
        self.told = {"ch_names": list(names)} if wants and names else {}
        self.register_buffer("order", torch.tensor(list(order), device="cpu"), persistent=False)

    def stretch(self, values: Tensor) -> Tensor:
        found: Tensor = self.network(values[:, self.order], **self.told).flatten(1)
        return found


class Braindecode(Probe):
    """A network of braindecode, asked for as ``braindecode:NAME:DIR``.

    (p) The folder is what ``save_pretrained`` of braindecode writes: ``config.json`` with the arguments of the network
    (``n_chans``, ``n_times``, ``sfreq``, ``chs_info``, ...) and ``model.safetensors``. The embedding is the input of
    its ``final_layer``.
    (?) Ours: with ``chs_info`` electrodes are found by name and put in that order, one that the recording lacks is an
    error; without it the recording must have as many, in the order of the network. Rates are mapped to ``sfreq``,
    windows pass in stretches of ``n_times``, scaled by the fold's normaliser and nothing else. Of code, a description
    may name classes of ``torch.nn`` alone.
    """

    card = ModelCard(
        title="Braindecode",
        summary="A network of braindecode that somebody trained, frozen or fine-tuned, from its saved folder",
        source="Schirrmeister et al. 2017, https://braindecode.org",
        pretraining=Pretraining(
            files=("config.json", "model.safetensors"),
            where="https://huggingface.co/braindecode (or your own save_pretrained; pip install braindecode)",
            licence="that of the weights; code BSD 3-Clause",
            reads=("eeg",),
            seen="whatever its author trained it on",
            parts=("net", "weights"),
        ),
        window_cost_s=0.1,
        not_exportable=NOT_OURS,
    )

    def __init__(self, spec: InputSpec, *, weights: str = "", net: str = "", finetune: bool = False) -> None:
        self._begin(spec, weights, finetune, net=net)

    @classmethod
    def opened(cls, folder: Folder, spec: InputSpec, **options: Any) -> nn.Module:
        kind = _class(options["net"])
        config = arguments(folder)
        rate_hz, length = _cut(folder, config, spec)
        order, names = _order(folder, config, spec)
        network = folder.filled(lambda: _built(folder, kind, config), real=True)
        if not hasattr(network, HEAD):
            raise InputError(f"{options['net']} without {HEAD}; expected a network of braindecode that has it.")
        setattr(network, HEAD, nn.Identity())
        reader = Ordered(network, order, names, (spec.signals["eeg"][1], rate_hz), length)
        try:
            reader(torch.zeros(1, spec.signals["eeg"][0], round(spec.window_s * spec.signals["eeg"][1])))
        except Exception as error:  # a network of theirs, given this montage
            told = " ".join(str(error).split())[:300]
            raise InputError(
                f"{options['net']} does not read this EEG ({type(error).__name__}: {told}); expected channels and "
                "windows that it takes. Choose other data or another network."
            ) from None
        return reader


def arguments(folder: Folder) -> dict[str, Any]:
    """Arguments of the network as ``config.json`` gives them; classes of ``torch.nn`` in place of their names."""
    config = folder.described("config.json", dict[str, Any])
    own = {name: value for name, value in config.items() if name != "braindecode_version" and name[:1] != "_"}
    return {name: _plain(folder, name, value) for name, value in own.items()}


def _plain(folder: Folder, name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(folder, name, one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(folder, name, one) for key, one in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MOST:
        raise DataError(f"{folder.path / 'config.json'}: {name} {value}; expected at most {MOST:,}. {folder.source}")
    if isinstance(value, str) and value.startswith(TYPES):
        module, _, attribute = value.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), attribute, None)
        except ImportError:
            found = None
        if isinstance(found, type) and issubclass(found, nn.Module):
            return found
        raise DataError(
            f"{folder.path / 'config.json'}: {name} {value}; expected a layer of torch or braindecode. {folder.source}"
        )
    return value


def _class(name: str) -> Any:
    if name in NATIVE:
        raise InputError(
            f"{name} of braindecode fetches files when it is built; expected --encoder {NATIVE[name]}:DIR. Use that."
        )
    try:
        models = importlib.import_module(PACKAGE)
    except (ImportError, OSError) as error:
        told = " ".join(str(error).split())[:120]
        raise MissingDependencyError(
            f"braindecode cannot be imported ({told}); expected it beside insula. pip install braindecode."
        ) from None
    known = {n for n, one in vars(models).items() if isinstance(one, type) and issubclass(one, nn.Module)}
    if name not in known:
        raise unknown_name("network of braindecode", name, known)
    return getattr(models, name)


def _built(folder: Folder, kind: Any, config: Mapping[str, Any]) -> nn.Module:
    try:
        network: nn.Module = kind(**config)
    except (NotImplementedError, RuntimeError) as error:
        if "meta" in str(error):
            raise NotImplementedError from None  # it cannot be drawn up without memory
        raise _unfit(folder, kind, error) from None
    except Exception as error:  # a constructor of theirs, given what a file says
        raise _unfit(folder, kind, error) from None
    return network


def _unfit(folder: Folder, kind: Any, error: Exception) -> DataError:
    told = " ".join(str(error).split())[:160]
    return DataError(
        f"{folder.path / 'config.json'} does not make a {kind.__name__} ({type(error).__name__}: {told}); expected its "
        f"arguments. {folder.source}"
    )


def _cut(folder: Folder, config: Mapping[str, Any], spec: InputSpec) -> tuple[float, int]:
    """Rate and samples of a stretch."""
    rate_hz, times = config.get("sfreq"), config.get("n_times")
    if times is None and rate_hz and config.get("input_window_seconds"):
        times = round(float(config["input_window_seconds"]) * float(rate_hz))
    if not isinstance(rate_hz, int | float) or not rate_hz > 0 or not isinstance(times, int) or times < 1:
        raise DataError(
            f"{folder.path / 'config.json'}: sfreq {rate_hz}, n_times {times}; expected both. Save the network with "
            "them."
        )
    if round(spec.window_s * rate_hz) < times:
        raise InputError(
            f"windows of {spec.window_s:g} s for a network of {times} samples at {rate_hz:g} Hz; expected "
            f"{times / rate_hz:g} s or more. Use --window."
        )
    return float(rate_hz), times


def _order(folder: Folder, config: Mapping[str, Any], spec: InputSpec) -> tuple[list[int], list[str]]:
    """Which channel of the recording is each of the network's, and its name, empty where no channel has one."""
    count = spec.signals["eeg"][0]
    info = config.get("chs_info")
    if not info:
        if config.get("n_chans") != count:
            raise InputError(
                f"EEG of {count} channels for a network of {config.get('n_chans')} without names (chs_info); expected "
                "as many in its order. Save the network with chs_info, or leave out channels in the data."
            )
        return list(range(count)), list(spec.channels.get("eeg", ()))
    try:
        wanted = [str(one["ch_name"]) for one in info]
    except (TypeError, KeyError):
        raise DataError(f"{folder.path / 'config.json'}: chs_info without ch_name; expected names.") from None
    names = electrodes(spec, "The network")
    found = [known_as(one, names) for one in wanted]
    missing = [name for name, one in zip(wanted, found, strict=True) if one is None]
    if missing:
        raise InputError(
            f"EEG without {', '.join(missing)}, which the network reads; expected {', '.join(wanted)} (here: "
            f"{', '.join(names)}). Choose other data or another network."
        )
    return [names.index(one) for one in found if one is not None], wanted
